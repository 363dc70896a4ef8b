# SPDX-License-Identifier: AGPL-3.0-or-later
"""Goods that are not where they belong, for staff to go and look. Pure functions over events.

* `misplaced`: put back into a slot, or onto a gondola, that the planogram does not give to the product;
* `left-behind`: put onto a shelf by somebody who was not seen taking it: a thing of their own, or a missed pick;
* `let-go`: on a receipt, but not charged by the store's rules because it was doubtful: it may still be in the shop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from calibration.catalogue import Planogram
from calibration.layout import StoreLayout
from pipeline.cart.rules import BillingRules
from pipeline.messages import Event, ReceiptIssued, ReviewNote, ShelfEvent

Kind = Literal["misplaced", "left-behind", "let-go"]


@dataclass(frozen=True)
class StrayItem:
    """`item_id` is the same whenever it is worked out again. `gondola_id`, `slot_id`: where it was put, or taken from
    (`let-go`); None where nothing is known. `event_ids`: the shelf events that say so, for the evidence."""

    item_id: str
    kind: Kind
    gtin: str
    units: int
    at_ns: int
    gondola_id: str | None
    slot_id: str | None
    event_ids: tuple[str, ...]
    visit_id: str | None = None


def stray_items(
    events: Iterable[Event],
    planogram: Planogram,
    layout: StoreLayout,
    *,
    notes: Iterable[tuple[str, ReviewNote]] = (),
    rules: BillingRules | None = None,
    handled: Collection[str] = (),
) -> tuple[StrayItem, ...]:
    """What staff should go and see, the newest first.

    Args:
        events: in any order; of each receipt the newest version counts.
        notes: (visit id, note) of carts that have no receipt yet.
        handled: ids of items that staff have dealt with.
    """
    rules = rules or BillingRules()
    shelf = {e.event_id: e for e in events if isinstance(e, ShelfEvent)}
    newest: dict[str, ReceiptIssued] = {}
    for event in events:
        if isinstance(event, ReceiptIssued) and event.version >= _version(newest.get(event.receipt_id)):
            newest[event.receipt_id] = event
    found = [
        *_misplaced(sorted(shelf.values(), key=lambda e: (e.at_ns, e.event_id)), planogram, layout, rules),
        *_left_behind([*((r.visit_id, n) for r in newest.values() for n in r.notes), *notes], shelf),
        *_let_go(newest.values(), shelf),
    ]
    unique = {item.item_id: item for item in found if item.item_id not in handled}
    return tuple(sorted(unique.values(), key=lambda i: (-i.at_ns, i.item_id)))


def _misplaced(
    events: Sequence[ShelfEvent], planogram: Planogram, layout: StoreLayout, rules: BillingRules
) -> list[StrayItem]:
    """Put-backs of a sure product in a wrong place, until somebody takes it from there."""
    planned: dict[str, set[str]] = {}
    for slot_id, gtin in planogram.slots.items():
        planned.setdefault(layout.slot_by_id[slot_id][0].id, set()).add(gtin)
    lying: list[StrayItem] = []
    for event in events:
        product = max(event.products, key=lambda c: (c.probability, c.value))
        if product.probability < rules.product or event.kind_probability < rules.kind:
            continue
        gtin, units = product.value, _units(event)
        if event.kind == "pick":
            lying = _taken(lying, event, gtin, units)
        elif event.slot_id is not None:
            if planogram.slots.get(event.slot_id) != gtin:
                lying.append(_item("misplaced", event, gtin, units))
        elif gtin not in planned.get(event.gondola_id, ()):
            lying.append(_item("misplaced", event, gtin, units))
    return lying


def _taken(lying: list[StrayItem], event: ShelfEvent, gtin: str, units: int) -> list[StrayItem]:
    """What still lies there after somebody took `units`: from the named slot, else from anywhere on the gondola."""
    left = []
    for item in reversed(lying):
        place = item.slot_id == event.slot_id if None not in (item.slot_id, event.slot_id) else True
        if units and item.gtin == gtin and item.gondola_id == event.gondola_id and place:
            taken = min(units, item.units)
            units -= taken
            if item.units > taken:
                left.append(replace(item, units=item.units - taken))
        else:
            left.append(item)
    return left[::-1]


def _left_behind(notes: Iterable[tuple[str, ReviewNote]], shelf: dict[str, ShelfEvent]) -> list[StrayItem]:
    """A note with a quantity is a put-back that nothing in the cart explains (`pipeline.cart.units`)."""
    found = []
    for visit_id, note in notes:
        event = next((shelf[i] for i in note.event_ids if i in shelf), None)
        if note.quantity and note.gtin and event is not None:
            found.append(_item("left-behind", event, note.gtin, note.quantity, visit_id))
    return found


def _let_go(receipts: Iterable[ReceiptIssued], shelf: dict[str, ShelfEvent]) -> list[StrayItem]:
    found = []
    for receipt in receipts:
        for line in receipt.lines:
            if line.status != "let-go":
                continue
            event = next((shelf[i] for i in line.event_ids if i in shelf), None)
            found.append(
                StrayItem(
                    f"let-go-{receipt.receipt_id}-{line.line_id or line.gtin}", "let-go", line.gtin, line.quantity,
                    line.taken_at_ns or receipt.left_at_ns, event and event.gondola_id, event and event.slot_id,
                    line.event_ids, receipt.visit_id,
                )
            )  # fmt: skip
    return found


def _item(kind: Kind, event: ShelfEvent, gtin: str, units: int, visit_id: str | None = None) -> StrayItem:
    return StrayItem(
        f"{kind}-{event.event_id}-{gtin}", kind, gtin, units, event.at_ns, event.gondola_id, event.slot_id,
        (event.event_id,), visit_id,
    )  # fmt: skip


def _units(event: ShelfEvent) -> int:
    """The likeliest number, at least one: something was put there."""
    text = max(event.quantities, key=lambda c: (c.probability, c.value)).value
    return max(int(text), 1) if text.isascii() and text.isdigit() and len(text) < 6 else 1


def _version(receipt: ReceiptIssued | None) -> int:
    return receipt.version if receipt else 0
