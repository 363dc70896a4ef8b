# SPDX-License-Identifier: AGPL-3.0-or-later
"""The square piece of a picture that the key point network looks at, and back from its cells to the picture."""

from __future__ import annotations

import cv2
import numpy as np

SIDE_PX = 128
"""Side of the network's input."""
CELLS = SIDE_PX // 4
"""Side of its maps, one a key point."""
AROUND = 1.2
"""Side of the piece, in longer sides of the person's box: room for what the box cut off."""
_WINDOW = 2
"""Cells around the peak of a map whose mean is the key point."""


def square_of(xyxy_px: np.ndarray) -> np.ndarray:
    """(N, 4) boxes to (N, 3) squares: centre x, y and side, in the same pixels."""
    extent = xyxy_px[:, 2:4] - xyxy_px[:, :2]
    return np.concatenate([xyxy_px[:, :2] + extent / 2, AROUND * np.maximum(extent.max(1, keepdims=True), 8.0)], 1)


def warp_to(square: np.ndarray, side_px: int = SIDE_PX) -> np.ndarray:
    """(2, 3) affine map from picture pixels to the piece's; whole numbers are pixel centres in both."""
    x, y, side = square
    scale = side_px / side
    return np.array([[scale, 0, side_px / 2 - 0.5 - scale * x], [0, scale, side_px / 2 - 0.5 - scale * y]])


def cut(image: np.ndarray, square: np.ndarray, side_px: int = SIDE_PX) -> np.ndarray:
    """uint8 (side, side, 3): the square of `image`, grey where it reaches beyond the picture."""
    warp = warp_to(square, side_px)
    shrink = int(1 / warp[0, 0])
    if shrink >= 2:  # a linear filter would skip pixels
        image = cv2.blur(image, (shrink, shrink))
    return cv2.warpAffine(image, warp, (side_px, side_px), flags=cv2.INTER_LINEAR, borderValue=(114, 114, 114))


def keypoints_of(maps: np.ndarray, seen: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Logits of the network to key points in the picture.

    Args:
        maps: (N, 17, CELLS, CELLS), the softmax over a map is where the key point is. seen: (N, 17), the logit of its
            being seen or next to what is seen. squares: (N, 3) as from `square_of`.

    Returns:
        float32 (N, 17, 3): x, y and confidence, the chance of being seen times the share of the map's weight that is
        within two cells of its peak.
    """
    n, points = maps.shape[:2]
    if not n:
        return np.zeros((0, points, 3), np.float32)
    flat = maps.reshape(n, points, -1).astype(np.float32)
    weight = np.exp(flat - flat.max(-1, keepdims=True))
    weight /= weight.sum(-1, keepdims=True)
    peak = flat.argmax(-1)
    cells = np.arange(CELLS)
    near_x = np.abs(cells - (peak % CELLS)[..., None]) <= _WINDOW
    near_y = np.abs(cells - (peak // CELLS)[..., None]) <= _WINDOW
    weight = weight.reshape(maps.shape) * (near_y[..., :, None] & near_x[..., None, :])
    mass = weight.sum((-1, -2))
    cell = np.stack([(weight.sum(-2) * cells).sum(-1), (weight.sum(-1) * cells).sum(-1)], -1) / mass[..., None]
    pixel = (cell + 0.5) / CELLS - 0.5  # shares of the square's side from its middle
    xy = squares[:, None, :2] + pixel * squares[:, None, 2:]
    confidence = mass / (1 + np.exp(-seen.astype(np.float32)))
    return np.concatenate([xy, confidence[..., None]], -1).astype(np.float32)
