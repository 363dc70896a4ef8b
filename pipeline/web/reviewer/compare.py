# SPDX-License-Identifier: AGPL-3.0-or-later
"""The receipts of one visit side by side: as it was made, as people agreed, as today's build makes it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.messages import ReceiptIssued
from pipeline.review.replay import VisitReplay
from pipeline.web.render import N_

_THEN, _AGREED, _NOW = N_("Then"), N_("As agreed"), N_("Now")


@dataclass(frozen=True)
class SideRow:
    """One product in one state. `sides`: (units, minor) on each receipt, (0, 0) where it is not there. `differs`: the
    last from the first."""

    name: str
    status: str
    sides: tuple[tuple[int, int], ...]

    @property
    def differs(self) -> bool:
        return self.sides[0] != self.sides[-1]


@dataclass(frozen=True)
class Sides:
    """`titles` of the columns, to be translated. `totals`: None for no receipt. `as_agreed`: today's build bills what
    people agreed on; None where nobody corrected anything."""

    currency: str
    titles: tuple[str, ...]
    rows: tuple[SideRow, ...]
    totals: tuple[int | None, ...]
    same: bool
    as_agreed: bool | None


def sides_of(found: VisitReplay) -> Sides:
    """The agreed receipt has a column of its own where it was corrected."""
    corrected = found.agreed.version > found.then.version
    columns = [(_THEN, found.then), *([(_AGREED, found.agreed)] if corrected else []), (_NOW, found.now)]
    receipts = [receipt for _, receipt in columns]
    return Sides(
        currency=found.then.currency,
        titles=tuple(title for title, _ in columns),
        rows=rows_of(receipts),
        totals=tuple(r.total_minor if r else None for r in receipts),
        same=found.same,
        as_agreed=found.as_agreed if corrected else None,
    )


def rows_of(receipts: Sequence[ReceiptIssued | None]) -> tuple[SideRow, ...]:
    """Every product of any of them, by its state (billed, held, let go), in the order in which they name them. The same
    product on several lines is one row: which event made which line is not what a shopper pays for."""
    found: dict[tuple[str, str], list[list[int]]] = defaultdict(lambda: [[0, 0] for _ in receipts])
    names: dict[str, str] = {}
    for side, receipt in enumerate(receipts):
        for line in receipt.lines if receipt else ():
            names.setdefault(line.gtin, line.name)
            sums = found[line.gtin, line.status][side]
            sums[0] += line.quantity
            sums[1] += line.total_minor
    return tuple(
        SideRow(names[gtin], status, tuple((units, minor) for units, minor in sums))
        for (gtin, status), sums in found.items()
    )
