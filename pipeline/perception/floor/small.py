# SPDX-License-Identifier: AGPL-3.0-or-later
"""Linear algebra on thousands of tiny matrices at once: element by element over the whole stack, which beats a call of
LAPACK for each of them several times over."""

from __future__ import annotations

import numpy as np


def spd_inverse(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse (..., n, n) and log-determinant (...) of symmetric positive definite matrices."""
    last = tuple(range(matrix.ndim - 2))
    inverse, logdet = swept(matrix.transpose(-2, -1, *last))
    return inverse.transpose(*(k + 2 for k in last), 0, 1), logdet


def swept(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same with rows and columns first, (n, n, ...): symmetric sweeps of one row and column after the other
    (Dempster, Elements of Continuous Multivariate Analysis, 1969, 4.3)."""
    a = np.array(matrix, order="C")
    pivots = np.empty(a.shape[1:])
    for k in range(len(a)):
        pivot = pivots[k] = np.maximum(a[k, k], 1e-300)
        column = a[:, k].copy()
        root = column / np.sqrt(pivot)
        a -= root[:, None] * root
        a[k] = a[:, k] = column / pivot
        a[k, k] = -1 / pivot
    return -a, np.log(pivots).sum(0)


def solve(
    prior_mean: np.ndarray, prior_information: np.ndarray, information: np.ndarray, vector: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior mean (..., n), covariance (..., n, n) and its log-determinant (...) of a prior and measurements in
    information form."""
    covariance, logdet = spd_inverse(prior_information + information)
    right = (prior_information @ prior_mean[..., None])[..., 0] + vector
    return (covariance @ right[..., None])[..., 0], covariance, -logdet
