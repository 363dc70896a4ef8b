# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a detector's scores mean: some give 0.99 to whoever is seen whole, others 0.7. Learnt while it runs.

The score of a body that is seen whole is taken for a uniform number to the power of 1/k: its density is k s^(k-1), and
the likeliest k of n scores is n / -sum(log s).
"""

from __future__ import annotations

import numpy as np

PRIOR, MEMORY = 50.0, 2000.0
"""What is assumed counts as so many boxes; so many are remembered."""
STEEPEST = 10.0
WHOLE = 0.9
"""Of the boxes whose chance to be found is at least this."""


class Sharpness:
    """`exponent` is k; `learn` from every window."""

    def __init__(self, exponent: float) -> None:
        self._count, self._loss = PRIOR, PRIOR / exponent

    @property
    def exponent(self) -> float:
        return float(np.clip(self._count / max(self._loss, 1e-9), 1.0, STEEPEST))

    def learn(self, box: np.ndarray, detected: np.ndarray, score: np.ndarray) -> None:
        """`box`: int (T, C), which box each body has in each camera, -1 for none; `detected`: (T, C), the chance of
        one; `score`: (N,), of the boxes."""
        seen = score[box[(box >= 0) & (detected > WHOLE)]]
        self._count += len(seen)
        self._loss -= float(np.log(np.maximum(seen, 1e-3)).sum())
        if self._count > MEMORY:
            self._loss *= MEMORY / self._count
            self._count = MEMORY
