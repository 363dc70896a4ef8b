# SPDX-License-Identifier: AGPL-3.0-or-later
"""From the shelf events of one visit to the units in its cart.

Every unit is certain (billed) or not (held, with the reason). A put-back takes a unit out again; one that may or may
not have happened makes the unit it would have taken out uncertain; one of something that nobody was seen to take is
kept as a note for the reviewer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.cart.identity import Doer
from pipeline.cart.rules import BillingRules
from pipeline.messages import Candidate, ReviewNote, ShelfEvent, StaffDecision
from pipeline.reasons import (
    ABSURD_QUANTITY,
    CONFUSED,
    HOW_MANY,
    MAYBE_PUT_BACK,
    NO_PICK,
    NO_PUT_BACK,
    NOBODY_TOOK_IT,
    PICK_NOT_COUNTED,
    PUT_BACK_NOT_COUNTED,
    SEPARATOR,
    SOMEBODY_ELSE,
    WHICH_PRODUCT,
    WHICH_PUT_BACK,
)

_LONGEST_QUANTITY = 9
"""Digits. Python refuses to read a number of some thousand, and no hand takes so many."""


@dataclass(frozen=True)
class Unit:
    """One article in a cart. `reason` is empty when it is certain; `alternatives` are what else it may be."""

    gtin: str
    reason: str
    alternatives: tuple[Candidate, ...]
    event_ids: tuple[str, ...]
    taken_at_ns: int = 0
    member: int = 1

    @property
    def certain(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Cart:
    """`units` in the order in which they were taken."""

    units: tuple[Unit, ...] = ()
    notes: tuple[ReviewNote, ...] = ()
    decisions: tuple[StaffDecision, ...] = ()

    def doubted(self, why: str) -> Cart:
        """The same cart with a doubt about all of it."""
        return replace(
            self, units=tuple(replace(u, reason=f"{u.reason}; {why}" if u.reason else why) for u in self.units)
        )


class CartBuilder:
    """Takes the shelf events of one visit in the order of time."""

    def __init__(self, rules: BillingRules) -> None:
        self._rules = rules
        self._units: list[Unit] = []
        self._notes: list[ReviewNote] = []
        self._put_back_ids: dict[str, list[str]] = {}

    def add(self, event: ShelfEvent, doer: Doer) -> None:
        """`doer`: the member of this visit, and how surely it was somebody of it."""
        doubts = []
        if doer.probability < self._rules.person:
            doubts.append(SOMEBODY_ELSE.format(share=_percent(1 - doer.probability)))
            if doer.confused:
                doubts.append(CONFUSED)
        if event.kind_probability < self._rules.kind:
            unlike = NO_PICK if event.kind == "pick" else NO_PUT_BACK
            doubts.append(unlike.format(share=_percent(1 - event.kind_probability)))
        if event.kind == "pick":
            self._pick(event, doubts, doer.member)
        else:
            self._put_back(event, doubts)

    def note(self, event: ShelfEvent, why: str) -> None:
        """Leave an event out of the cart, for a person to look at."""
        gtin = max(event.products, key=lambda c: (c.probability, c.value)).value
        what = (PICK_NOT_COUNTED if event.kind == "pick" else PUT_BACK_NOT_COUNTED).format(why=why)
        self._notes.append(ReviewNote(reason=what, gtin=gtin, event_ids=(event.event_id,)))

    def cart(self, decisions: Sequence[StaffDecision] = ()) -> Cart:
        """The units left, each with the ids of the put-backs that concerned its product, after what staff decided."""
        units = [
            replace(u, event_ids=tuple(dict.fromkeys([*u.event_ids, *self._put_back_ids.get(u.gtin, ())])))
            for u in self._units
        ]
        for decision in decisions:
            units = [kept for u in units if (kept := _decided(u, decision)) is not None]
        return Cart(tuple(units), tuple(self._notes), tuple(decisions))

    def _pick(self, event: ShelfEvent, doubts: list[str], member: int) -> None:
        best = max(event.products, key=lambda c: (c.probability, c.value))
        if best.probability < self._rules.product:
            doubts = [*doubts, WHICH_PRODUCT.format(share=_percent(best.probability))]
        certain, unsure, why = self._quantity(event)
        for number in range(certain + unsure):
            reason = _reason(event, doubts if number < certain else [*doubts, why])
            alternatives = event.products if reason else ()
            self._units.append(Unit(best.value, reason, alternatives, (event.event_id,), event.at_ns, member))

    def _put_back(self, event: ShelfEvent, doubts: list[str]) -> None:
        certain, unsure, why = self._quantity(event)
        for number in range(certain + unsure):
            gtin, probability = self._which(event)
            reasons = list(doubts) if number < certain else [*doubts, why]
            if probability < self._rules.product:
                reasons.append(WHICH_PUT_BACK.format(share=_percent(probability)))
            index = self._find(gtin)
            if index is None:
                self._notes.append(
                    ReviewNote(
                        reason=SEPARATOR.join([NOBODY_TOOK_IT, *reasons]),
                        gtin=gtin, quantity=1, event_ids=(event.event_id,),
                    )
                )  # fmt: skip
                continue
            self._put_back_ids.setdefault(gtin, []).append(event.event_id)
            if reasons:
                unit = self._units[index]
                why = MAYBE_PUT_BACK.format(why=SEPARATOR.join(reasons))
                self._units[index] = replace(
                    unit,
                    reason=SEPARATOR.join(filter(None, [unit.reason, why])),
                    event_ids=(*unit.event_ids, event.event_id),
                )
            else:
                del self._units[index]

    def _which(self, event: ShelfEvent) -> tuple[str, float]:
        """The product that was put back, and how sure that is, knowing what is in the cart.

        Bayes' rule with a prior that one can only put back what one has: candidates outside the cart weigh
        `put_back_not_in_cart`. What the event leaves open (its probabilities add up to less than 1) stays open.
        """
        open_share = max(0.0, 1.0 - sum(c.probability for c in event.products))
        weights = {
            c.value: c.probability * (1.0 if self._find(c.value) is not None else self._rules.put_back_not_in_cart)
            for c in event.products
        }
        total = sum(weights.values()) + open_share
        gtin = max(weights, key=lambda g: (weights[g], g))
        return gtin, weights[gtin] / total if total > 0 else 0.0

    def _find(self, gtin: str) -> int | None:
        """The unit a put-back of `gtin` takes out: the newest certain one, else the newest that may be it."""
        newest_first = range(len(self._units) - 1, -1, -1)
        for wanted in (
            lambda u: u.certain and u.gtin == gtin,
            lambda u: u.gtin == gtin,
            lambda u: any(c.value == gtin for c in u.alternatives),
        ):
            for i in newest_first:
                if wanted(self._units[i]):
                    return i
        return None

    def _quantity(self, event: ShelfEvent) -> tuple[int, int, str]:
        """Units that are certain, further units that are not, and why those are not.

        The k-th unit is certain when the probability of at least k reaches the rule, and left out when it is at most
        1 minus the rule. At least one unit is kept: something was taken.
        """
        chances: dict[int, float] = {}
        for candidate in event.quantities:
            text = candidate.value
            if text.isascii() and text.isdigit() and len(text) <= _LONGEST_QUANTITY and int(text) > 0:
                chances[int(text)] = chances.get(int(text), 0.0) + candidate.probability
        if len(chances) < len(event.quantities) or max(chances) > self._rules.max_units_per_event:
            shown = ", ".join(c.value[:20] for c in event.quantities[:3])
            return 0, 1, ABSURD_QUANTITY.format(shown=repr(shown))
        at_least = [sum(p for q, p in chances.items() if q >= k) for k in range(1, max(chances) + 1)]
        rule = self._rules.quantity
        certain = sum(p >= rule for p in at_least)
        possible = sum(p > 1 - rule for p in at_least)
        return certain, max(possible, 1) - certain, HOW_MANY


def _decided(unit: Unit, decision: StaffDecision) -> Unit | None:
    """A doubtful unit after staff looked at it; None: it is left out. Where staff name another of the products that it
    may be, it is that one."""
    about = not decision.shelf_event_ids or not set(decision.shelf_event_ids).isdisjoint(unit.event_ids)
    may_be = decision.gtin in (None, unit.gtin, *(c.value for c in unit.alternatives))
    if unit.certain or not about or not may_be or decision.decision not in ("bill", "drop"):
        return unit
    if decision.decision == "drop":
        return None
    event_ids = (*unit.event_ids, decision.event_id)
    return replace(unit, gtin=decision.gtin or unit.gtin, reason="", alternatives=(), event_ids=event_ids)


def _reason(event: ShelfEvent, doubts: Sequence[str]) -> str:
    """Ours first, then what the shelf stage said; empty when there is no doubt."""
    return SEPARATOR.join([*doubts, *([event.reason] if event.reason else [])]) if doubts else ""


def _percent(probability: float) -> str:
    return f"{100 * probability:.0f} %"
