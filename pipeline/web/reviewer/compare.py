# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two receipts of one visit side by side."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from pipeline.messages import ReceiptIssued


@dataclass(frozen=True)
class SideRow:
    """One product in one state: units and money (minor) then and now; 0 where it is not on that receipt."""

    name: str
    status: str
    then: tuple[int, int]
    now: tuple[int, int]

    @property
    def differs(self) -> bool:
        return self.then != self.now


def side_by_side(then: ReceiptIssued | None, now: ReceiptIssued | None) -> list[SideRow]:
    """Every product of either receipt, by its state (billed, held, let go), in the order of the older one. The same
    product on several lines is one row: which event made which line is not what a shopper pays for."""
    found: dict[tuple[str, str], list[list[int]]] = defaultdict(lambda: [[0, 0], [0, 0]])
    names: dict[str, str] = {}
    for side, receipt in enumerate((then, now)):
        for line in receipt.lines if receipt else ():
            names[line.gtin] = line.name
            sums = found[line.gtin, line.status][side]
            sums[0] += line.quantity
            sums[1] += line.total_minor
    return [
        SideRow(names[gtin], status, (old[0], old[1]), (new[0], new[1])) for (gtin, status), (old, new) in found.items()
    ]
