# SPDX-License-Identifier: AGPL-3.0-or-later
"""People in the pictures of one window, as far as they are worth the network's time (`attention`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from pipeline.messages import Detections, Frame, FrameSet
from pipeline.perception.attention import Attention, AttentionSettings


class Network(Protocol):
    """What `models.backend.PoseNetwork` offers, as far as it is used here. An attribute `parts` names the
    shares of a picture's width at which it costs less."""

    def infer(self, images: Sequence[np.ndarray]) -> list[Detections]: ...


class Refiner(Protocol):
    """What `models.keypoints.refiner.KeypointRefiner` offers."""

    def refine(self, found: Sequence[tuple[Frame, Detections]]) -> list[Detections]: ...


class PersonDetector:
    """All cameras' people of one window through one network, in pixels of the native pictures.

    `gated` false looks at the whole of every picture. `refiner`: a second, closer look at each of them for their key
    points.
    """

    def __init__(
        self,
        network: Network,
        attention: AttentionSettings | None = None,
        gated: bool = True,
        refiner: Refiner | None = None,
    ) -> None:
        self._network = network
        self._refiner = refiner
        self._settings = attention
        self._gated = gated
        self._cameras: dict[str, Attention] = {}

    def update(self, frame_set: FrameSet) -> dict[str, Detections]:
        """camera id -> people; a camera that was not looked at in this window is absent."""
        frames = {camera_id: frame for camera_id, frame in sorted(frame_set.frames.items())}
        if not self._gated:
            return self._refined(frames, self._find(frames, {}))
        parts = {c: part for c, frame in frames.items() if (part := self._attention(c).look(frame)) is not None}
        found = self._find({c: frames[c] for c in parts}, parts)
        cut = {c: frames[c] for c, part in parts.items() if self._attention(c).cut_off(frames[c], part, found[c])}
        found |= self._find(cut, {})
        return self._refined(frames, {c: self._attention(c).saw(frames[c], people) for c, people in found.items()})

    def reset(self) -> None:
        self._cameras.clear()

    def _attention(self, camera_id: str) -> Attention:
        if camera_id not in self._cameras:
            parts = getattr(self._network, "parts", ())
            self._cameras[camera_id] = Attention(self._settings, parts=parts)
        return self._cameras[camera_id]

    def _find(self, frames: dict[str, Frame], parts: dict[str, slice]) -> dict[str, Detections]:
        """People in the parts (columns of `Frame.small`), or where none is named in the whole pictures."""
        if not frames:
            return {}
        columns = [parts.get(c, slice(0, frame.small.shape[1])) for c, frame in frames.items()]
        images = [frame.small[:, part] for frame, part in zip(frames.values(), columns, strict=True)]
        return {
            camera_id: _native(people, part.start, frame.size_px[0] / frame.small.shape[1])
            for (camera_id, frame), part, people in zip(
                frames.items(), columns, self._network.infer(images), strict=True
            )
        }

    def _refined(self, frames: dict[str, Frame], found: dict[str, Detections]) -> dict[str, Detections]:
        if self._refiner is None:
            return found
        refined = self._refiner.refine([(frames[c], people) for c, people in found.items()])
        return dict(zip(found, refined, strict=True))


def _native(people: Detections, left: int, scale: float) -> Detections:
    """From pixels of a part of the small picture to native ones; pixel centres are whole numbers in both."""
    if not len(people) or (scale == 1 and not left):
        return people
    shift = np.array([left * scale + (scale - 1) / 2, (scale - 1) / 2])
    keypoints = people.keypoints_px.copy()
    keypoints[..., :2] = keypoints[..., :2] * scale + shift
    boxes = people.xyxy_px * scale + np.tile(shift, 2)
    return Detections(boxes.astype(np.float32), people.score, keypoints.astype(np.float32))
