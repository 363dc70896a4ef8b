# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who has gone out: over the line, or lost on the way there. A party has left when its last member has."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.gate.paths import Path, S
from pipeline.gate.present import OpenVisit, Present
from pipeline.gate.settings import GateSettings


@dataclass(frozen=True)
class Exit:
    """A visit has left through `gate_id` at `at_ns`; its tracks' shelf events are to be settled, then `close` it. Until
    that is done, every update tells of it again. `returning`: a label of theirs is seen inside again."""

    visit_id: str
    gate_id: str
    at_ns: int
    track_ids: tuple[str, ...]
    returning: bool = False


class Departures:
    def __init__(self, present: Present, settings: GateSettings) -> None:
        self._present, self._settings = present, settings
        self._gone: dict[str, int | None] = {}
        """Tracks that were beyond a line for sure -> since when they have been seen inside again."""

    def watch(self, path: Path, at_ns: int) -> None:
        """Arm who has come in, and note who is beyond a line."""
        present, s = self._present, self._settings
        gate_id, line = present.nearest_line(path.seen_xy_m)
        inside_m = line.inside_m(path.seen_xy_m)
        if inside_m >= 0:
            if self._is_gone(path.track_id, at_ns):
                return
            present.outside.pop(path.track_id, None)
            visit = present.visit_of(path.track_id)
            if visit is not None and inside_m >= s.arm_m:
                visit.armed.add(present.who[path.track_id][1])
        elif line.beside_m(path.seen_xy_m) <= s.line_margin_m:
            since_ns, _ = present.outside.setdefault(path.track_id, (at_ns, gate_id))
            if inside_m <= -s.confirm_m or at_ns - since_ns >= s.confirm_s * S:
                self._gone[path.track_id] = None

    def _is_gone(self, track_id: str, at_ns: int) -> bool:
        """Whether somebody who was outside, and is seen inside, is still taken to be outside: the tracker may have
        given the label of who went out to a reflection or to somebody else. Who comes back is seen for a while."""
        if track_id not in self._gone:
            return False
        back_ns = self._gone[track_id]
        if back_ns is None:
            back_ns = self._gone[track_id] = at_ns
        if at_ns - back_ns < self._settings.return_s * S:
            return True
        del self._gone[track_id]
        return False

    def exits(self, at_ns: int, lost_ns: int) -> list[Exit]:
        """Visits of which everybody has left, never came in, or was given up."""
        found = []
        self._gone = {track: since for track, since in self._gone.items() if track in self._present.paths}
        for visit in self._present.in_order():
            if visit.joined:
                found.append(Exit(visit.visit_id, visit.opened.gate_id, max(at_ns, visit.opened.at_ns), ()))
                continue
            left = self._left(visit, at_ns, lost_ns) or (self._given_up(visit, at_ns) if lost_ns >= 0 else None)
            settles = not visit.has_payer and lost_ns >= 0
            if left is not None and settles and at_ns - left[0] < self._settings.no_payer_settle_s * S:
                continue
            if left is not None:
                mine = [t for t, (whose, _) in self._present.who.items() if whose == visit.visit_id]
                labels = tuple(dict.fromkeys([*visit.track_ids, *mine]))
                returning = any(self._gone.get(t) is not None for t in labels)
                found.append(Exit(visit.visit_id, left[1], left[0], labels, returning))
        return found

    def has_left(self, path: Path, at_ns: int, lost_ns: int) -> tuple[int, str] | None:
        """When, and by which gate; None while inside."""
        s = self._settings
        gate_id, line = self._present.nearest_line(path.seen_xy_m)
        inside_m = line.inside_m(path.seen_xy_m)
        is_lost = at_ns - path.seen_ns > lost_ns
        outside = self._present.outside.get(path.track_id)
        if outside is not None:
            since_ns = outside[0]
            if inside_m <= -s.confirm_m or path.seen_ns - since_ns >= s.confirm_s * S or is_lost:
                return outside
        heading_out = line.inward_m_s(path.seen_velocity_m_s) <= -s.heading_out_m_s
        near = inside_m <= s.near_m and line.beside_m(path.seen_xy_m) <= s.line_margin_m
        if is_lost and near and heading_out:
            return path.seen_ns, gate_id
        return None

    def _left(self, visit: OpenVisit, at_ns: int, lost_ns: int) -> tuple[int, str] | None:
        """When and where the last one left; a member lost inside for long is waited for no longer."""
        newest = {m: self._present.newest(visit, m) for m in sorted(visit.armed)}
        left = {m: self.has_left(path, at_ns, lost_ns) for m, path in newest.items() if path is not None}
        gone = [exit_ for exit_ in left.values() if exit_ is not None]
        for member in visit.members:
            path = self._present.newest(visit, member)
            inside = path is not None and left.get(member) is None
            if inside and at_ns - path.seen_ns <= self._settings.party_lost_s * S:
                return None
        return max(gone, default=None)

    def _given_up(self, visit: OpenVisit, at_ns: int) -> tuple[int, str] | None:
        s, gate_id = self._settings, visit.opened.gate_id
        if not visit.bound:
            until_ns = visit.opened.at_ns + round(s.never_entered_s * S)
            return (until_ns, gate_id) if at_ns >= until_ns else None
        seen_ns = max(self._present.last_seen(visit, m)[0] for m in visit.members)
        patience_s = s.abandoned_s if visit.armed else s.never_entered_s
        return (seen_ns, gate_id) if at_ns - seen_ns > patience_s * S else None
