# SPDX-License-Identifier: AGPL-3.0-or-later
"""Grounds and pictures on labels. Images are uint8 RGB; a label names its colours as `#rrggbb`."""

from __future__ import annotations

import cv2
import numpy as np

PATTERNS = ("plain", "bands", "stripes", "diag", "split", "wave", "burst", "dots", "checks", "frame", "window")
MOTIFS = (
    "none", "fruit", "bolt", "shield", "leaf", "drop", "star", "cow", "wheat", "chip", "nut", "bean", "bowl", "biscuit",
    "flower",
)  # fmt: skip


def _rgb(colour: str) -> tuple[int, int, int]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))


def draw_pattern(label: dict, width: int, height: int) -> np.ndarray:
    """The ground of a label, shape (height, width, 3): `primary` with `secondary` in the form that `pattern` names."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    u, v = x / width, y / height
    cm = width / 7.0  # patterns keep their size relative to the panel
    masks = {
        "plain": lambda: v < 0,
        "bands": lambda: (np.abs(v - 0.42) < 0.13) | (np.abs(v - 0.92) < 0.04),
        "stripes": lambda: np.floor(u * 7) % 2 == 1,
        "diag": lambda: u + 0.5 * v * height / width < 0.55,
        "split": lambda: v > 0.55 + 0.10 * (u - 0.5) ** 2 * 4,
        "wave": lambda: np.abs(v - 0.62 - 0.07 * np.sin(2 * np.pi * (u + 0.1))) < 0.09,
        "burst": lambda: np.floor(np.arctan2(y - 0.6 * height, x - 0.5 * width) / np.pi * 9) % 2 == 0,
        "dots": lambda: np.hypot((x / cm) % 1 - 0.5, (y / cm) % 1 - 0.5) < 0.28,
        "checks": lambda: (np.floor(x / cm) + np.floor(y / cm)) % 2 == 0,
        "frame": lambda: np.minimum(np.minimum(x, width - x), np.minimum(y, height - y)) < 0.09 * width,
        "window": lambda: np.hypot((u - 0.5) / 0.42, (v - 0.66) / 0.26) < 1,
    }
    image = np.empty((height, width, 3), np.uint8)
    image[:] = _rgb(label["primary"])
    image[masks[label["pattern"]]()] = _rgb(label["secondary"])
    return image


def draw_motif(image: np.ndarray, label: dict, centre_px: tuple[float, float], radius_px: float) -> None:
    """Draw the label's picture into `image` around `centre_px`."""
    accent, second, first = (_rgb(label[k]) for k in ("accent", "secondary", "primary"))
    cx, cy, r = *centre_px, radius_px

    def at(dx: float, dy: float) -> tuple[int, int]:
        return round(cx + dx * r), round(cy + dy * r)

    def ellipse(dx, dy, rx, ry, colour, angle=0.0):
        axes = (max(1, round(rx * r)), max(1, round(ry * r)))
        cv2.ellipse(image, at(dx, dy), axes, angle, 0, 360, colour, -1, cv2.LINE_AA)

    def polygon(points, colour):
        cv2.fillPoly(image, [np.array([at(*p) for p in points], np.int32)], colour, cv2.LINE_AA)

    def around(n, radius, phase=0.0):
        angles = phase + 2 * np.pi * np.arange(n) / n
        return [(radius * np.sin(a), -radius * np.cos(a)) for a in angles]

    match label["motif"]:
        case "fruit":
            ellipse(0, 0.12, 0.8, 0.78, accent)
            ellipse(-0.25, -0.1, 0.2, 0.14, (255, 255, 255), -35)
            ellipse(0.3, -0.78, 0.34, 0.15, (60, 150, 60), -30)
        case "bolt":
            polygon([(0.3, -1), (-0.55, 0.15), (-0.05, 0.15), (-0.3, 1), (0.55, -0.2), (0.05, -0.2)], accent)
        case "shield":
            polygon([(-0.75, -0.8), (0.75, -0.8), (0.75, 0.15), (0, 0.95), (-0.75, 0.15)], accent)
            polygon([(-0.5, -0.55), (0.5, -0.55), (0.5, 0.08), (0, 0.6), (-0.5, 0.08)], first)
        case "leaf":
            ellipse(0, 0, 0.42, 0.95, accent, 35)
            cv2.line(image, at(-0.5, 0.75), at(0.5, -0.7), second, max(1, round(0.07 * r)), cv2.LINE_AA)
        case "drop":
            ellipse(0, 0.3, 0.6, 0.6, accent)
            polygon([(-0.55, 0.1), (0, -1), (0.55, 0.1)], accent)
            ellipse(-0.2, 0.4, 0.12, 0.2, (255, 255, 255), 20)
        case "star":
            outer, inner = around(5, 1.0), around(5, 0.42, np.pi / 5)
            polygon([p for pair in zip(outer, inner, strict=True) for p in pair], accent)
        case "cow":
            for dx, dy, rx, ry in ((-0.6, -0.35, 0.5, 0.35), (0.45, 0.05, 0.6, 0.4), (-0.35, 0.6, 0.35, 0.3)):
                ellipse(dx, dy, rx, ry, accent, 20)
        case "wheat":
            cv2.line(image, at(0, 1), at(0, -0.8), accent, max(1, round(0.08 * r)), cv2.LINE_AA)
            for i in range(5):
                for side in (-1, 1):
                    ellipse(0.24 * side, -0.8 + 0.3 * i, 0.13, 0.27, accent, 35 * side)
        case "chip":
            for dx, dy, angle in ((-0.5, 0.3, 20), (0.45, 0.35, -25), (0, -0.3, 5)):
                ellipse(dx, dy, 0.58, 0.38, (180, 110, 30), angle)
                ellipse(dx, dy, 0.5, 0.3, (246, 196, 84), angle)
        case "nut":
            for dx, dy in ((-0.45, -0.2), (0.1, 0.35), (0.5, -0.3)):
                ellipse(dx, dy - 0.2, 0.27, 0.3, accent)
                ellipse(dx, dy + 0.2, 0.3, 0.33, accent)
        case "bean":
            for dx, dy, angle in ((-0.4, -0.1, 30), (0.4, 0.25, -20), (0.15, -0.55, 60)):
                ellipse(dx, dy, 0.28, 0.45, accent, angle)
                ellipse(dx, dy, 0.05, 0.36, first, angle)
        case "bowl":
            ellipse(0, 0, 0.95, 0.3, (235, 235, 235))
            ellipse(0, -0.02, 0.8, 0.2, (214, 150, 50))
            cv2.ellipse(image, at(0, 0), (round(0.95 * r), round(0.85 * r)), 0, 0, 180, accent, -1, cv2.LINE_AA)
        case "biscuit":
            ellipse(0, 0, 0.85, 0.85, accent)
            for dx, dy in around(6, 0.5):
                ellipse(dx, dy, 0.1, 0.1, first)
        case "flower":
            for dx, dy in around(6, 0.55):
                ellipse(dx, dy, 0.34, 0.34, accent)
            ellipse(0, 0, 0.3, 0.3, (255, 240, 120))
