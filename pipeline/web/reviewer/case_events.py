# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shelf events of a case's page: who and what it may have been, the shelf before and after, the films."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.evidence.clip import Clip
from pipeline.messages import ReceiptLine, ShelfEvent
from pipeline.review import case_view as review
from pipeline.site import Site
from pipeline.web.render import N_
from pipeline.web.reviewer.phrases import Phrases
from pipeline.web.reviewer.player import PlayerView, player_of
from pipeline.web.reviewer.queue import product_of
from pipeline.web.reviewer.words import CLIP_STATES, NO_STILL, pseudonym

_NOBODY, _THIS, _SHOPPER = N_("somebody without a visit"), N_("this shopper"), N_("shopper %(name)s")
_ELSE = N_("something else")
_WORTH_SAYING = 0.005
MOST = 6
"""Candidates and products that a list begins with."""

Shares = tuple[tuple[str, float, bool], ...]
"""Label, probability, whether it is what the receipt says."""


@dataclass(frozen=True)
class EventPanel:
    """`stills`: (label's key, address or "", why there is none). `line_id`: "" for a note's event."""

    event: ShelfEvent
    line_id: str
    product: str
    first: bool
    products: Shares
    persons: Shares
    quantities: Shares
    stills: tuple[tuple[str, str, str], ...]
    player: PlayerView


def events_of(site: Site, view: review.CaseView, fmt: Phrases) -> tuple[EventPanel, ...]:
    """Each event once, those that the case is about first, else by time."""
    sizes_px = {spec.id: spec.size_px for spec in site.shop.layout.cameras}
    found: dict[str, tuple[bool, review.EventView, ReceiptLine | None]] = {}
    for line in view.lines:
        for event in line.events:
            if event.event.event_id not in found or line.asked:
                found[event.event.event_id] = (line.asked, event, line.line)
    for note in view.notes:
        for event in note.events:
            found.setdefault(event.event.event_id, (view.case.line_id is None, event, None))
    ordered = sorted(found.values(), key=lambda one: (not one[0], one[1].event.at_ns, one[1].event.event_id))
    return tuple(_panel(site, event, line, index == 0, sizes_px, fmt) for index, (_, event, line) in enumerate(ordered))


def _panel(
    site: Site, seen: review.EventView, line: ReceiptLine | None, first: bool, sizes_px: dict, fmt: Phrases
) -> EventPanel:
    event = seen.event
    gtin = line.gtin if line else event.products[0].value
    return EventPanel(
        event=event,
        line_id=line.line_id if line else "",
        product=product_of(site, gtin),
        first=first,
        products=_whole([(p.name, p.probability, p.gtin == gtin) for p in seen.products], _ELSE, fmt),
        persons=tuple((_person(site, p, fmt), p.probability, p.mine) for p in seen.persons[:MOST]),
        quantities=_whole([(c.value, c.probability, i == 0) for i, c in enumerate(event.quantities)], _ELSE, fmt),
        stills=tuple(_still(event.event_id, when, seen.stills, fmt) for when in ("before", "after")),
        player=player_of(event, seen.clips, sizes_px),
    )


def _whole(shares: Sequence[tuple[str, float, bool]], rest: str, fmt: Phrases) -> Shares:
    """The likeliest, and what is left to 1 under the name `rest`."""
    shown = tuple(shares[:MOST])
    left = 1 - sum(probability for _, probability, _ in shown)
    return (*shown, (fmt.text(rest), left, False)) if left >= _WORTH_SAYING else shown


def _person(site: Site, person: review.Person, fmt: Phrases) -> str:
    if person.mine:
        return fmt.text(_THIS)
    if person.visit_id is None:
        return fmt.text(_NOBODY)
    return fmt.text(_SHOPPER, name=pseudonym(site.store_id, person.shopper_id or person.visit_id))


def _still(event_id: str, when: str, stills: Iterable[Clip], fmt: Phrases) -> tuple[str, str, str]:
    still = next((one for one in stills if one.kind == when), None)
    if still is not None and still.state == "ready":
        return when, f"/api/v1/review/events/{event_id}/{when}", ""
    return when, "", CLIP_STATES.get(still.state, NO_STILL) if still else NO_STILL
