# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whose each floor track is: who tapped, who continues a track that was lost, who came in on somebody's pass, and who
came in on none.

In that order, once a window. What has been decided stays decided: it is in the log.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pipeline.gate.departures import Departures
from pipeline.gate.paths import Path, S
from pipeline.gate.present import Bound, OpenVisit, Present, digest
from pipeline.gate.settings import GateSettings
from pipeline.messages import Event, PersonWithoutPass, TrackBound, VisitOpened

_MOMENT_NS = S // 2


class Arrivals:
    """`resumed`: this keeper took over from one before it, whose tracks are all lost."""

    def __init__(self, present: Present, departures: Departures, settings: GateSettings) -> None:
        self._present, self._departures, self._settings = present, departures, settings
        self.resumed = False
        self._began_ns: int | None = None

    def update(self, at_ns: int) -> list[Event]:
        if self._began_ns is None:
            self._began_ns = at_ns
        return [
            *self._payers(at_ns),
            *self._continued(at_ns),
            *self._party(at_ns),
            *self._without_pass(at_ns),
        ]

    def watch(self, path: Path, at_ns: int) -> None:
        """Note when a track comes in: over the line, or born at the gate and going inwards."""
        s = self._settings
        _, line = self._present.nearest_line(path.seen_xy_m)
        inside_m, born_m = line.inside_m(path.seen_xy_m), line.inside_m(path.born_xy_m)
        if inside_m < 0 and line.beside_m(path.seen_xy_m) <= s.line_margin_m:
            path.been_outside, path.entered_ns = True, None
        elif path.entered_ns is None and inside_m >= s.arm_m:
            at_gate = born_m < s.inside_birth_m and line.beside_m(path.born_xy_m) <= s.line_margin_m
            if path.been_outside or (at_gate and inside_m - born_m >= s.came_in_m):
                path.entered_ns = at_ns

    # --- who tapped ---

    def _payers(self, at_ns: int) -> Iterator[Event]:
        """Give each visit that has no track yet the one that stood at the reader when the pass was shown."""
        s = self._settings
        for visit in self._present.in_order():
            waited_s = (at_ns - visit.opened.at_ns) / S
            if visit.bound or not s.bind_settle_s <= waited_s <= s.bind_wait_s + s.bind_settle_s:
                continue
            track_id = self._at_tap(visit.opened)
            other = self._present.visit_of(track_id) if track_id is not None else None
            if other is not None:  # came in first and showed the pass then
                yield from self.joined(other, visit)
            elif track_id is not None:
                yield self._present.bind(visit, track_id, 1, visit.opened.at_ns)

    def _at_tap(self, opened: VisitOpened) -> str | None:
        """The track nearest to the reader around the tap; else the one that came nearest shortly before or after.

        Only the track of somebody whose pass was not seen can be taken from them.
        """
        s, line = self._settings, self._present.lines[opened.gate_id]
        at, then, around = [], [], []
        for path in self._present.paths.values():
            owner = self._present.visit_of(path.track_id)
            if not path.recent or (owner is not None and owner.has_payer):
                continue
            away = [(float(np.linalg.norm(xy - line.tap_m)), abs(ns - opened.at_ns) / S) for ns, xy in path.recent]
            close = [m for m, apart_s in away if apart_s <= s.bind_mean_s]
            if close:
                at.append((float(np.mean(close)), 0.0, path.track_id))
            m, apart_s = min(away, key=lambda a: (a[1], a[0]))
            if apart_s <= s.bind_wait_s:  # who was not seen at that moment has walked meanwhile
                then.append((max(m - s.walk_m_s * apart_s, 0.0), apart_s, path.track_id))
            near = [(m, apart_s, path.track_id) for m, apart_s in away if apart_s <= s.bind_around_s]
            around += [min(near)] if near else []
        for chances in (at, then, around):
            chances = [c for c in chances if c[0] <= line.gate.radius_m]
            if chances:  # who has no visit goes before who has one without a pass
                return min(chances, key=lambda c: (c[2] in self._present.who, c))[2]
        return None

    def joined(self, other: OpenVisit, into: OpenVisit) -> Iterator[TrackBound]:
        """From its beginning, what `other` did belongs to `into`; `other` is empty then, and to be closed."""
        first = max(into.members, default=0)
        for bound in list(other.bound):
            yield self._present.bind(into, bound.track_id, first + bound.member, bound.from_ns + 1)
        into.armed |= {first + m for m in other.armed}
        other.joined = True

    # --- who continues ---

    def _continued(self, at_ns: int) -> Iterator[Event]:
        """A young track that nobody's tap explains may continue a visit whose tracks were lost near by."""
        s = self._settings
        for path in self._present.unbound():
            age_s = (at_ns - path.since_ns) / S
            found = None
            if s.bind_settle_s <= age_s <= s.bind_settle_s + 1.0:
                found = self._continues(path, at_ns)
            elif age_s >= s.only_one_s and at_ns - path.seen_ns < _MOMENT_NS and path.entered_ns is None:
                lost = self._lost(path, at_ns, -s.lost_s, float("inf"))
                found = lost[0][1:] if len({v.visit_id for _, v, _ in lost}) == 1 else None
            if found is not None:
                visit, member = found
                yield self._present.bind(visit, path.track_id, member, path.since_ns)

    def _continues(self, path: Path, at_ns: int) -> tuple[OpenVisit, int] | None:
        """Whom: somebody who was lost near enough, unless another visit's is about as near."""
        s = self._settings
        at_gate = any(line.inside_m(path.born_xy_m) < s.inside_birth_m for line in self._present.lines.values())
        resumed = self.resumed and path.born_ns - self._began_ns <= s.resume_birth_s * S
        longest_s = s.stitch_gate_s if at_gate else s.resume_s if resumed else s.stitch_s
        reach_m = s.stitch_gate_m if at_gate else s.stitch_m
        if at_gate and any(not v.bound for v in self._present.visits.values()):
            return None  # somebody has just tapped
        chances = []
        for gap_s, visit, member in self._lost(path, at_ns, -s.lost_s, longest_s):
            newest = self._present.newest(visit, member)
            if at_gate and (newest is None or self._departures.has_left(newest, at_ns, round(s.bind_settle_s * S))):
                continue
            away_m = float(np.linalg.norm(path.born_xy_m - self._present.last_seen(visit, member)[1]))
            if away_m <= reach_m + s.walk_m_s * min(max(gap_s, 0.0), s.stitch_walk_s):
                chances.append((away_m, visit.visit_id, member))
        chances.sort()
        if not chances:
            return None
        rivals = [away_m for away_m, visit_id, _ in chances if visit_id != chances[0][1]]
        if rivals and rivals[0] <= 2 * chances[0][0] + 0.3:
            return None
        return self._present.visits[chances[0][1]], chances[0][2]

    def _lost(self, path: Path, at_ns: int, least_s: float, most_s: float) -> list[tuple[float, OpenVisit, int]]:
        """(seconds from lost to this track's birth, visit, member) of everybody who is not seen now."""
        found = []
        for visit in self._present.in_order():
            for member in visit.members or [1]:
                lost_ns, _ = self._present.last_seen(visit, member)
                gap_s = (path.born_ns - lost_ns) / S
                if at_ns - lost_ns >= self._settings.bind_settle_s * S and least_s <= gap_s <= most_s:
                    found.append((gap_s, visit, member))
        return found

    # --- who comes in on somebody's pass ---

    def _party(self, at_ns: int) -> Iterator[Event]:
        """The free places of a party go to those who come in around the payer's tap, in that order."""
        s = self._settings
        entered = [p for p in self._present.unbound() if p.entered_ns is not None]
        for path in sorted(entered, key=lambda p: (p.entered_ns, p.track_id)):
            if at_ns - path.entered_ns < s.bind_settle_s * S:
                continue  # a tap at this very moment goes first
            gate_id, _ = self._present.nearest_line(path.born_xy_m)
            for visit in reversed(self._present.in_order()):
                member = visit.free_member()
                if member is None or not visit.has_payer or visit.opened.gate_id != gate_id:
                    continue
                if not visit.bound and at_ns - visit.opened.at_ns <= (s.bind_wait_s + s.bind_settle_s) * S:
                    continue  # the payer goes first
                latest_ns = visit.last_entry_ns() + s.party_after_s * S
                if visit.opened.at_ns - s.party_before_s * S <= path.entered_ns <= latest_ns:
                    yield self._present.bind(visit, path.track_id, member, path.since_ns)
                    break

    # --- who comes in on none ---

    def _without_pass(self, at_ns: int) -> Iterator[Event]:
        s = self._settings
        for path in self._present.unbound():
            if at_ns - path.seen_ns >= _MOMENT_NS or path.windows < s.without_pass_windows or self._is_ghost(path):
                continue
            if self._present.nearest_line(path.seen_xy_m)[1].inside_m(path.seen_xy_m) < s.arm_m:
                continue  # is outside, or has turned round
            if path.entered_ns is not None:
                if at_ns - path.entered_ns < s.without_pass_s * S:
                    continue
            elif at_ns - path.since_ns < s.unexplained_s * S or self._lost(path, at_ns, -s.lost_s, float("inf")):
                continue
            yield self._open_without_pass(path)

    def _is_ghost(self, path: Path) -> bool:
        """Whether it goes where somebody who has a visit goes."""
        for other in self._present.paths.values():
            if other.track_id in self._present.who and other.recent and path.recent:
                there = dict(other.recent)
                both = [float(np.linalg.norm(xy - there[ns])) for ns, xy in path.recent if ns in there]
                if len(both) >= self._settings.without_pass_windows // 2 and np.mean(both) < self._settings.ghost_m:
                    return True
        return False

    def _open_without_pass(self, path: Path) -> PersonWithoutPass:
        from_ns = path.since_ns
        gate_id, _ = self._present.nearest_line(path.born_xy_m)
        name = digest(self._present.store_id, gate_id, path.track_id, str(from_ns))
        before = [
            v for v in self._present.in_order() if v.has_payer and v.bound and v.opened.at_ns <= (path.entered_ns or 0)
        ]
        recent = before and (path.entered_ns - before[-1].opened.at_ns) / S <= self._settings.party_after_s
        opened = PersonWithoutPass(
            event_id=digest(name, "opened"),
            store_id=self._present.store_id,
            at_ns=from_ns,
            visit_id=f"v-{name}",
            gate_id=gate_id,
            track_id=path.track_id,
            behind_visit_id=before[-1].visit_id if recent else None,
        )
        visit = OpenVisit(opened, [Bound(path.track_id, 1, from_ns, opened.event_id)], {1})
        self._present.visits[visit.visit_id] = visit
        self._present.who[path.track_id] = (visit.visit_id, 1)
        return opened
