# SPDX-License-Identifier: AGPL-3.0-or-later
"""How disputes and reviews go: by kind, upheld or not, how long they take, how many visits are held, by store, product
and camera."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import func, select

from pipeline.cart.tables import receipts
from pipeline.review.model import DISPUTE_KINDS, ELSEWHERE, RESOLVED, Case
from pipeline.review.tables import cases
from pipeline.state import Database

S = 1_000_000_000


@dataclass(frozen=True)
class Waits:
    """Seconds from opening to decision; None where nothing was decided. `late`: after the promise."""

    decided: int
    p50_s: float | None
    p95_s: float | None
    late: int


@dataclass(frozen=True)
class Tally:
    """Of some cases. `disputes` = `upheld` + `refused` + `waiting` + `elsewhere`. `held`: cases of the shop's own.
    `paid_back_minor`, `charged_minor`: by currency."""

    cases: int
    disputes: int
    upheld: int
    refused: int
    waiting: int
    elsewhere: int
    held: int
    by_rule: int
    paid_back_minor: dict[str, int]
    charged_minor: dict[str, int]

    @property
    def upheld_share(self) -> float | None:
        """Of the disputes that were decided."""
        decided = self.upheld + self.refused
        return self.upheld / decided if decided else None


@dataclass(frozen=True)
class StoreFigures:
    """`visits`: with a receipt; `held_visits`: those of them of which something was held for review."""

    visits: int
    held_visits: int
    tally: Tally

    @property
    def held_share(self) -> float | None:
        return self.held_visits / self.visits if self.visits else None


@dataclass(frozen=True)
class Figures:
    """`kinds`: the disputes', all of them. `products`: by GTIN, `cameras`: by camera id; a case of several cameras
    counts with each. `all`: everything together."""

    all: StoreFigures
    waits: Waits
    dispute_waits: Waits
    kinds: dict[str, Tally]
    stores: dict[str, StoreFigures]
    products: dict[str, Tally]
    cameras: dict[str, Tally]


def figures(
    database: Database, *, store_id: str | None = None, since_ns: int = 0, until_ns: int = (1 << 63) - 1
) -> Figures:
    """Of cases that were opened, and visits that ended, from `since_ns` until before `until_ns`."""
    opened = select(cases).where(cases.c.opened_ns >= since_ns, cases.c.opened_ns < until_ns)
    visits = (
        select(receipts.c.store_id, receipts.c.visit_id)
        .where(receipts.c.version == 1, receipts.c.left_at_ns >= since_ns, receipts.c.left_at_ns < until_ns)
    )  # fmt: skip
    held = select(cases.c.visit_id).where(cases.c.origin == "held")
    if store_id is not None:
        opened, visits = opened.where(cases.c.store_id == store_id), visits.where(receipts.c.store_id == store_id)

    def read(db) -> tuple[list[Case], dict[str, int], dict[str, int]]:
        rows = [Case.of(row) for row in db.execute(opened)]
        both = []
        for query in (visits, visits.where(receipts.c.visit_id.in_(held))):
            inner = query.subquery()
            counts = select(inner.c.store_id, func.count()).group_by(inner.c.store_id)
            both.append(dict(tuple(row) for row in db.execute(counts)))
        return rows, *both

    found, seen, with_held = database.run(read)
    stores = sorted({*seen, *(c.store_id for c in found)})
    disputes = [c for c in found if c.origin == "dispute"]
    return Figures(
        all=StoreFigures(sum(seen.values()), sum(with_held.values()), _tally(found)),
        waits=_waits(found),
        dispute_waits=_waits(disputes),
        kinds={kind: _tally([c for c in disputes if c.kind == kind]) for kind in DISPUTE_KINDS},
        stores={
            s: StoreFigures(seen.get(s, 0), with_held.get(s, 0), _tally([c for c in found if c.store_id == s]))
            for s in stores
        },
        products=_by(found, lambda c: [c.gtin or c.claimed_gtin]),
        cameras=_by(found, lambda c: c.cameras),
    )


def percentile(values: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(math.ceil(share * len(ordered)), 1) - 1] if ordered else None


def _by(found: Iterable[Case], keys: Callable[[Case], Iterable[str | None]]) -> dict[str, Tally]:
    """Most cases first."""
    groups: dict[str, list[Case]] = defaultdict(list)
    for case in found:
        for key in keys(case):
            if key is not None:
                groups[key].append(case)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return {key: _tally(group) for key, group in ordered}


def _tally(found: Sequence[Case]) -> Tally:
    disputes = [c for c in found if c.origin == "dispute"]
    decided = [c for c in disputes if c.state == RESOLVED]
    back: dict[str, int] = defaultdict(int)
    charged: dict[str, int] = defaultdict(int)
    for case in found:
        if case.difference_minor < 0:
            back[case.currency] -= case.difference_minor
        elif case.difference_minor > 0:
            charged[case.currency] += case.difference_minor
    return Tally(
        cases=len(found), disputes=len(disputes), upheld=sum(c.upheld is True for c in decided),
        refused=sum(c.upheld is False for c in decided), waiting=len(disputes) - len(decided),
        elsewhere=sum(c.outcome == ELSEWHERE for c in decided), held=len(found) - len(disputes),
        by_rule=sum(c.rule is not None for c in found), paid_back_minor=dict(back), charged_minor=dict(charged),
    )  # fmt: skip


def _waits(found: Sequence[Case]) -> Waits:
    decided = [c for c in found if c.decided_ns is not None]
    took = [(c.decided_ns - c.opened_ns) / S for c in decided]
    late = sum(c.decided_ns > c.promise_ns for c in decided)
    return Waits(len(decided), percentile(took, 0.5), percentile(took, 0.95), late)
