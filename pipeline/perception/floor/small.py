# SPDX-License-Identifier: AGPL-3.0-or-later
"""Linear algebra on thousands of tiny matrices at once: element by element over the whole stack, which beats a call of
LAPACK for each of them several times over."""

from __future__ import annotations

import numpy as np


def spd_inverse(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverse (..., n, n) and log-determinant (...) of symmetric positive definite matrices, by Cholesky's factors."""
    n = matrix.shape[-1]
    a = np.ascontiguousarray(np.moveaxis(matrix, (-2, -1), (0, 1)))
    low: list[list] = [[None] * n for _ in range(n)]
    for i in range(n):
        for j in range(i + 1):
            left = a[i, j]
            for k in range(j):
                left = left - low[i][k] * low[j][k]
            low[i][j] = np.sqrt(np.maximum(left, 1e-300)) if i == j else left / low[j][j]
    logdet = 2 * sum(np.log(low[i][i]) for i in range(n))
    inverse: list[list] = [[None] * n for _ in range(n)]  # of the factor, lower triangle
    for i in range(n):
        inverse[i][i] = 1 / low[i][i]
        for j in range(i):
            total = low[i][j] * inverse[j][j]
            for k in range(j + 1, i):
                total = total + low[i][k] * inverse[k][j]
            inverse[i][j] = -total * inverse[i][i]
    out = np.empty(a.shape)
    for i in range(n):
        for j in range(i + 1):
            total = inverse[i][i] * inverse[i][j]
            for k in range(i + 1, n):
                total = total + inverse[k][i] * inverse[k][j]
            out[i, j] = out[j, i] = total
    return np.moveaxis(out, (0, 1), (-2, -1)), logdet


def solve(
    prior_mean: np.ndarray, prior_information: np.ndarray, information: np.ndarray, vector: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Posterior mean (..., n), covariance (..., n, n) and its log-determinant (...) of a prior and measurements in
    information form."""
    covariance, logdet = spd_inverse(prior_information + information)
    right = (prior_information @ prior_mean[..., None])[..., 0] + vector
    return (covariance @ right[..., None])[..., 0], covariance, -logdet
