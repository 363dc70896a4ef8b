# SPDX-License-Identifier: AGPL-3.0-or-later
"""The queue as its page and its API show it, and which case comes after one."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.review.model import SECOND_LOOK, Case
from pipeline.site import Site
from pipeline.web.render import N_
from pipeline.web.reviewer.phrases import Phrases
from pipeline.web.reviewer.words import KINDS, pseudonym

STATES = (("undecided", N_("to be decided")), ("resolved", N_("settled")))
WHOS = (("", N_("everybody's")), ("free", N_("nobody's")), ("mine", N_("mine")))
_MOST = 200


@dataclass(frozen=True)
class Filters:
    """Anything unknown means all."""

    state: str = "undecided"
    kind: str = ""
    who: str = ""


@dataclass(frozen=True)
class Row:
    """One case in the queue. `promise`, `kind`: in words, `kind` to be translated; `shopper`: a pseudonym."""

    case_id: str
    kind: str
    state: str
    product: str
    amount_minor: int
    currency: str
    shopper: str
    on_it: str | None
    promise_ns: int
    promise: str
    late: bool


def rows_of(site: Site, filters: Filters, by: str, fmt: Phrases) -> list[Row]:
    """Oldest promise first; what was settled newest first."""
    now_ns = site.clock()
    if filters.state == "resolved":
        found = site.review.resolved(store_id=site.store_id, limit=_MOST)
        found = [case for case in found if filters.kind in ("", case.kind)]
    else:
        found = site.review.queue(store_id=site.store_id, kind=filters.kind or None, limit=_MOST)
        wanted = {"": None, "free": (None,), "mine": (by,)}.get(filters.who)
        found = [case for case in found if wanted is None or case.on_it(now_ns) in wanted]
    return [_row(site, case, now_ns, fmt) for case in found]


def next_case(site: Site, by: str, after: str | None = None) -> str | None:
    """The first that `by` may decide and nobody else is on; of those behind `after` when there are any."""
    now_ns = site.clock()
    found = site.review.queue(store_id=site.store_id, limit=_MOST)
    order = [case.case_id for case in found]
    start = order.index(after) + 1 if after in order else 0
    for case in [*found[start:], *found[:start]]:
        mine_again = case.state == SECOND_LOOK and case.second_look_by == by
        if case.case_id != after and not mine_again and case.on_it(now_ns) in (None, by):
            return case.case_id
    return None


def product_of(site: Site, gtin: str | None) -> str:
    """A product's name; its number when the catalogue does not know it any more, "" for none."""
    if gtin is None:
        return ""
    product = site.shop.catalogue.by_gtin.get(gtin)
    return product.name if product else gtin


def _row(site: Site, case: Case, now_ns: int, fmt: Phrases) -> Row:
    open_ = case.state != "resolved"
    at_ns = case.promise_ns if open_ or case.decided_ns is None else case.decided_ns
    return Row(
        case_id=case.case_id,
        kind=KINDS.get(case.kind, case.kind),
        state=case.state,
        product=product_of(site, case.gtin or case.claimed_gtin),
        amount_minor=case.amount_minor,
        currency=case.currency,
        shopper=pseudonym(case.store_id, case.shopper_id),
        on_it=case.on_it(now_ns) if open_ else case.decided_by,
        promise_ns=at_ns,
        promise=fmt.until(at_ns, now_ns),
        late=open_ and case.promise_ns < now_ns,
    )
