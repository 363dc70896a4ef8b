# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shop from above: floor, shelves, cameras, and where people went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from calibration.layout import StoreLayout

COLOURS = ((40, 90, 220), (200, 110, 30), (60, 160, 40), (170, 50, 160), (20, 150, 190), (90, 90, 90))
"""BGR, one a person, over again."""
_MARGIN_M = 0.6


class PlanView:
    """Draws on a picture of the floor, x to the right, y up.

    Args:
        width_px: of the picture; its height follows from the shop's.
    """

    def __init__(self, layout: StoreLayout, width_px: int = 640) -> None:
        low_x, low_y, high_x, high_y = layout.floor.bounds
        self._low = np.array([low_x, low_y]) - _MARGIN_M
        self._scale = width_px / (high_x - low_x + 2 * _MARGIN_M)
        self._height = int(np.ceil((high_y - low_y + 2 * _MARGIN_M) * self._scale))
        self._base = np.full((self._height, width_px, 3), 235, np.uint8)
        cv2.fillPoly(self._base, [self.pixels(layout.floor_m)], (255, 255, 255))
        cv2.polylines(self._base, [self.pixels(layout.floor_m)], True, (120, 120, 120), 2)
        for shape in [np.array(g.footprint.exterior.coords) for g in layout.gondolas] + list(layout.obstacles_m):
            cv2.fillPoly(self._base, [self.pixels(shape)], (205, 205, 205))
        for gondola in layout.gondolas:
            front = gondola.to_world(np.array([0, gondola.width_m]), 0.0, 0.0)
            cv2.line(self._base, *map(tuple, self.pixels(front[:, :2]).tolist()), (60, 60, 60), 3)
            self._text(gondola.id, np.array(gondola.footprint.centroid.coords[0]), (60, 60, 60))
        for gate in layout.gates:
            cv2.line(self._base, *map(tuple, self.pixels(gate.line_m).tolist()), (60, 180, 60), 2)
        for camera in layout.camera_by_id.values():
            x, y = self.pixels(camera.position_m[None, :2])[0].tolist()
            ahead = camera.position_m[:2] + 0.25 * camera.rotation[2, :2]
            cv2.arrowedLine(
                self._base, (x, y), tuple(self.pixels(ahead[None])[0].tolist()), (0, 0, 0), 1, cv2.LINE_AA, 0, 0.4
            )
            self._text(camera.camera_id, camera.position_m[:2], (0, 0, 0))

    def pixels(self, xy_m) -> np.ndarray:
        """Floor points (N, 2) to whole pixels (N, 2)."""
        moved = (np.asarray(xy_m, float).reshape(-1, 2) - self._low) * self._scale
        return np.stack([moved[:, 0], self._height - 1 - moved[:, 1]], -1).round().astype(np.int32)

    def _text(self, text: str, xy_m: np.ndarray, colour) -> None:
        at = tuple((self.pixels(xy_m[None])[0] + [3, -3]).tolist())
        cv2.putText(self._base, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.36, colour, 1, cv2.LINE_AA)

    def draw(
        self,
        paths_m: Mapping[str, np.ndarray],
        here_m: Mapping[str, tuple[np.ndarray, float]] | None = None,
        hands_m: Sequence[np.ndarray] = (),
    ) -> np.ndarray:
        """uint8 (H, W, 3) BGR.

        Args:
            paths_m: person -> (T, 2). here_m: person -> place and heading now. hands_m: where items were handled.
        """
        picture = self._base.copy()
        colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(paths_m)}
        for name, path in paths_m.items():
            if len(path):
                cv2.polylines(picture, [self.pixels(path)], False, colours[name], 1, cv2.LINE_AA)
        for point in hands_m:
            cv2.drawMarker(picture, tuple(self.pixels(point[None, :2])[0].tolist()), (0, 0, 220), cv2.MARKER_STAR, 9)
        for name, (xy, heading) in (here_m or {}).items():
            x, y = self.pixels(xy[None])[0].tolist()
            nose = xy + 0.3 * np.array([np.cos(heading), np.sin(heading)])
            cv2.circle(picture, (x, y), round(0.22 * self._scale), colours[name], -1, cv2.LINE_AA)
            cv2.line(picture, (x, y), tuple(self.pixels(nose[None])[0].tolist()), colours[name], 3, cv2.LINE_AA)
            cv2.putText(picture, name, (x + 14, y + 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1, cv2.LINE_AA)
        return picture
