# SPDX-License-Identifier: AGPL-3.0-or-later
"""A receipt on a terminal, for staff: with the reasons why lines are held."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.cart.money import plain_text
from pipeline.messages import ReceiptIssued


def print_receipt(receipt: ReceiptIssued, console: Console) -> None:
    """Lines, discounts, taxes, total, notes."""

    def money(minor: int) -> str:
        return plain_text(minor, receipt.currency)

    title = f"{receipt.shopper_id or 'nobody to charge'}: receipt {receipt.receipt_id}, version {receipt.version}"
    table = Table(title=escape(title), title_justify="left", caption=f"visit {escape(receipt.visit_id)}")
    table.add_column("line")
    table.add_column("product")
    for column in ("units", "each", "total"):
        table.add_column(column, justify="right")
    table.add_column("")
    for line in receipt.lines:
        who = f" (person {line.member})" if receipt.party_size > 1 or line.member > 1 else ""
        remark = "" if line.status == "billed" else f"[yellow]{line.status}:[/yellow] {escape(line.reason)}"
        table.add_row(
            line.line_id, escape(line.name + who), str(line.quantity), money(line.unit_price_minor),
            money(line.quantity * line.unit_price_minor), remark,
        )  # fmt: skip
        for discount in line.discounts:
            coupon = f" (coupon {discount.coupon_id})" if discount.coupon_id else ""
            table.add_row("", f"  {escape(discount.text + coupon)}", "", "", money(-discount.amount_minor), "")
    table.add_section()
    for tax in receipt.taxes:
        how = "included" if receipt.tax_included else "added"
        rate = f"{tax.rate_ppm / 10_000:g} %"
        table.add_row("", f"tax {escape(tax.tax_class)} {rate}, {how}", "", "", money(tax.tax_minor), "")
    table.add_row("", "[bold]to pay", "", "", f"[bold]{money(receipt.total_minor)}", "")
    console.print(table)
    if receipt.correction:
        c = receipt.correction
        console.print(
            f"correction by {c.by}: {c.reason} ({money(c.difference_minor)}): {'; '.join(c.changes)}",
            highlight=False, markup=False,
        )  # fmt: skip
    for note in receipt.notes:
        what = f" {note.quantity} × {note.gtin}" if note.gtin else ""
        console.print(f"to look at: {note.reason}{what} [{', '.join(note.event_ids)}]", highlight=False, markup=False)
