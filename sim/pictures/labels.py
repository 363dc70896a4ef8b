# SPDX-License-Identifier: AGPL-3.0-or-later
"""Labels as an annotator would give them, read from the picture of who is seen where."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calibration.camera import Camera

FLIP = [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15]
"""Left and right change places in a mirrored picture."""
_NEAR = 0.05
"""A hidden key point this near to what is seen of its person, as a share of the box's diagonal, can be guessed."""


@dataclass(frozen=True)
class PersonLabel:
    """`xyxy_px` (4,): box of what is seen. `keypoints_px` (17, 2). `flags` (17,): 0 not labelled, 1 hidden but to be
    guessed, 2 seen, as in COCO."""

    xyxy_px: np.ndarray
    keypoints_px: np.ndarray
    flags: np.ndarray


def person_label(
    camera: Camera, keypoints_m: np.ndarray, mask: np.ndarray, scale: int, least_px: int
) -> PersonLabel | None:
    """The label of one person; None when fewer than `least_px` pixels of the picture show them.

    `mask`: bool (h, w), where the person is seen, in pixels of `scale` picture pixels.
    """
    if mask.sum() * scale * scale < least_px:
        return None
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    x1, x2, y1, y2 = columns[0], columns[-1] + 1, rows[0], rows[-1] + 1
    width, height = camera.size_px
    pixels = camera.project(keypoints_m)
    with np.errstate(invalid="ignore"):
        inside = (pixels >= 0).all(1) & (pixels[:, 0] < width - 0.5) & (pixels[:, 1] < height - 0.5)
    flags = np.zeros(17, int)
    if inside.any():
        at = np.clip((pixels[inside] / scale).astype(int), 0, np.array(mask.shape)[::-1] - 1)
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)[at[:, 1], at[:, 0]]
        diagonal = np.hypot(x2 - x1, y2 - y1)
        flags[inside] = np.where(away <= 1, 2, np.where(away < _NEAR * diagonal, 1, 0))
    box = np.array([x1, y1, x2, y2], float) * scale
    return PersonLabel(
        np.minimum(box, [width, height, width, height]), np.where(flags[:, None] > 0, pixels, 0.0), flags
    )


def pose_line(label: PersonLabel, size_px: tuple[int, int]) -> str:
    """One line of an Ultralytics pose label file, class 0."""
    width, height = size_px
    x1, y1, x2, y2 = label.xyxy_px
    values = [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
    points = []
    for (x, y), flag in zip(label.keypoints_px, label.flags, strict=True):
        points += [f"{x / width:.5f}", f"{y / height:.5f}", str(int(flag))]
    return " ".join(["0", *(f"{v:.5f}" for v in values), *points])
