# SPDX-License-Identifier: AGPL-3.0-or-later
"""`GateKeeper`: visits from the tap to the exit. Pure: time comes with the tracks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from calibration.layout import StoreLayout
from pipeline.gate.paths import GateLine, Path, S
from pipeline.gate.settings import GateSettings
from pipeline.messages import Event, FloorTrack, ShelfEvent, TrackBound, VisitClosed, VisitOpened


@dataclass(frozen=True)
class Exit:
    """A visit has left through `gate_id` at `at_ns`; its tracks' shelf events are to be settled, then `close` it."""

    visit_id: str
    gate_id: str
    at_ns: int
    track_ids: tuple[str, ...]


@dataclass(frozen=True)
class GateUpdate:
    events: tuple[Event, ...] = ()
    exits: tuple[Exit, ...] = ()


@dataclass
class _Visit:
    opened: VisitOpened
    bindings: list[TrackBound] = field(default_factory=list)
    armed: bool = False
    """Has been inside since it began."""
    left_ns: int | None = None
    left_gate_id: str = ""

    @property
    def track_ids(self) -> tuple[str, ...]:
        return tuple(b.track_id for b in self.bindings)


class GateKeeper:
    """Opens a visit at each tap, binds it to a floor track, and sees it out.

    Once a window: `update`. For every exit that it returns: settle the shelf events of the exit's tracks, `note` them,
    and publish what `close` returns. `note` wants every shelf event of the store, as it comes. Who came in without a
    tap has no visit: their shelf events belong to nobody.
    """

    def __init__(self, layout: StoreLayout, settings: GateSettings | None = None) -> None:
        self._settings = settings or GateSettings()
        self._store_id = layout.store_id
        self._lines = {gate.id: GateLine(gate) for gate in layout.gates}
        self._paths: dict[str, Path] = {}
        self._visits: dict[str, _Visit] = {}
        self._visit_of: dict[str, str] = {}
        """track id -> visit id, while the visit is open."""
        self._bound_to: dict[str, list[TrackBound]] = {}
        """track id -> its bindings, also to visits that are closed."""
        self._shelf_events: dict[str, list[ShelfEvent]] = {}
        """track id -> shelf events in which it is among the persons."""
        self._outside: dict[str, tuple[int, str]] = {}
        """track id -> since when, and by which gate, it has been outside the line."""

    def update(self, at_ns: int, tracks: Sequence[FloorTrack], taps: Iterable = ()) -> GateUpdate:
        """One window: `tracks` at `at_ns`, and the taps (`at_ns`, `gate_id`, `shopper_id`) since the last one."""
        events: list[Event] = [self._open(tap) for tap in taps if tap.kind == "entry"]
        for track in sorted(tracks, key=lambda t: t.track_id):
            path = self._paths.setdefault(track.track_id, Path.of(track))
            if path.add(track):
                self._watch_line(path, at_ns)
        events += self._bind(at_ns)
        events += self._stitch(at_ns)
        exits = self._exits(at_ns, lost_ns=round(self._settings.lost_s * S))
        self._forget(at_ns)
        return GateUpdate(tuple(events), tuple(exits))

    def finish(self, at_ns: int) -> GateUpdate:
        """The last window has been: who was on the way out has left; others stay in the shop, unbilled."""
        return GateUpdate((), tuple(self._exits(at_ns, lost_ns=-1)))

    def note(self, events: Iterable[ShelfEvent]) -> None:
        """Remember shelf events for the closing that will name them."""
        for event in events:
            for person in event.persons:
                self._shelf_events.setdefault(person.value, []).append(event)

    def close(self, left: Exit) -> VisitClosed:
        """The closing of a visit that `update` or `finish` reported as left; names everything its bill is made from."""
        visit = self._visits.pop(left.visit_id)
        shelf = {
            e.event_id: e
            for bound in visit.bindings
            for e in self._shelf_events.get(bound.track_id, ())
            if bound.at_ns <= e.at_ns <= left.at_ns
        }
        named: list[Event] = [visit.opened, *visit.bindings]
        others = {p.value for e in shelf.values() for p in e.persons} - set(visit.track_ids)
        named += [bound for track_id in sorted(others) for bound in self._bound_to.get(track_id, ())]
        named += sorted(shelf.values(), key=lambda e: (e.at_ns, e.event_id))
        for track_id in visit.track_ids:
            self._visit_of.pop(track_id, None)
            self._outside.pop(track_id, None)
        return VisitClosed(
            event_id=_digest(visit.opened.visit_id, "closed"),
            store_id=self._store_id,
            at_ns=left.at_ns,
            visit_id=visit.opened.visit_id,
            gate_id=left.gate_id,
            event_ids=tuple(dict.fromkeys(e.event_id for e in named)),
        )

    # --- coming in ---

    def _open(self, tap) -> VisitOpened:
        digest = _digest(self._store_id, tap.gate_id, str(tap.at_ns), tap.shopper_id)
        opened = VisitOpened(
            event_id=_digest(digest, "opened"),
            store_id=self._store_id,
            at_ns=tap.at_ns,
            visit_id=f"v-{digest}",
            gate_id=tap.gate_id,
            shopper_id=tap.shopper_id,
        )
        self._visits.setdefault(opened.visit_id, _Visit(opened))
        return opened

    def _bind(self, at_ns: int) -> list[TrackBound]:
        """Give each visit that has no track yet the one that stood at the tap when the pass was shown."""
        s = self._settings
        events = []
        for visit in sorted(self._visits.values(), key=lambda v: (v.opened.at_ns, v.opened.visit_id)):
            waited_s = (at_ns - visit.opened.at_ns) / S
            if visit.bindings or not s.bind_settle_s <= waited_s <= s.bind_wait_s + s.bind_settle_s:
                continue
            track_id = self._at_tap(visit.opened)
            if track_id is not None:
                events.append(self._bound(visit, track_id, visit.opened.at_ns))
        return events

    def _at_tap(self, opened: VisitOpened) -> str | None:
        """The track nearest to the tap's place at its time; else the one that came nearest shortly before or after."""
        s, line = self._settings, self._lines[opened.gate_id]
        then, around = [], []
        for path in self._paths.values():
            if path.track_id in self._visit_of:
                continue
            when_ns, xy = path.nearest_in_time(opened.at_ns)
            apart_s = abs(when_ns - opened.at_ns) / S
            if apart_s <= s.bind_wait_s:  # who was not seen at that moment has walked meanwhile
                away_m = max(float(np.linalg.norm(xy - line.tap_m)) - s.walk_m_s * apart_s, 0.0)
                then.append((away_m, apart_s, path.track_id))
            near = [
                (float(np.linalg.norm(xy - line.tap_m)), abs(at_ns - opened.at_ns) / S, path.track_id)
                for at_ns, xy in path.recent
                if abs(at_ns - opened.at_ns) <= s.bind_around_s * S
            ]
            around += [min(near)] if near else []
        for chances in (then, around):
            if chances and min(chances)[0] <= line.gate.radius_m:
                return min(chances)[2]
        return None

    def _stitch(self, at_ns: int) -> list[TrackBound]:
        """A track that begins in the middle of the shop continues the visit whose track was lost near there.

        Only when no second lost visit is about as near: nobody is billed for somebody else's hands.
        """
        s = self._settings
        events = []
        for path in sorted(self._paths.values(), key=lambda p: (p.born_ns, p.track_id)):
            age_s = (at_ns - path.born_ns) / S
            if path.track_id in self._bound_to or not s.bind_settle_s <= age_s <= s.bind_settle_s + 1.0:
                continue
            if any(line.inside_m(path.born_xy_m) < s.inside_birth_m for line in self._lines.values()):
                continue
            chances = []
            for visit in self._visits.values():
                lost_ns, lost_xy = self._last_seen(visit)
                gap_s = (path.born_ns - lost_ns) / S
                still_there = at_ns - lost_ns < s.bind_settle_s * S
                if still_there or not -s.lost_s <= gap_s <= s.stitch_s:
                    continue
                away_m = float(np.linalg.norm(path.born_xy_m - lost_xy))
                if away_m <= s.stitch_m + s.walk_m_s * min(max(gap_s, 0.0), s.stitch_walk_s):
                    chances.append((away_m, visit.opened.visit_id))
            chances.sort()
            if chances and (len(chances) == 1 or chances[1][0] > 2 * chances[0][0] + 0.3):
                events.append(self._bound(self._visits[chances[0][1]], path.track_id, path.born_ns))
        return events

    def _bound(self, visit: _Visit, track_id: str, from_ns: int) -> TrackBound:
        bound = TrackBound(
            event_id=_digest(visit.opened.visit_id, "bound", track_id, str(from_ns)),
            store_id=self._store_id,
            at_ns=from_ns,
            visit_id=visit.opened.visit_id,
            track_id=track_id,
        )
        visit.bindings.append(bound)
        self._visit_of[track_id] = visit.opened.visit_id
        self._bound_to.setdefault(track_id, []).append(bound)
        return bound

    def _last_seen(self, visit: _Visit) -> tuple[int, np.ndarray]:
        """When and where one of its tracks was seen last; the tap while it has none."""
        seen = [self._paths[t] for t in visit.track_ids if t in self._paths]
        if not seen:
            return visit.opened.at_ns, self._lines[visit.opened.gate_id].tap_m
        newest = max(seen, key=lambda p: p.seen_ns)
        return newest.seen_ns, newest.seen_xy_m

    # --- going out ---

    def _watch_line(self, path: Path, at_ns: int) -> None:
        """Arm who has come in, and note who is beyond a line."""
        visit = self._visits.get(self._visit_of.get(path.track_id, ""))
        gate_id, line = self._nearest_line(path.seen_xy_m)
        inside_m = line.inside_m(path.seen_xy_m)
        if inside_m >= 0:
            self._outside.pop(path.track_id, None)
            if visit is not None and inside_m >= self._settings.arm_m:
                visit.armed = True
        elif line.beside_m(path.seen_xy_m) <= self._settings.line_margin_m:
            self._outside.setdefault(path.track_id, (at_ns, gate_id))

    def _exits(self, at_ns: int, lost_ns: int) -> list[Exit]:
        """Visits whose last seen track is outside, or was lost on its way there."""
        exits = []
        for visit in sorted(self._visits.values(), key=lambda v: (v.opened.at_ns, v.opened.visit_id)):
            seen = [self._paths[t] for t in visit.track_ids if t in self._paths]
            if not seen or not visit.armed:
                continue
            newest = max(seen, key=lambda p: (p.seen_ns, p.track_id))
            left = self._has_left(newest, at_ns, lost_ns)
            if left is not None:
                exits.append(Exit(visit.opened.visit_id, left[1], left[0], visit.track_ids))
        return exits

    def _has_left(self, path: Path, at_ns: int, lost_ns: int) -> tuple[int, str] | None:
        """When, and by which gate; None while inside."""
        s = self._settings
        gate_id, line = self._nearest_line(path.seen_xy_m)
        inside_m = line.inside_m(path.seen_xy_m)
        is_lost = at_ns - path.seen_ns > lost_ns
        outside = self._outside.get(path.track_id)
        if outside is not None:
            since_ns = outside[0]
            if inside_m <= -s.confirm_m or path.seen_ns - since_ns >= s.confirm_s * S or is_lost:
                return outside
        heading_out = line.inward_m_s(path.seen_velocity_m_s) <= -s.heading_out_m_s
        near = inside_m <= s.near_m and line.beside_m(path.seen_xy_m) <= s.line_margin_m
        if is_lost and near and heading_out:
            return path.seen_ns, gate_id
        return None

    def _nearest_line(self, floor_xy_m: np.ndarray) -> tuple[str, GateLine]:
        def distance(item: tuple[str, GateLine]) -> float:
            return float(np.hypot(item[1].inside_m(floor_xy_m), item[1].beside_m(floor_xy_m)))

        return min(self._lines.items(), key=distance)

    def _forget(self, at_ns: int) -> None:
        oldest_ns = at_ns - round(self._settings.forget_s * S)
        gone = [t for t, path in self._paths.items() if path.seen_ns < oldest_ns and t not in self._visit_of]
        for track_id in gone:
            del self._paths[track_id]
            for memory in (self._bound_to, self._shelf_events, self._outside):
                memory.pop(track_id, None)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]
