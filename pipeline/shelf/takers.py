# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who took what has gone from a slot: who was there, weighed by who is seen with the product since, item by item."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from calibration.catalogue import Catalogue
from pipeline.messages import Reach
from pipeline.shelf.attribute import Attribution, Touch
from pipeline.shelf.carried import BodyPictures
from pipeline.shelf.episodes import Episode
from pipeline.shelf.identify import Verdict
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.sight import Network


class Takers:
    """`standing`: slot id -> GTIN of what stands there; `network`: None where there is none for products."""

    def __init__(
        self,
        who: Attribution,
        bodies: BodyPictures,
        network: Network | None,
        catalogue: Catalogue,
        standing: Mapping[str, str],
        settings: ShelfSettings,
    ) -> None:
        self._who = who
        self._bodies = bodies
        self._network = network
        self._catalogue = catalogue
        self._standing = standing
        self._settings = settings

    def weighed(
        self, episode: Episode, touches: list[Touch], gtin: str | None, holders: Collection[str] = ()
    ) -> list[Touch]:
        """The same people weighed by who is seen with the product since, where it is not clear who was at the slot.

        `holders`: who has one that is accounted for: that they are seen with it says nothing of another.
        """
        s = self._settings
        if self._network is None or gtin is None or surety(touches) >= s.sure:
            return touches
        index = self._catalogue.gtins.index(gtin)
        there = [slot for slot, standing in self._standing.items() if standing == gtin]
        out = []
        for touch in touches:
            since_ns = self._since_ns(episode, touch)
            seen = self._bodies.carries(self._network, touch.track_id, index, there, since_ns)
            if seen is not None:
                told = 0.0 if touch.track_id in holders else seen**s.carries_power
                touch = replace(touch, weight=touch.weight * (s.carries_floor + told), carried=seen)
            out.append(touch)
        return sorted(out, key=lambda t: (-t.weight, t.track_id))

    def shares(
        self,
        episode: Episode,
        there: list[Touch],
        touches: list[Touch],
        verdict: Verdict,
        gtin: str | None,
        current: Sequence[Reach],
        holders: Collection[str] = (),
    ) -> list[list[Touch]]:
        """Who took what of several items: for each of them the people, best first, where they are not all one person's;
        else the people once. `there`: who may have been at the slot; `touches`: the same, weighed. `current`: reaches
        that still go on. `holders`: as above."""
        least = self._settings.shares_from * there[0].weight
        others = [touch for touch in there[1:] if touch.weight >= least]
        shares = [touches]
        for _ in range(1, verdict.quantities[0][0] if others else 1):
            taken = [share[0] for share in shares]
            again = self._who.who(episode.slot_id, episode.interval_ns, current, taken)
            if not again:
                return [touches]
            shares.append(self.weighed(episode, again, gtin, {*holders, *(touch.track_id for touch in taken)}))
        return shares if len({share[0].track_id for share in shares}) > 1 else [touches]

    def _since_ns(self, episode: Episode, touch: Touch) -> int:
        """From when on the person may have carried what they took: the likeliest reach, or the middle of their stay."""
        if touch.reach is not None:
            return touch.reach.t0_ns
        stood_ns = self._who.stood_ns(touch.track_id, episode.slot_id, episode.interval_ns)
        return stood_ns or episode.interval_ns[0]


def surety(touches: Sequence[Touch]) -> float:
    """Share of the likeliest person."""
    return touches[0].weight / sum(t.weight for t in touches) if touches else 0.0
