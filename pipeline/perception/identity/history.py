# SPDX-License-Identifier: AGPL-3.0-or-later
"""The last seconds of every label: which cameras' own tracks it was made of, and how tall it was."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

CameraTrack = tuple[str, int]
"""Camera id and the number that its own tracker gave."""


@dataclass(frozen=True)
class Moment:
    """A label at one instant. `height_m`: apparent height, None where unknown or seen by one camera only. `look`: what
    they wear (`pipeline.perception.appearance`), None where nobody looked."""

    at_ns: int
    xy_m: np.ndarray
    camera_tracks: tuple[CameraTrack, ...]
    height_m: float | None
    look: np.ndarray | None = None


@dataclass
class History:
    """Moments of one label, oldest first, at most `kept_ns` long."""

    kept_ns: int
    born_ns: int
    moments: deque[Moment] = field(default_factory=deque)

    def add(self, moment: Moment) -> None:
        self.moments.append(moment)
        while moment.at_ns - self.moments[0].at_ns > self.kept_ns:
            self.moments.popleft()

    def between(self, since_ns: int, until_ns: int) -> list[Moment]:
        """Moments from `since_ns` on and before `until_ns`."""
        return [m for m in self.moments if since_ns <= m.at_ns < until_ns]

    def forget_before(self, at_ns: int) -> None:
        """What was earlier was somebody else's."""
        while self.moments and self.moments[0].at_ns < at_ns:
            self.moments.popleft()


def looks(moments: Iterable[Moment]) -> Counter[CameraTrack]:
    """In how many looks each camera's own track was this label's."""
    return Counter(track for moment in moments for track in moment.camera_tracks)


def stature_m(moments: Iterable[Moment], share: float, least: int) -> float | None:
    """Height (m) of somebody who stands upright now and then; None with less than `least` heights."""
    heights = [m.height_m for m in moments if m.height_m is not None]
    return float(np.quantile(heights, share)) if len(heights) >= least else None


def owners(before: Mapping[str, Counter[CameraTrack]], pure: float) -> dict[CameraTrack, str]:
    """Whose each camera's track was, of two labels; those that were both's are left out."""
    out = {}
    for label, mine in before.items():
        (other,) = (counts for name, counts in before.items() if name != label)
        for track, n in mine.items():
            if n - other[track] >= pure * (n + other[track]):
                out[track] = label
    return out
