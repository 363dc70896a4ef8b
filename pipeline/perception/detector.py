# SPDX-License-Identifier: AGPL-3.0-or-later
"""People in the pictures of one window. Cameras where nobody is and nothing moves are looked at less often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np

from pipeline.messages import SMALL_SIDE_PX, Detections, Frame, FrameSet

NS = 1_000_000_000


class Network(Protocol):
    """What `models.backend.PoseNetwork` offers, as far as it is used here."""

    def infer(self, images: Sequence[np.ndarray]) -> list[Detections]: ...


class Refiner(Protocol):
    """What `models.keypoints.refiner.KeypointRefiner` offers."""

    def refine(self, found: Sequence[tuple[Frame, Detections]]) -> list[Detections]: ...


@dataclass(frozen=True)
class GateSettings:
    """When a camera's picture is worth the network's time."""

    idle_interval_s: float = 0.45
    """Longest pause of an empty, still camera. Below 2 looks a second identities break."""
    linger_s: float = 1.0
    """A camera goes on at full rate for so long after the last person or movement was seen in it."""
    person_score: float = 0.25
    """A detection this sure counts as somebody in view."""
    cell_px: int = 16
    """Side of a cell of the motion picture, in pixels of `Frame.small`."""
    cell_change: float = 8.0
    """Grey levels by which a cell must differ from the window before; means over a cell have next to no noise."""
    cells: int = 1


class MotionGate:
    """Decides for one camera, window by window, whether the network should look."""

    def __init__(self, settings: GateSettings) -> None:
        self._settings = settings
        self._previous: np.ndarray | None = None
        self._looked_ns: int | None = None
        self._alive_ns: int | None = None

    def wants(self, frame: Frame) -> bool:
        s = self._settings
        cells = _cells(frame, s.cell_px)
        moved = self._previous is not None and (
            np.count_nonzero(np.abs(cells - self._previous) > s.cell_change) >= s.cells
        )
        self._previous = cells
        now_ns = frame.captured_at_ns
        if moved:
            self._alive_ns = now_ns
        alive = self._alive_ns is not None and now_ns - self._alive_ns <= s.linger_s * NS
        due = self._looked_ns is None or now_ns - self._looked_ns >= s.idle_interval_s * NS
        if not (alive or due):
            return False
        self._looked_ns = now_ns
        return True

    def saw(self, frame: Frame, people: Detections) -> None:
        if len(people) and people.score.max() >= self._settings.person_score:
            self._alive_ns = frame.captured_at_ns


def _cells(frame: Frame, cell_px: int) -> np.ndarray:
    """Mean brightness of square cells, float32, from every other pixel of the small picture's size."""
    step = max(1, round(max(frame.size_px) / SMALL_SIDE_PX)) * 2
    planar = frame.pixels.ndim == 2
    grey = np.ascontiguousarray((frame.planes[0] if planar else frame.pixels[..., 1])[::step, ::step])
    cell = max(1, cell_px // 2)
    height, width = max(grey.shape[0] // cell, 1), max(grey.shape[1] // cell, 1)
    # A whole number of pixels a cell is the resampler's fast path.
    return cv2.resize(grey[: height * cell, : width * cell], (width, height), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )


class PersonDetector:
    """All cameras' people of one window through one network, in pixels of the native pictures.

    `refiner`: a second, closer look at each of them for their key points.
    """

    def __init__(
        self,
        network: Network,
        gate: GateSettings | None = None,
        gated: bool = True,
        refiner: Refiner | None = None,
    ) -> None:
        self._network = network
        self._refiner = refiner
        self._settings = gate or GateSettings()
        self._gated = gated
        self._gates: dict[str, MotionGate] = {}

    def update(self, frame_set: FrameSet) -> dict[str, Detections]:
        """camera id -> people; a camera that was not looked at in this window is absent."""
        frames = [
            frame for _, frame in sorted(frame_set.frames.items()) if not self._gated or self._gate(frame).wants(frame)
        ]
        results = self._network.infer([frame.small for frame in frames]) if frames else []
        people = [
            _scaled(found, frame.size_px[0] / frame.small.shape[1])
            for frame, found in zip(frames, results, strict=True)
        ]
        if self._refiner is not None:
            people = self._refiner.refine(list(zip(frames, people, strict=True)))
        for frame, found in zip(frames, people, strict=True):
            self._gate(frame).saw(frame, found)
        return {frame.camera_id: found for frame, found in zip(frames, people, strict=True)}

    def reset(self) -> None:
        self._gates.clear()

    def _gate(self, frame: Frame) -> MotionGate:
        return self._gates.setdefault(frame.camera_id, MotionGate(self._settings))


def _scaled(people: Detections, scale: float) -> Detections:
    """From pixels of the small picture to native ones; pixel centres are whole numbers in both."""
    if scale == 1 or not len(people):
        return people
    shift = (scale - 1) / 2
    keypoints = people.keypoints_px.copy()
    keypoints[..., :2] = keypoints[..., :2] * scale + shift
    return Detections((people.xyxy_px * scale + shift).astype(np.float32), people.score, keypoints.astype(np.float32))
