# SPDX-License-Identifier: AGPL-3.0-or-later
"""A cart as its shopper sees it while shopping: items with a price and a state, and small changes between two of them.

The amounts come from the same functions as the receipt's, so that the list on the phone and the bill agree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, Self

from pipeline.cart.doubts import Doubt, doubt_of
from pipeline.cart.price_book import PriceBook
from pipeline.messages import ReceiptLine

State = Literal["shopping", "leaving", "settled"]
"""Inside; gone, and the bill is being made; there is a receipt."""


@dataclass(frozen=True)
class LiveItem:
    """One line of a live cart.

    `key`: stays while what it says stays, so that a page changes a row and does not draw the list anew. `state`: `sure`
    is what will be billed; `checking` would be held; `free` would be let go. `doubt`: why it is not sure. `may_be`:
    names of what else it may be, likeliest first.
    """

    key: str
    gtin: str
    name: str
    quantity: int
    unit_price_minor: int
    total_minor: int
    discount_minor: int
    member: int
    taken_at_ns: int
    state: Literal["sure", "checking", "free"]
    doubt: Doubt | None = None
    may_be: tuple[str, ...] = ()


@dataclass(frozen=True)
class LiveCart:
    """A visit's cart at one moment. `seq` rises by one with every change that can be seen.

    `total_minor`: what would be charged now, taxes and discounts included. `checking_minor`: what the items in doubt
    cost beside that. `shopper_id`: who pays; None: nobody.
    """

    visit_id: str
    seq: int
    state: State
    shopper_id: str | None
    party_size: int
    opened_at_ns: int
    currency: str
    total_minor: int
    checking_minor: int
    items: tuple[LiveItem, ...]
    receipt_id: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON-able; without who pays, which whoever may see the cart knows."""
        return {k: v for k, v in asdict(self).items() if k != "shopper_id"}


@dataclass(frozen=True)
class Change:
    """What leads from a cart with `seq` - 1 to the one with `seq`: items put in or replaced, keys taken out, and the
    fields of the cart that are others now."""

    visit_id: str
    seq: int
    put: tuple[LiveItem, ...]
    gone: tuple[str, ...]
    fields: Mapping[str, Any]

    @classmethod
    def between(cls, before: LiveCart, after: LiveCart) -> Self | None:
        """None when nothing can be seen of it."""
        old = {item.key: item for item in before.items}
        new = {item.key: item for item in after.items}
        put = tuple(item for item in after.items if old.get(item.key) != item)
        gone = tuple(key for key in old if key not in new)
        other = {n: getattr(after, n) for n in _PLAIN if getattr(after, n) != getattr(before, n)}
        if not put and not gone and not other:
            return None
        return cls(after.visit_id, before.seq + 1, put, gone, other)

    def on(self, cart: LiveCart) -> LiveCart:
        """The cart after this change: what a page does with it."""
        if (cart.visit_id, cart.seq + 1) != (self.visit_id, self.seq):
            raise ValueError(f"change {self.seq} of {self.visit_id} does not follow {cart.seq} of {cart.visit_id}")
        items = {item.key: item for item in cart.items}
        items.update((item.key, item) for item in self.put)
        for key in self.gone:
            del items[key]
        return replace(cart, seq=self.seq, items=in_order(items.values()), **self.fields)

    def as_dict(self) -> dict[str, Any]:
        known = {k: v for k, v in self.fields.items() if k != "shopper_id"}
        return {
            "visit_id": self.visit_id, "seq": self.seq, "put": [asdict(i) for i in self.put], "gone": self.gone,
            **known,
        }  # fmt: skip


_PLAIN = tuple(f.name for f in fields(LiveCart) if f.name not in ("visit_id", "seq", "items"))
_STATES: dict[str, Literal["sure", "checking", "free"]] = {"billed": "sure", "held": "checking", "let-go": "free"}


def items_of(lines: Iterable[ReceiptLine], book: PriceBook) -> tuple[LiveItem, ...]:
    """A bill's lines as items, in the order in which they were taken."""
    items, seen = [], {}
    for line in lines:
        what = (line.gtin, str(line.member), line.status, line.reason, str(line.unit_price_minor))
        again = seen[what] = seen.get(what, -1) + 1
        items.append(
            LiveItem(
                key=hashlib.sha256("\x1f".join((*what, str(again))).encode()).hexdigest()[:12],
                gtin=line.gtin,
                name=line.name,
                quantity=line.quantity,
                unit_price_minor=line.unit_price_minor,
                total_minor=line.total_minor,
                discount_minor=sum(d.amount_minor for d in line.discounts),
                member=line.member,
                taken_at_ns=line.taken_at_ns,
                state=_STATES[line.status],
                doubt=doubt_of(line.reason),
                may_be=tuple(_name(c.value, book) for c in line.alternatives if c.value != line.gtin)[:3],
            )
        )
    return in_order(items)


def _name(gtin: str, book: PriceBook) -> str:
    product = book.product(gtin)
    return product.name if product else gtin


def in_order(items: Iterable[LiveItem]) -> tuple[LiveItem, ...]:
    """As they were taken."""
    return tuple(sorted(items, key=lambda item: (item.taken_at_ns, item.key)))
