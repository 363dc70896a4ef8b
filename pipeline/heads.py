# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where heads are in the cameras' pictures, window by window, for a film in which nobody is to be recognised.

Evidence is cut later and knows what came after (`pipeline.evidence.cover`); a film that is drawn while a shop runs
knows the past alone. A head that is lost for a moment stays covered where it was, and one that this camera does not
find while the floor tracker knows where the person is, is covered where it should be.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calibration.layout import StoreLayout
from pipeline.evidence.body import body_on_floor, head_box, is_hidden
from pipeline.messages import CameraTracks, FloorTrack

_HOLD_NS = 700_000_000


class Heads:
    """Of all cameras of a layout."""

    def __init__(self, layout: StoreLayout) -> None:
        self._layout = layout
        self._seen: dict[str, dict[object, tuple[int, np.ndarray]]] = {}

    def boxes(
        self, camera_id: str, at_ns: int, tracks: CameraTracks | None, floor_tracks: Sequence[FloorTrack]
    ) -> list[np.ndarray]:
        """(4,) x1, y1, x2, y2 each, in pixels of the camera. To be asked once a window. `tracks`: None where the camera
        was not looked at."""
        seen = self._seen.setdefault(camera_id, {})
        if tracks is not None:
            people = tracks.detections
            for key in [k for k in seen if not isinstance(k, int)]:
                del seen[key]
            for row, track in enumerate(tracks.track_id.tolist()):
                head = head_box(people.xyxy_px[row], people.keypoints_px[row])
                seen[track if track >= 0 else ("", row)] = at_ns, head
        for key in [k for k, (when_ns, _) in seen.items() if abs(at_ns - when_ns) > _HOLD_NS]:
            del seen[key]
        return [head for _, head in seen.values()] + self._assumed(camera_id, floor_tracks)

    def _assumed(self, camera_id: str, floor_tracks: Sequence[FloorTrack]) -> list[np.ndarray]:
        camera, found = self._layout.camera_by_id[camera_id], []
        for track in floor_tracks:
            if camera_id in track.sources:
                continue
            body = body_on_floor(camera, track.floor_xy_m)
            if body is not None and not is_hidden(self._layout.shelves, camera, track.floor_xy_m):
                found.append(body[1])
        return found
