# SPDX-License-Identifier: AGPL-3.0-or-later
"""Several answers to who is who at once, for people who are so close that one answer would be a guess.

A cluster is some people who meet; a world is one whole story of them: each one's state, and the log-likelihood of
what all cameras saw if it were so. Every window each world goes on in several ways: as the cameras' boxes fall to where
people are expected, as if two had changed places, and as if one had gone to where somebody unknown is seen. Each
way ends in an assignment of its own, the unlikely ones are dropped, and what remains are the likeliest worlds, the best
of which is what is reported. What cannot be told today may be told tomorrow: by where people go on to, by how tall and
how wide they are. (A multiple hypothesis tracker after Reid, 1979, with clusters; the ways on are local maxima of the
joint assignment over all cameras instead of a ranking of each camera's assignments.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.sparse.csgraph import connected_components

from pipeline.perception.floor.associate import Bodies, Matches, associate
from pipeline.perception.floor.parts import parts, variants
from pipeline.perception.floor.person import Person, distances_m
from pipeline.perception.floor.settings import FloorSettings, anew
from pipeline.perception.floor.sightings import Sightings
from pipeline.perception.floor.stature import exchanged, renamed, seems
from pipeline.perception.floor.upkeep import Upkeep


@dataclass
class World:
    """One story: its people in the order of their track ids, and its log weight against the cluster's other worlds."""

    people: list[Person]
    weight: float = 0.0


@dataclass
class Cluster:
    """`worlds`: the one that is told first, then by weight; all of the same people. `apart_ns`: since when no two of
    them are close."""

    worlds: list[World]
    apart_ns: int = 0

    @property
    def ids(self) -> list[str]:
        return [p.track_id for p in self.worlds[0].people]

    def probabilities(self) -> np.ndarray:
        """float64 (H,), of the worlds."""
        weight = np.array([w.weight for w in self.worlds])
        weight = np.exp(weight - weight.max())
        return weight / weight.sum()


@dataclass
class _Way:
    """One way for a world to go on: where each of its people is looked for first, (n, 2). `without`: a question only,
    what cameras would say if this one of them were nobody."""

    cluster: int
    world: World
    start: np.ndarray
    without: str = ""


class Worlds:
    """The clusters of a floor. `regroup`, then `associate`, once a window."""

    def __init__(self, settings: FloorSettings) -> None:
        self._all = settings
        self._s = settings.worlds
        self.clusters: list[Cluster] = []
        self._met_ns: dict[tuple[str, str], int] = {}
        """Who was so near to whom that they may have been exchanged, and when that was last."""
        self.worth: dict[str, float] = {}
        """Track id -> nats by which the last seconds' pictures are likelier with this person than without, of who may
        be nobody."""

    def members(self) -> set[str]:
        return {track_id for cluster in self.clusters for track_id in cluster.ids}

    def others(self) -> list[Person]:
        """People of all worlds but the best ones."""
        return [p for cluster in self.clusters for world in cluster.worlds[1:] for p in world.people]

    def sort(self) -> None:
        """Put people back in the order of their track ids after some were renamed."""
        for cluster in self.clusters:
            for world in cluster.worlds:
                world.people.sort(key=lambda p: p.track_id)

    def regroup(self, people: Sequence[Person], candidates: Sequence[Person], now_ns: int) -> None:
        """People (of the best worlds, predicted) who come close join a cluster; who is clear of it leaves. So does who
        may be somebody unknown nearby."""
        here = {p.track_id for p in people}
        clusters = []
        for cluster in self.clusters:
            # With one world left there is nothing to remember: it is grouped anew.
            if len(cluster.worlds) > 1:
                self._keep(cluster, here)
            if len(cluster.worlds) > 1 and cluster.ids:
                clusters += [part for part in self._parts(cluster) if len(part.worlds) > 1]
        place = {p.track_id: k for k, p in enumerate(people)}
        away = self._apart(people)
        self._remember(people, away, now_ns)
        together = away < self._s.close_m
        for cluster in clusters:
            rows = [place[t] for t in cluster.ids]
            together[rows[0], rows] = True
        for i, k in self._strangers(people):
            together[i, k] = True
        count, group = connected_components(together, directed=False)
        out, undecided = [], {track_id for c in clusters for track_id in c.ids}
        for rows in (np.flatnonzero(group == label) for label in range(count)):
            names = {people[k].track_id for k in rows}
            if len(rows) < 2 and not names & undecided and not self._is_lost(people[rows[0]], candidates):
                continue
            inside = [c for c in clusters if names & set(c.ids)]
            alone = [people[k] for k in rows if not any(people[k].track_id in c.ids for c in inside)]
            cluster = self._joined([*inside, *(Cluster([World([p])]) for p in alone)])
            near = (away[np.ix_(rows, rows)] < self._s.close_m).sum() > len(rows)
            cluster.apart_ns = 0 if near else (max((c.apart_ns for c in inside), default=0) or now_ns)
            if cluster.apart_ns and now_ns - cluster.apart_ns > self._s.undecided_s * 1e9:
                continue  # nothing more will come of it: the best world stays
            out.append(cluster)
        self.clusters = out

    def _remember(self, people: Sequence[Person], away: np.ndarray, now_ns: int) -> None:
        """Who has met lately."""
        since_ns = now_ns - round(self._s.rename_s * 1e9)
        self._met_ns = {pair: at_ns for pair, at_ns in self._met_ns.items() if at_ns >= since_ns}
        for i, k in np.argwhere(np.triu(away < self._s.close_m, 1)):
            self._met_ns[tuple(sorted((people[i].track_id, people[k].track_id)))] = now_ns

    def _is_lost(self, person: Person, candidates: Sequence[Person]) -> bool:
        near = (float(np.abs(c.xy_m - person.xy_m).max()) < self._s.lonely_m for c in candidates)
        return person.bent and any(near)

    def _apart(self, people: Sequence[Person]) -> np.ndarray:
        """Metres (T, T) between predicted places; infinite for who cannot be taken for one another, as it is known well
        enough where they are."""
        xy = np.array([p.mean[:2] for p in people]).reshape(-1, 2)
        spread = np.array([p.covariance[0, 0] + p.covariance[1, 1] for p in people]) / 2
        gap = xy[:, None] - xy
        square = gap[..., 0] ** 2 + gap[..., 1] ** 2
        spread += self._s.measured_sigma_m**2 / np.array([max(p.views_before, 1) for p in people])
        total = spread[:, None] + spread
        return np.where(square < self._s.clear_d2 * total, np.sqrt(square), np.inf)

    def _keep(self, cluster: Cluster, here: set[str]) -> None:
        """Take people out who are gone, or whose state is the same in every world that counts."""
        chances = cluster.probabilities()
        counted = [w for w, chance in zip(cluster.worlds, chances, strict=True) if chance > self._s.least_share]
        best = cluster.worlds[0].people
        keep = [k for k, person in enumerate(best) if person.track_id in here]
        if len(counted) > 1:
            mean = np.array([[p.mean for p in w.people] for w in counted])
            gap = np.abs(mean - mean[0]).max(0)
            differs = (gap[:, :2].max(1) >= self._s.same_m) | (gap[:, 4:].max(1) >= self._s.same_m_s)
            keep = [k for k in keep if differs[k]]
        for world in cluster.worlds:
            world.people = [world.people[k] for k in keep]
        cluster.worlds = counted

    def _parts(self, cluster: Cluster) -> list[Cluster]:
        """The cluster, or several that have nothing to do with one another. Each world of a part is of the likeliest
        world in which its people did that."""
        if len(cluster.ids) < 2:
            return [cluster]
        s, chance = self._s, cluster.probabilities()
        near = np.zeros((len(cluster.ids),) * 2, bool)
        for world in (w for w, share in zip(cluster.worlds, chance, strict=True) if share > s.near_share):
            near |= self._apart(world.people) < s.close_m
            if near.all():
                return [cluster]
        story = variants(np.array([[p.mean for p in w.people] for w in cluster.worlds]), s.same_m, s.same_m_s)
        groups = parts(chance, story, near)
        if len(groups) == 1:
            return [cluster]
        out = []
        for rows in groups:
            _, first, which = np.unique(story[:, rows], axis=0, return_index=True, return_inverse=True)
            weight = np.log(np.bincount(which.ravel(), chance))
            order = np.argsort(-weight, kind="stable")
            out.append(Cluster(
                [World([cluster.worlds[first[k]].people[r] for r in rows], weight[k] - weight.max()) for k in order],
                cluster.apart_ns,
            ))  # fmt: skip
        return out

    def _joined(self, clusters: list[Cluster]) -> Cluster:
        """One cluster of several: every world of one with every world of the others, as far as they count."""
        worlds = clusters[0].worlds
        for other in clusters[1:]:
            pairs = [(a.weight + b.weight, i, k) for i, a in enumerate(worlds) for k, b in enumerate(other.worlds)]
            pairs = sorted(pairs, reverse=True)[: self._s.worlds]
            first_a, first_b, joined = set(), set(), []
            for weight, i, k in pairs:
                a = worlds[i].people if i not in first_a else [p.clone() for p in worlds[i].people]
                b = other.worlds[k].people if k not in first_b else [p.clone() for p in other.worlds[k].people]
                first_a.add(i)
                first_b.add(k)
                joined.append(World([*a, *b], weight))
            worlds = joined
        for world in worlds:
            world.people.sort(key=lambda p: p.track_id)
        return Cluster(worlds, max(c.apart_ns for c in clusters))

    def associate(
        self, scene, seen: Sightings, free: np.ndarray, people: Sequence[Person], owner: np.ndarray,
        candidates: Sequence[Person], upkeep: Upkeep, fresh_ns: int,
    ) -> list[Person]:  # fmt: skip
        """Follow all worlds through this window, and give the people of the best ones.

        `people`: everybody who is not lost, in the best worlds; `owner`: str (N,), to whom of those each box fell when
        all were matched at once ('' nobody).
        """
        ways = [
            way
            for number, cluster in enumerate(self.clusters)
            for world, share in zip(cluster.worlds, cluster.probabilities(), strict=True)
            for way in self._ways(number, world, candidates if share > self._s.branch_share else None)
        ]
        if not ways:
            self.worth = {}
            return []
        ways += self._questions()
        group = [p for way in ways for p in way.world.people]
        count = np.array([len(way.world.people) for way in ways])
        world_of = np.repeat(np.arange(len(ways)), count)
        cluster_of = np.repeat([way.cluster for way in ways], count)
        inside = {t: n for n, cluster in enumerate(self.clusters) for t in cluster.ids}
        # Everybody else stands where the best worlds have them, and may hide people.
        home = np.array([inside.get(p.track_id, -1) for p in people])
        t = len(group)
        before = np.zeros((t, t + len(people)), bool)
        before[:, :t] = (world_of[:, None] == world_of) & ~np.eye(t, dtype=bool)
        before[:, t:] = cluster_of[:, None] != home
        takes = np.array([inside.get(name, -2) if name else -1 for name in owner], int)
        mine = free & ((takes == -1) | (takes == cluster_of[:, None]))
        mean = np.stack([p.mean for p in group])
        matches = associate(
            scene.bank, seen,
            Bodies(
                mean, np.stack([p.covariance for p in group]), np.concatenate([way.start for way in ways]), world_of,
                scene.shown(mean[:, :2]), np.array([p.sure_ns >= fresh_ns for p in group]), before,
                np.stack([p.mean for p in people]), mine, *upkeep.other_posture(group), upkeep.continuity(group),
                upkeep.clothes.gains(group),
            ),
            self._all.body, upkeep.association, self._s.soft,
        )  # fmt: skip
        weight = np.array([way.world.weight for way in ways])
        weight += np.bincount(world_of, matches.evidence, len(ways))
        self._answer(ways, weight, upkeep.dt_s)
        first = np.concatenate([[0], np.cumsum(count)])
        best, everybody, rows = [], [], []
        for number, cluster in enumerate(self.clusters):
            mine = [k for k, way in enumerate(ways) if way.cluster == number and not way.without]
            kept = self._likeliest(mine, ways, weight, matches, first)
            goes_on = mine[0]
            if goes_on in kept and weight[goes_on] > weight[kept[0]] - self._stay_nats(cluster):
                kept.insert(0, kept.pop(kept.index(goes_on)))
            used: set[int] = set()
            worlds = []
            for k in kept:
                lives = [p.clone() if id(p) in used else p for p in ways[k].world.people]
                used |= {id(p) for p in lives}
                worlds.append((World(lives, weight[k] - weight[kept[0]]), first[k]))
            for world, row in worlds:
                everybody += world.people
                rows += range(row, row + len(world.people))
            cluster.worlds = [world for world, _ in worlds]
            best += cluster.worlds[0].people
        upkeep.settle(everybody, np.array(rows, int), matches)
        return best

    def _stay_nats(self, cluster: Cluster) -> float:
        """The story that was told goes on to be told while no other is likelier by this: names would go back and forth.
        With key points, which tell more, that is worse."""
        return 0.0 if any(p.posed for p in cluster.worlds[0].people) else self._s.stay_nats

    def _questions(self) -> list[_Way]:
        """The best worlds without those who have few boxes that are surely theirs."""
        ways = []
        for number, cluster in enumerate(self.clusters):
            people = cluster.worlds[0].people
            for person in people if len(people) > 1 else ():
                if person.quality < self._all.doubted_quality * person.expected:
                    others = [p for p in people if p is not person]
                    start = np.stack([p.xy_m for p in others])
                    ways.append(_Way(number, World(others, cluster.worlds[0].weight), start, person.track_id))
        return ways

    def _answer(self, ways: list[_Way], weight: np.ndarray, dt_s: float) -> None:
        """Compare the best worlds, as expected, with what they would be without somebody."""
        s, expected = self._all, {}
        for k, way in enumerate(ways):
            expected.setdefault(way.cluster, k)
        fade, new = float(np.exp(-dt_s / s.worth_s)), anew(dt_s, s.body.lasting_s)
        self.worth = {
            way.without: fade * self.worth.get(way.without, 0.0)
            + new * float(np.clip(weight[expected[way.cluster]] - weight[k], -s.worth_most, s.worth_most))
            for k, way in enumerate(ways) if way.without
        }  # fmt: skip

    def _ways(self, number: int, world: World, candidates: Sequence[Person] | None) -> list[_Way]:
        """How a world may go on; only as it is expected to where `candidates` is None."""
        xy = np.stack([p.xy_m for p in world.people])
        ways = [_Way(number, world, xy)]
        if candidates is None:
            return ways
        away = self._apart(world.people)
        near = np.triu(away < self._s.close_m, 1)
        twos, threes = np.argwhere(near), np.argwhere(near[:, :, None] & near[:, None, :] & near)
        for rings, most in ((twos, self._s.swaps), (threes, self._s.rings)):
            apart = sum(away[rings[:, a], rings[:, b]] for a, b in combinations(range(rings.shape[1]), 2))
            for ring in rings[np.argsort(apart, kind="stable")[:most]]:
                for turned in range(1, len(ring)):
                    start = xy.copy()
                    start[ring] = xy[np.roll(ring, turned)]
                    ways.append(_Way(number, world, start))
        ways += [_Way(number, other, np.stack([p.xy_m for p in other.people])) for other in self._renamed(world)]
        unknown = np.reshape([c.xy_m for c in candidates if not c.track_id], (-1, 2))
        gap = distances_m(xy, unknown)
        jumps = [(gap[i, k], i, k) for i, k in zip(*np.nonzero(gap < self._s.jump_m), strict=True)]
        for _, i, k in sorted(jumps)[: self._s.jumps]:
            start = xy.copy()
            start[i] = unknown[k]
            ways.append(_Way(number, world, start))
        return ways

    def _strangers(self, people: Sequence[Person]) -> list[tuple[int, int]]:
        """Pairs (of indices) who met lately and may have been exchanged then, by how tall they seem now; the likeliest
        first."""
        s, body = self._s, self._all.body
        odd = [k for k, p in enumerate(people) if seems(p, p, body) > s.rename_gain]
        found = []
        for i, k in {(min(i, k), max(i, k)) for i in odd for k in range(len(people)) if i != k}:
            if tuple(sorted((people[i].track_id, people[k].track_id))) in self._met_ns:
                found.append((-exchanged(people[i], people[k], body), i, k))
        return [(i, k) for gain, i, k in sorted(found) if -gain > s.rename_gain]

    def _renamed(self, world: World) -> list[World]:
        """The same bodies under each other's names, of two who may have been exchanged a while ago."""
        out = []
        for i, k in self._strangers(world.people)[: self._s.renames]:
            people = list(world.people)
            people[i], people[k] = (renamed(people[a], people[b], self._all.body) for a, b in ((k, i), (i, k)))
            out.append(World(people, world.weight - self._s.rename_nats))
        return out

    def _likeliest(
        self, mine: list[int], ways: list[_Way], weight: np.ndarray, matches: Matches, first: np.ndarray
    ) -> list[int]:
        """The ways that live on, best first: no two with the same people in the same places."""
        s = self._s
        order = sorted(mine, key=lambda k: -weight[k])
        kept: list[int] = []
        for k in order:
            if weight[k] < weight[order[0]] - s.ratio or len(kept) >= s.worlds:
                break
            rows = slice(first[k], first[k + 1])
            for other in kept:
                theirs = slice(first[other], first[other + 1])
                gap = np.abs(matches.mean[rows] - matches.mean[theirs])
                if gap[:, :2].max() < s.same_m and gap[:, 4:].max() < s.same_m_s:
                    if ways[k].world is not ways[other].world:
                        weight[other] = np.logaddexp(weight[other], weight[k])
                    break
            else:
                kept.append(k)
        return sorted(kept, key=lambda k: -weight[k])
