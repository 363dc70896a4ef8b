# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the demo does after its run, so that the reviewer's page has something to decide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.cart.records import Records
from pipeline.messages import ReceiptLine
from pipeline.site import Site, open_site
from pipeline.web.people import shoppers_of

KIND = "put-back"
TEXT = "I put it back. (Filed by the demo itself, so that there is a case to look at.)"


@dataclass(frozen=True)
class DemoDispute:
    """`waiting`: cases that a reviewer has to decide, those that the run opened by itself among them."""

    case_id: str
    shopper_id: str
    receipt_id: str
    line_id: str
    name: str
    waiting: int

    def command(self, run: Path) -> str:
        """What does the same by hand."""
        return f"walkout review dispute {run} {self.shopper_id} {self.receipt_id} {KIND} --line {self.line_id}"


def dispute_a_line(run: Path) -> DemoDispute | None:
    """A shopper of the run says of something billed that they put it back, at the desk where pages and commands do.

    The line with most films of it is taken, so that there is much to see. None where nobody is billed for anything.
    `WalkoutError` when the run cannot be opened.
    """
    with open_site(run) as site:
        records = Records(site.database, site.store_id)
        billed = [
            (receipt, line)
            for shopper_id in shoppers_of(site)
            for receipt in records.page(shopper_id).receipts
            for line in receipt.lines
            if line.status == "billed"
        ]
        if not billed or site.review is None:
            return None
        receipt, line = max(billed, key=lambda pair: _films(site, pair[1]))
        case_id = site.review.open_dispute(receipt.shopper_id, receipt.receipt_id, line.line_id, KIND, TEXT)
        return DemoDispute(
            case_id, receipt.shopper_id, receipt.receipt_id, line.line_id, line.name, site.review.waiting()
        )  # fmt: skip


def _films(site: Site, line: ReceiptLine) -> int:
    return sum(clip.state == "ready" for event_id in line.event_ids for clip in site.evidence.clips(event_id))
