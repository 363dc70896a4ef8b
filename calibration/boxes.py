# SPDX-License-Identifier: AGPL-3.0-or-later
"""Boxes in pictures: x1, y1, x2, y2 in pixels."""

from __future__ import annotations

import numpy as np


def box_iou(a_xyxy: np.ndarray, b_xyxy: np.ndarray) -> np.ndarray:
    """float (A, B): intersection over union of boxes (A, 4) and (B, 4)."""
    low = np.maximum(a_xyxy[:, None, :2], b_xyxy[None, :, :2])
    high = np.minimum(a_xyxy[:, None, 2:], b_xyxy[None, :, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=2)
    area_a, area_b = (np.prod(x[:, 2:] - x[:, :2], axis=1) for x in (a_xyxy, b_xyxy))
    return common / np.maximum(area_a[:, None] + area_b[None] - common, 1e-9)
