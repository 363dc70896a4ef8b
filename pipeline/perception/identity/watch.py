# SPDX-License-Identifier: AGPL-3.0-or-later
"""`IdentityWatch`: from the floor tracks of each window to events about who is who.

It only looks at what a tracker says, so it works beside any: two labels that come nearer than two bodies meet; when
they are apart again, what each was before is compared with what each is since (`evidence`). What may have been an
exchange is told as `TrackAmbiguous`; when enough is seen it is settled by `TracksSwapped` or `TracksKept`. Labels that
leap to one another's places (`leaps`) were exchanged until then. Labels that are one person are merged (`reappear`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.layout import StoreLayout
from pipeline.messages import (
    CameraTracks,
    Event,
    FloorTrack,
    TrackAmbiguous,
    TracksKept,
    TracksMerged,
    TracksSwapped,
)
from pipeline.perception.appearance import together
from pipeline.perception.identity.evidence import chance, clothes, met, statures, votes
from pipeline.perception.identity.history import History, Moment
from pipeline.perception.identity.leaps import leapt
from pipeline.perception.identity.reappear import Reappearances, Same
from pipeline.perception.identity.settings import IdentitySettings
from pipeline.perception.recorded import Room
from pipeline.perception.zones import zones_of

NS = 1_000_000_000
Pair = tuple[str, str]


@dataclass
class _Meeting:
    """Two labels that could be taken for one another."""

    since_ns: int
    near_ns: int
    """The last time that they were near."""
    closest_ns: int
    least_d2: float
    judged_ns: int = 0
    told: TrackAmbiguous | None = None


class IdentityWatch:
    """`update` once a window, in order; `flush` when somebody leaves."""

    def __init__(self, place: StoreLayout | Room, settings: IdentitySettings | None = None) -> None:
        self._store_id, self._zones = place.store_id, zones_of(place)
        self._settings = settings or IdentitySettings()
        self._histories: dict[str, History] = {}
        self._meetings: dict[Pair, _Meeting] = {}
        self._leaps: dict[Pair, int] = {}
        self._swaps: list[tuple[int, Pair]] = []
        self._reappearances = Reappearances(self._zones, self._settings)
        self._now_ns = 0

    def update(
        self,
        camera_tracks: Iterable[CameraTracks],
        floor_tracks: Sequence[FloorTrack],
        at_ns: int,
    ) -> list[Event]:
        """What is to be said of meetings that ended lately. `camera_tracks`: those that the tracks' `sources` mean."""
        self._now_ns = at_ns
        events: list[Event] = self._corrected(floor_tracks)
        self._remember({c.camera_id: c for c in camera_tracks}, floor_tracks)
        self._meet(floor_tracks)
        events += [self._merged(same) for same in self._reappearances.update(floor_tracks, at_ns)]
        for pair, meeting in list(self._meetings.items()):
            events += self._judge(pair, meeting)
        return events

    def flush(self, track_id: str) -> list[Event]:
        """This person leaves: what can be said of their meetings now, whether they are over or not."""
        events: list[Event] = []
        for pair, meeting in list(self._meetings.items()):
            if track_id in pair:
                events += self._judge(pair, meeting, last=True)
        return events

    def finish(self) -> list[Event]:
        """It is over: what can be said of everybody's meetings now."""
        return [e for pair in sorted(self._meetings) for e in self._judge(pair, self._meetings[pair], last=True)]

    # --- the steps ---

    def _remember(self, cameras: dict[str, CameraTracks], floor_tracks: Sequence[FloorTrack]) -> None:
        s = self._settings
        kept_ns = round((s.stature_s + s.longest_s + s.settle_s) * NS)
        for track in floor_tracks:
            mine = [
                (camera, int(cameras[camera].track_id[row]))
                for camera, row in track.sources.items()
                if camera in cameras and cameras[camera].track_id[row] >= 0
            ]
            height_m = track.height_m if len(track.sources) > 1 else None
            history = self._histories.setdefault(track.track_id, History(kept_ns, track.at_ns))
            history.add(Moment(track.at_ns, track.floor_xy_m, tuple(mine), height_m, _look(track, cameras, s.looks)))
        long_ago_ns = self._now_ns - kept_ns
        self._histories = {k: h for k, h in self._histories.items() if h.moments[-1].at_ns >= long_ago_ns}

    def _meet(self, floor_tracks: Sequence[FloorTrack]) -> None:
        """Begin meetings, and go on with those whose people are still, or again, near one another."""
        s = self._settings
        known = sorted((t for t in floor_tracks if self._zones.within(t.floor_xy_m)), key=lambda t: t.track_id)
        if len(known) < 2:
            return
        d2, distance_m = _distances(known, s.measured_sigma_m)
        unseen = np.array([not t.sources for t in known])
        near = (distance_m < s.near_m) | ((d2 < s.near_d2) & (unseen[:, None] | unseen))
        for i, k in zip(*np.nonzero(np.triu(near, 1)), strict=True):
            pair = (known[i].track_id, known[k].track_id)
            meeting = self._meetings.setdefault(pair, _Meeting(self._now_ns, self._now_ns, self._now_ns, np.inf))
            meeting.near_ns = self._now_ns
            if d2[i, k] < meeting.least_d2:
                meeting.least_d2, meeting.closest_ns = float(d2[i, k]), self._now_ns

    def _corrected(self, floor_tracks: Sequence[FloorTrack]) -> list[Event]:
        """Labels that leapt to one another's places: the tracker knows better now who is who, and was wrong since they
        came nearest lately. They were exchanged then, and are what they were from now on.

        What the watch itself had told of that exchange is taken back, or it would be corrected twice.
        """
        events: list[Event] = []
        first_ns = self._now_ns - round(self._settings.leap_back_s * NS)
        self._leaps = {pair: at_ns for pair, at_ns in self._leaps.items() if at_ns > first_ns}
        self._swaps = [told for told in self._swaps if told[0] > first_ns]
        for ring in leapt(floor_tracks, self._histories, self._settings):
            labels = {label for pair in ring for label in pair}
            told = [swap for swap in self._swaps if labels.issuperset(swap[1])]
            self._swaps = [swap for swap in self._swaps if swap not in told]
            since_ns = min(self._nearest_ns(pair, self._leaps.get(pair, first_ns)) for pair in ring)
            since_ns = max([since_ns, *(at_ns + 1 for at_ns, _ in told)])
            taken_back = [pair for _, pair in reversed(told)]
            for begins_ns, pairs in ((since_ns, taken_back + ring), (self._now_ns, ring[::-1])):
                # One after the other, as the order matters where there are three.
                events += [self._exchange(pair, begins_ns + k, "labels leapt back") for k, pair in enumerate(pairs)]
            self._leaps.update(dict.fromkeys(ring, self._now_ns))
        return events

    def _nearest_ns(self, pair: Pair, first_ns: int) -> int:
        """When the two were nearest (to 0.1 m, the last time) from `first_ns` on."""
        mine, theirs = ({m.at_ns: m.xy_m for m in self._histories[t].between(first_ns, self._now_ns)} for t in pair)
        away = {at: round(float(np.hypot(*(xy - theirs[at]))), 1) for at, xy in mine.items() if at in theirs}
        return min(away, key=lambda at: (away[at], -at), default=first_ns)

    def _judge(self, pair: Pair, meeting: _Meeting, last: bool = False) -> list[Event]:
        s = self._settings
        gone = any(self._histories[label].moments[-1].at_ns < self._now_ns for label in pair)
        apart_s = (self._now_ns - meeting.near_ns) / NS
        last |= apart_s >= s.clear_s + s.settle_s or (gone and apart_s >= s.clear_s)
        last |= self._now_ns - meeting.since_ns >= s.longest_s * NS
        if apart_s < s.clear_s + s.judge_s and not last:
            return []
        if not last and self._now_ns - meeting.judged_ns < s.judge_every_s * NS:
            return []
        meeting.judged_ns = self._now_ns
        exchanged = self._exchanged(pair, meeting)
        told = meeting.told
        if exchanged >= s.sure:
            events = [self._swapped(pair, meeting, exchanged)]
            self._swaps.append((meeting.closest_ns, pair))
            for label in pair:
                self._histories[label].forget_before(meeting.near_ns)
        elif told is not None and exchanged <= (s.say if last else 1 - s.sure):
            events = [self._kept(pair, told)]
        elif told is None and exchanged >= s.say:
            events = [self._ambiguous(pair, meeting, exchanged)]
        elif told is not None and last and abs(exchanged - told.exchange_probability) > s.retell:
            events = [self._kept(pair, told), self._ambiguous(pair, meeting, exchanged)]
        else:
            events = []
        if last or (events and not isinstance(events[-1], TrackAmbiguous)):
            del self._meetings[pair]
        return events

    def _merged(self, same: Same) -> Event:
        """What is known of the first label goes on with the second; two labels of one person have not met."""
        pair = tuple(sorted((same.track_id, same.other)))
        self._meetings.pop(pair, None)
        return TracksMerged(
            **self._head("merged", pair, same.at_ns),
            track_id=same.track_id,
            other_track_id=same.other,
            reason=same.reason,
        )

    def _swapped(self, pair: Pair, meeting: _Meeting, exchanged: float) -> Event:
        reason = f"what they were before and what they are since; chance {exchanged:.3f}"
        return self._exchange(pair, meeting.closest_ns, reason, (meeting.told.event_id,) if meeting.told else ())

    def _exchange(self, pair: Pair, at_ns: int, reason: str, settles: tuple[str, ...] = ()) -> Event:
        return TracksSwapped(
            **self._head("swapped", pair, at_ns),
            track_id=pair[0],
            other_track_id=pair[1],
            settles=settles,
            reason=reason,
        )

    def _kept(self, pair: Pair, told: TrackAmbiguous) -> Event:
        return TracksKept(**self._head("kept", pair, self._now_ns), settles=(told.event_id,))

    def _ambiguous(self, pair: Pair, meeting: _Meeting, exchanged: float) -> Event:
        again = "again" if meeting.told else ""
        meeting.told = TrackAmbiguous(
            **self._head(f"ambiguous{again}", pair, meeting.since_ns),
            track_ids=pair,
            until_ns=meeting.near_ns,
            exchange_probability=round(exchanged, 4),
            reason="too near to one another to be told apart",
        )
        return meeting.told

    def _exchanged(self, pair: Pair, meeting: _Meeting) -> float:
        """Probability that each of the two labels is now whom the other was before."""
        s = self._settings
        mine = {label: self._histories[label] for label in pair}
        was = {k: h.between(meeting.since_ns - round(s.before_s * NS), meeting.since_ns) for k, h in mine.items()}
        tall = {k: h.between(meeting.since_ns - round(s.stature_s * NS), meeting.since_ns) for k, h in mine.items()}
        since = {k: h.between(meeting.near_ns + 1, self._now_ns + 1) for k, h in mine.items()}
        said = votes(was, since, s) + statures(tall, since, s) + clothes(tall, since, s)
        return chance(met(meeting.least_d2) + said)

    def _head(self, what: str, pair: Pair, at_ns: int) -> dict:
        name = "\x1f".join((self._store_id, what, *pair, str(at_ns)))
        return {
            "event_id": f"who-{hashlib.sha256(name.encode()).hexdigest()[:16]}",
            "store_id": self._store_id,
            "at_ns": at_ns,
        }


def _look(track: FloorTrack, cameras: Mapping[str, CameraTracks], most: int) -> np.ndarray | None:
    """What somebody wears, from the cameras in which they are largest; None where nobody looked."""
    seen = []
    for camera_id, row in track.sources.items():
        if camera_id in cameras and (found := cameras[camera_id].looks) is not None:
            box = cameras[camera_id].detections.xyxy_px[row]
            seen.append((float(box[1] - box[3]), camera_id, found[row]))
    return together([look for *_, look in sorted(seen, key=lambda one: one[:2])[:most]])


def _distances(tracks: Sequence[FloorTrack], measured_sigma_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Mahalanobis distances squared and distances in metres, each (T, T)."""
    xy = np.stack([t.floor_xy_m for t in tracks])
    spread = np.stack([t.covariance_m2 for t in tracks])
    total = spread[:, None] + spread[None] + 2 * measured_sigma_m**2 * np.eye(2)
    away = xy[:, None] - xy[None]
    d2 = np.einsum("tni,tni->tn", away, np.linalg.solve(total, away[..., None])[..., 0])
    return d2, np.linalg.norm(away, axis=-1)
