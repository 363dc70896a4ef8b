# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where floor tracks have been, seen from a gate."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from calibration.layout import Gate
from pipeline.messages import FloorTrack

S = 1_000_000_000
_SHORT_NS = 4 * S


class GateLine:
    """A gate's exit line. Distances are positive inside; `along` runs from one post (0) to the other (`width_m`)."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        a, b = np.array(gate.line_m, float)
        self._a, self._along = a, (b - a) / np.linalg.norm(b - a)
        self.width_m = float(np.linalg.norm(b - a))
        normal = np.array([-self._along[1], self._along[0]])
        self._inward = normal if normal @ np.array(gate.inward, float) >= 0 else -normal
        self.tap_m = np.array(gate.tap_m, float)

    def inside_m(self, floor_xy_m: np.ndarray) -> float:
        """Signed distance of a floor point (2,) from the line, positive inside."""
        return float((floor_xy_m - self._a) @ self._inward)

    def beside_m(self, floor_xy_m: np.ndarray) -> float:
        """How far a floor point (2,) is beyond the posts, along the line; 0 between them."""
        along = float((floor_xy_m - self._a) @ self._along)
        return max(-along, along - self.width_m, 0.0)

    def inward_m_s(self, velocity_m_s: np.ndarray) -> float:
        return float(velocity_m_s @ self._inward)


@dataclass
class Path:
    """One floor track: where it was first and last seen, and its last seconds."""

    track_id: str
    born_ns: int
    born_xy_m: np.ndarray
    seen_ns: int
    seen_xy_m: np.ndarray
    seen_velocity_m_s: np.ndarray
    recent: deque[tuple[int, np.ndarray]] = field(default_factory=deque)
    windows: int = 0
    """In how many windows it was seen."""
    been_outside: bool = False
    entered_ns: int | None = None
    """When it was seen to come in, last; None for who was in the shop when the track began, or is outside."""
    since_ns: int = 0
    """When it became nobody's: its beginning, or the end of the visit that it had."""

    @classmethod
    def of(cls, track: FloorTrack) -> Path:
        xy = np.array(track.floor_xy_m, float)
        velocity = np.array(track.velocity_m_s, float)
        return cls(track.track_id, track.at_ns, xy, track.last_seen_ns, xy, velocity, since_ns=track.at_ns)

    def add(self, track: FloorTrack) -> bool:
        """False when the track was only predicted, not seen, since the last time."""
        if self.recent and track.last_seen_ns <= self.seen_ns:
            return False
        self.seen_ns, self.seen_xy_m = track.last_seen_ns, np.array(track.floor_xy_m, float)
        self.seen_velocity_m_s = np.array(track.velocity_m_s, float)
        self.windows += 1
        self.recent.append((track.at_ns, self.seen_xy_m))
        while self.recent[0][0] < track.at_ns - _SHORT_NS:
            self.recent.popleft()
        return True
