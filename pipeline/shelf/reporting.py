# SPDX-License-Identifier: AGPL-3.0-or-later
"""Verdicts to `ShelfEvent`s: ids, times, candidates, evidence, and the reason where something is uncertain."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from calibration.catalogue import Catalogue
from calibration.layout import Gondola, StoreLayout
from pipeline.messages import Candidate, EvidenceRef, Reach, ShelfEvent
from pipeline.reasons import (
    LOOK_ALIKE,
    NO_CAMERA,
    NO_HAND,
    SEPARATOR,
    SEVERAL_PEOPLE,
    TAKEN_OR_PUT_BACK,
    UNCLEAR_QUANTITY,
)
from pipeline.shelf.attribute import Attribution, Touch
from pipeline.shelf.episodes import Episode
from pipeline.shelf.identify import Verdict
from pipeline.shelf.settings import ShelfSettings


class Reporter:
    """Writes the events. `standing`: slot id -> GTIN of what stands there; `who` learns which reaches are explained."""

    def __init__(
        self,
        layout: StoreLayout,
        catalogue: Catalogue,
        standing: Mapping[str, str],
        who: Attribution,
        settings: ShelfSettings,
    ) -> None:
        self._layout = layout
        self._catalogue = catalogue
        self._standing = standing
        self._who = who
        self._settings = settings

    def events(self, episode: Episode, touches: list[Touch], verdict: Verdict, likely: list[Reach]) -> list[ShelfEvent]:
        """One event an item where there is a reach for each, else one event with the quantity."""
        quantity = verdict.quantities[0][0]
        reaches = sorted(likely[:quantity], key=lambda r: r.t0_ns)
        if len(reaches) >= quantity:
            parts = [(reach, ((1, at_least(verdict.quantities, k + 1)),)) for k, reach in enumerate(reaches)]
        else:
            parts = [(touches[0].reach, verdict.quantities)]
        return [
            self._event(episode, touches, verdict, reach, quantities, k) for k, (reach, quantities) in enumerate(parts)
        ]

    def shared(self, episode: Episode, shares: Sequence[list[Touch]], verdict: Verdict) -> list[ShelfEvent]:
        """One event for each of several items that several people took: `shares`, who may have taken each."""
        return [
            self._event(episode, touches, verdict, touches[0].reach, ((1, at_least(verdict.quantities, k + 1)),), k)
            for k, touches in enumerate(shares)
        ]

    def _event(self, episode, touches, verdict, reach, quantities, number) -> ShelfEvent:
        s = self._settings
        t0, t1 = episode.interval_ns
        at_ns = self._who.stood_ns(touches[0].track_id, episode.slot_id, (t0, t1)) or t1
        if reach is not None:
            self._who.use(reach, 1, episode.slot_id, verdict.kind)
            t0, t1 = reach.t0_ns, reach.t1_ns
            at_ns = deepest_ns(reach, self._layout.gondola_by_id[reach.gondola_id])
        weights = [t.weight**s.person_sharpness for t in touches]
        chances = [w / sum(weights) for w in weights]
        persons = tuple(
            Candidate(value=t.track_id, probability=min(p, 1.0))
            for t, p in list(zip(touches, chances, strict=True))[: s.max_candidates]
            if p >= 0.05
        )
        reasons = []
        if persons[0].probability < s.sure:
            reasons.append(SEVERAL_PEOPLE)
        if verdict.kind_probability < s.sure:
            reasons.append(TAKEN_OR_PUT_BACK)
        if verdict.products[0][1] < s.sure:
            reasons.append(LOOK_ALIKE)
        if merged(quantities)[0][1] < s.sure:
            reasons.append(UNCLEAR_QUANTITY)
        if reach is None:
            reasons.append(NO_HAND)
        return ShelfEvent(
            event_id=event_id(self._layout.store_id, episode.slot_id, verdict.kind, touches[0].track_id, t0, number),
            store_id=self._layout.store_id,
            at_ns=at_ns,
            kind=verdict.kind,
            kind_probability=verdict.kind_probability,
            persons=persons,
            products=tuple(Candidate(value=g, probability=p) for g, p in verdict.products),
            quantities=tuple(Candidate(value=str(q), probability=p) for q, p in merged(quantities)),
            gondola_id=episode.gondola_id,
            slot_id=episode.slot_id,
            t0_ns=t0,
            t1_ns=t1,
            evidence=tuple(
                EvidenceRef(
                    camera_id=c, t0_ns=change.before_ns, t1_ns=change.after_ns,
                    box_xyxy_px=tuple(float(v) for v in [*change.view.quad_px.min(0), *change.view.quad_px.max(0)]),
                )
                for c, change in sorted(episode.changes.items(), key=lambda kv: -kv[1].view.px_per_cm)
            ),
            reason=SEPARATOR.join(reasons),
        )  # fmt: skip

    def blind_event(self, reach: Reach, reason: str = NO_CAMERA, kind: str = "pick") -> ShelfEvent:
        """A reach into slots whose products no camera sees: where, when and who; what is for a person to say."""
        s = self._settings
        self._who.use(reach, 1)
        by_gtin: dict[str, float] = {}
        for slot, chance in reach.slots:
            gtin = self._standing.get(slot)
            if gtin is not None:
                by_gtin[gtin] = by_gtin.get(gtin, 0.0) + chance
        products = sorted(by_gtin.items(), key=lambda kv: (-kv[1], kv[0]))[: s.max_candidates]
        if not products:
            products = [(gtin, 1 / len(self._catalogue.gtins)) for gtin in self._catalogue.gtins[: s.max_candidates]]
        cameras = [c for c, camera in self._layout.camera_by_id.items() if camera.in_view(reach.path_m).any()]
        return ShelfEvent(
            event_id=event_id(self._layout.store_id, reach.gondola_id, kind, reach.track_id, reach.t0_ns, 0),
            store_id=self._layout.store_id,
            at_ns=deepest_ns(reach, self._layout.gondola_by_id[reach.gondola_id]),
            kind=kind,
            kind_probability=s.blind_pick_probability,
            persons=(Candidate(value=reach.track_id, probability=1.0),),
            products=tuple(Candidate(value=g, probability=min(p, 1.0)) for g, p in products),
            quantities=(Candidate(value="1", probability=0.9),),
            gondola_id=reach.gondola_id,
            slot_id=reach.slots[0][0],
            t0_ns=reach.t0_ns,
            t1_ns=reach.t1_ns,
            evidence=tuple(
                EvidenceRef(camera_id=c, t0_ns=reach.t0_ns, t1_ns=reach.t1_ns) for c in sorted(cameras)
            ),
            reason=reason,
        )  # fmt: skip


def at_least(quantities: Sequence[tuple[int, float]], number: int) -> float:
    """Probability that there were so many: what the event of the last of them is worth."""
    return min(sum(p for quantity, p in quantities if quantity >= number), 1.0)


def merged(quantities: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """The same quantities, each once, best first."""
    out: dict[int, float] = {}
    for quantity, chance in quantities:
        out[quantity] = out.get(quantity, 0.0) + chance
    return sorted(((q, min(p, 1.0)) for q, p in out.items()), key=lambda qp: (-qp[1], qp[0]))


def deepest_ns(reach: Reach, gondola: Gondola) -> int:
    """When the hand was furthest in the shelf."""
    return int(reach.path_ns[int(np.argmin(gondola.to_face(reach.path_m)[:, 1]))])


def event_id(*parts: object) -> str:
    """The same for the same footage: made of where, what, who and when."""
    return "shelf-" + hashlib.sha1("|".join(map(str, parts)).encode()).hexdigest()[:20]
