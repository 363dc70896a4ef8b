# SPDX-License-Identifier: AGPL-3.0-or-later
"""A moment of the floor as JSON, with its sentences in the reader's language. Times are milliseconds since the Unix
epoch: whole nanoseconds do not fit into a browser's numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calibration.layout import StoreLayout
from pipeline.cart.money import money_text
from pipeline.cart.pricing import Bill
from pipeline.messages import (
    Event,
    PersonWithoutPass,
    ReceiptIssued,
    ShelfEvent,
    VisitClosed,
    VisitOpened,
)
from pipeline.operations.floor_feed import FloorFrame
from pipeline.operations.floor_state import visit_label
from pipeline.operations.floor_view import FloorView, Moment
from pipeline.operations.items import StrayItem
from pipeline.operations.stock import ProductLevel
from pipeline.reasons import read
from pipeline.web.render import N_

MS = 1_000_000
_SURE = 0.9

CAMERA_STATES = {"live": N_("live"), "stalled": N_("stalled"), "broken": N_("broken"), "ended": N_("ended")}
ITEM_KINDS = {
    "misplaced": N_("in the wrong place"),
    "left-behind": N_("left behind"),
    "let-go": N_("not charged, may still be here"),
}
LINE_STATES = {"billed": "", "held": N_("checking"), "let-go": N_("not charged")}
PAYMENTS = {
    "held": N_("on hold"),
    "refused": N_("refused"),
    "released": N_("released"),
    "paid": N_("paid"),
    "open": N_("open"),
    "blocked": N_("to be looked at"),
}
REFUSALS = {
    "not-a-pass": N_("no pass"),
    "wrong-algorithm": N_("no pass"),
    "unknown-key": N_("a pass of another chain"),
    "key-retired": N_("the pass is too old"),
    "tampered": N_("the pass was tampered with"),
    "other-store": N_("a pass for another shop"),
    "expired": N_("the pass had run out"),
    "not-yet": N_("the pass is not valid yet"),
    "used": N_("the pass was used before"),
    "already-inside": N_("is inside already"),
    "nobody-to-join": N_("nobody to join"),
    "unknown-token": N_("the card is not known"),
    "token-expired": N_("the card has run out"),
    "unknown-issuer": N_("the account is not known"),
    "payment-declined": N_("the payment was declined"),
    "payment-unavailable": N_("payments could not be checked"),
    "unavailable": N_("passes could not be checked"),
}


class Words:
    """`translate`: gettext of the reader's language."""

    def __init__(
        self, view: FloorView, names: dict[str, str], currency: str, language: str, translate: Callable
    ) -> None:
        """`names`: GTIN -> product."""
        self._view, self._names, self._currency, self._language = view, names, currency, language
        self._ = translate

    def moment(self, moment: Moment) -> dict[str, Any]:
        _ = self._
        labels = {v.visit_id: v.label for v in moment.visits}
        return {
            "at_ms": moment.at_ns // MS,
            "visits": [
                {
                    "visit_id": v.visit_id, "label": v.label, "since_ms": v.since_ns // MS, "gate_id": v.gate_id,
                    "party_size": v.party_size, "without_pass": v.without_pass,
                    "behind": visit_label(v.behind_visit_id) if v.behind_visit_id else None,
                }
                for v in moment.visits
            ],
            "gates": [
                {
                    "gate_id": g.gate_id, "entries": g.entries, "exits": g.exits, "without_pass": g.without_pass,
                    "last_ms": g.last_ns // MS or None,
                    "refusals": [
                        {"at_ms": r["at_ns"] // MS, "reason": _(REFUSALS[r["reason"]]) if r["reason"] in REFUSALS else r["reason"]}  # noqa: E501
                        for r in moment.refusals
                        if r["gate_id"] == g.gate_id
                    ],
                }
                for g in moment.gates
            ],
            "cameras": [
                {
                    "camera_id": c, "state": state, "state_text": _(CAMERA_STATES.get(state, state)),
                    "reason": read(reason).said(_),
                }
                for c, (state, reason) in sorted(moment.cameras.items())
            ],
            "items": [self._item(item) for item in moment.items],
            "low": [self._low(level) for level in moment.low],
            "levels": _levels(moment),
            "events": [self._event(e, moment.whose.get(e.event_id), labels) for e in moment.events],
            "receipts": [self._receipt(r, moment) for r in moment.receipts],
        }  # fmt: skip

    def cart(self, visit_id: str, bill: Bill) -> dict[str, Any]:
        checking = sum(line.total_minor for line in bill.lines if line.status == "held")
        return {
            "visit_id": visit_id,
            "label": visit_label(visit_id),
            "lines": [
                {
                    "name": line.name, "gtin": line.gtin, "quantity": line.quantity,
                    "total": self._money(line.total_minor), "state": self._(LINE_STATES[line.status] or " ").strip(),
                }
                for line in bill.lines
            ],
            "total": self._money(bill.total_minor),
            "checking": self._money(checking) if checking else None,
        }  # fmt: skip

    def _event(self, event: Event, visit_id: str | None, labels: dict[str, str]) -> dict[str, Any]:
        _ = self._
        kind, text, sure = event.type, "", 1.0
        if isinstance(event, VisitOpened):
            text = (
                _("came in") if event.party_size == 1 else _("came in, {count} people").format(count=event.party_size)
            )
        elif isinstance(event, PersonWithoutPass):
            text = _("came in without a pass")
        elif isinstance(event, VisitClosed):
            text = _("left the shop")
        elif isinstance(event, ShelfEvent):
            product = max(event.products, key=lambda c: (c.probability, c.value))
            units = max(event.quantities, key=lambda c: (c.probability, c.value)).value
            sure = product.probability * event.kind_probability * event.persons[0].probability
            kind = event.kind
            said = _("took {units} {product}") if kind == "pick" else _("put back {units} {product}")
            name = self._names.get(product.value, product.value)
            text = said.format(units="" if units == "1" else f"{units} ×", product=name).replace("  ", " ")
        return {
            "event_id": event.event_id, "at_ms": event.at_ns // MS, "kind": kind, "text": text,
            "who": visit_label(visit_id) if visit_id else None, "inside": visit_id in labels,
            "sure": None if sure >= _SURE else round(100 * sure),
        }  # fmt: skip

    def _receipt(self, receipt: ReceiptIssued, moment: Moment) -> dict[str, Any]:
        payment = moment.payments.get(receipt.visit_id)
        state = payment.status if payment else None
        return {
            "receipt_id": receipt.receipt_id, "version": receipt.version, "label": visit_label(receipt.visit_id),
            "at_ms": receipt.left_at_ns // MS, "total": self._money(receipt.total_minor, receipt.currency),
            "units": sum(line.quantity for line in receipt.lines), "held": receipt.held_for_review,
            "nobody": receipt.shopper_id is None, "payment": state,
            "payment_text": self._(PAYMENTS[state]) if state else None,
        }  # fmt: skip

    def _item(self, item: StrayItem) -> dict[str, Any]:
        place = self._view.place(item.gondola_id, item.slot_id)
        return {
            "item_id": item.item_id, "kind": item.kind, "kind_text": self._(ITEM_KINDS[item.kind]),
            "product": self._names.get(item.gtin, item.gtin), "units": item.units, "at_ms": item.at_ns // MS,
            "place": item.slot_id or item.gondola_id, "xy_m": place,
            "who": visit_label(item.visit_id) if item.visit_id else None,
        }  # fmt: skip

    def _low(self, level: ProductLevel) -> dict[str, Any]:
        return {
            "gtin": level.gtin, "product": self._names.get(level.gtin, level.gtin), "units": level.units,
            "capacity": level.capacity, "slots": [s.slot_id for s in level.slots],
        }  # fmt: skip

    def _money(self, minor: int, currency: str | None = None) -> str:
        return money_text(minor, currency or self._currency, self._language)


def frame_json(view: FloorView, frame: FloorFrame) -> dict[str, Any]:
    """`p`: track, x and y in metres, visit or null. `w`: events that wait for an event log that is
    away. `b`: bills wait, for it or for the database."""
    people = [[t, round(x, 3), round(y, 3), visit_id] for t, x, y, visit_id in view.people(frame)]
    waiting = {"w": frame.waiting.events, "b": int(frame.waiting.bills)}
    return {"t": frame.at_ns // MS, "p": people} | {key: n for key, n in waiting.items() if n}


def plan_json(layout: StoreLayout) -> dict[str, Any]:
    """What stands still, in metres."""
    forward = {c: camera.rotation[2] for c, camera in layout.camera_by_id.items()}
    return {
        "floor": [list(xy) for xy in layout.floor_m],
        "obstacles": [[list(xy) for xy in one] for one in layout.obstacles_m],
        "gondolas": [
            {
                "id": g.id, "corners": [list(xy) for xy in list(g.footprint.exterior.coords)[:4]],
                "front": [g.to_world(along, 0.0, 0.0)[:2].tolist() for along in (0.0, g.width_m)],
            }
            for g in layout.gondolas
        ],
        "cameras": [
            {"id": c.id, "xy": list(c.position_m[:2]), "towards": forward[c.id][:2].tolist()} for c in layout.cameras
        ],
        "gates": [
            {"id": g.id, "line": [list(xy) for xy in g.line_m], "inward": list(g.inward), "tap": list(g.tap_m)}
            for g in layout.gates
        ],
    }  # fmt: skip


def _levels(moment: Moment) -> dict[str, float]:
    """Gondola -> how full it is, 0 to 1."""
    sums: dict[str, list[int]] = {}
    for level in moment.slots.values():
        at = sums.setdefault(level.gondola_id, [0, 0])
        at[0] += level.units
        at[1] += level.capacity
    return {g: round(units / capacity, 3) for g, (units, capacity) in sums.items() if capacity}
