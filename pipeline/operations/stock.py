# SPDX-License-Identifier: AGPL-3.0-or-later
"""How full the shelves are: what fits, less what was taken, plus what was put there. Pure: a fold over events.

Nobody counts the shop at its start, so a slot that was never counted is taken to be full then; a count by staff
(`ShelfCount`, also "I have filled it up") begins anew. What somebody does who is staff or has no visit counts as well:
the shelf does not mind who empties it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from calibration.catalogue import Catalogue, Planogram, Product
from calibration.layout import Shelf, StoreLayout
from pipeline.cart.rules import BillingRules
from pipeline.messages import Event, ShelfEvent

ITEM_GAP_M = 0.006
"""Between two items of a row; as people stock shelves, not as a machine would."""
LOW_SHARE = 0.25
"""A product of which this share of what fits is left, or less, is low."""


@dataclass(frozen=True)
class ShelfCount:
    """Somebody looked: at `at_ns` there were `units` in the slot."""

    slot_id: str
    at_ns: int
    units: int


@dataclass(frozen=True)
class SlotLevel:
    """`units` in a slot into which `capacity` fit."""

    slot_id: str
    gondola_id: str
    gtin: str
    units: int
    capacity: int


@dataclass(frozen=True)
class ProductLevel:
    """One product in all its slots."""

    gtin: str
    units: int
    capacity: int
    slots: tuple[SlotLevel, ...]

    @property
    def share(self) -> float:
        return self.units / self.capacity if self.capacity else 0.0

    def is_low(self, share: float = LOW_SHARE) -> bool:
        return self.capacity > 0 and self.share <= share


def capacity(shelf: Shelf, product: Product) -> int:
    """How many of the product stand one behind the other on the shelf; 0 when it does not fit at all."""
    _, depth, height = product.size_m
    if height > shelf.clearance_m:
        return 0
    return int((shelf.depth_m + ITEM_GAP_M) / (depth + ITEM_GAP_M) + 1e-9)


def slot_levels(
    layout: StoreLayout,
    catalogue: Catalogue,
    planogram: Planogram,
    events: Iterable[Event],
    counts: Sequence[ShelfCount] = (),
    rules: BillingRules | None = None,
) -> dict[str, SlotLevel]:
    """Slot id -> its level after the events, in any order, each counted once; doubtful ones are left out as on a bill.

    A unit is taken from the slot that the event names when the planogram has the product there, else from the fullest
    slot of that product on the same gondola; a product that is not on the gondola by plan changes no level.
    """
    rules = rules or BillingRules()
    fits, gondola_of, product_of = {}, {}, {}
    for slot_id, gtin in planogram.slots.items():
        gondola, shelf, _ = layout.slot_by_id[slot_id]
        fits[slot_id], gondola_of[slot_id], product_of[slot_id] = (
            capacity(shelf, catalogue.by_gtin[gtin]), gondola.id, gtin,
        )  # fmt: skip
    units = dict(fits)
    shelf_events = {e.event_id: e for e in events if isinstance(e, ShelfEvent)}
    moments: list[tuple[int, int, str, object]] = [(c.at_ns, 0, c.slot_id, c) for c in counts if c.slot_id in fits]
    moments += [(e.at_ns, 1, e.event_id, e) for e in shelf_events.values()]
    for *_, what in sorted(moments, key=lambda m: m[:3]):
        if isinstance(what, ShelfCount):
            units[what.slot_id] = min(max(what.units, 0), fits[what.slot_id])
            continue
        change = _change(what, rules)
        if change is None:
            continue
        gtin, amount = change
        slot_id = _slot(what, gtin, amount, product_of, gondola_of, units, fits)
        if slot_id is not None:
            units[slot_id] = min(max(units[slot_id] + amount, 0), fits[slot_id])
    return {s: SlotLevel(s, gondola_of[s], product_of[s], units[s], fits[s]) for s in fits}


def product_levels(levels: Mapping[str, SlotLevel]) -> list[ProductLevel]:
    """Every product that the planogram has a place for, the emptiest first."""
    by_gtin: dict[str, list[SlotLevel]] = {}
    for level in levels.values():
        by_gtin.setdefault(level.gtin, []).append(level)
    found = [
        ProductLevel(gtin, sum(s.units for s in slots), sum(s.capacity for s in slots), tuple(slots))
        for gtin, slots in by_gtin.items()
    ]
    return sorted(found, key=lambda p: (p.share, p.gtin))


def _change(event: ShelfEvent, rules: BillingRules) -> tuple[str, int] | None:
    """The product and how many came (positive) or went; None when the event is too doubtful to count."""
    product = max(event.products, key=lambda c: (c.probability, c.value))
    quantity = max(event.quantities, key=lambda c: (c.probability, c.value))
    if event.kind_probability < rules.kind or product.probability < rules.product:
        return None
    text = quantity.value
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 0 < int(text) <= rules.max_units_per_event):
        return None
    return product.value, int(text) if event.kind == "put_back" else -int(text)


def _slot(event, gtin, amount, product_of, gondola_of, units, fits) -> str | None:
    if event.slot_id is not None and product_of.get(event.slot_id) == gtin:
        return event.slot_id
    here = sorted(s for s, g in product_of.items() if g == gtin and gondola_of[s] == event.gondola_id)
    if not here:
        return None
    if amount > 0:
        return max(here, key=lambda s: fits[s] - units[s])
    return max(here, key=lambda s: units[s])
