# SPDX-License-Identifier: AGPL-3.0-or-later
"""Entries of the audit trail in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipeline.messages import ReceiptIssued
from pipeline.reasons import read
from pipeline.review.audit import Entry
from pipeline.site import Site
from pipeline.web.render import N_
from pipeline.web.reviewer.phrases import Phrases
from pipeline.web.reviewer.words import KINDS, OUTCOMES, pseudonym

ENTRIES = {
    "case-opened": N_("Case opened"),
    "case-claimed": N_("Taken on"),
    "case-released": N_("Let go"),
    "case-second-look": N_("Second look asked for"),
    "case-resolved": N_("Decided"),
    "case-reopened": N_("Opened again"),
    "case-kept": N_("Kept as a regression case"),
    "visit-replayed": N_("Run again"),
    "visit-erased": N_("Visit erased"),
    "evidence-erased": N_("Evidence erased"),
    "evidence-expired": N_("Evidence expired"),
    "shopper-erased": N_("Shopper erased"),
    "shelf-counted": N_("Shelf counted"),
    "goods-handled": N_("Goods dealt with"),
    "catalogue-imported": N_("Catalogue imported"),
    "planogram-imported": N_("Planogram imported"),
    "settings-changed": N_("Settings changed"),
    "staff-added": N_("Staff added"),
    "staff-roles": N_("Roles of staff changed"),
    "staff-password": N_("New password of staff"),
    "staff-closed": N_("Account of staff closed"),
    "staff-reopened": N_("Account of staff opened again"),
}
_FIELDS = {
    "of": N_("about"),
    "outcome": N_("outcome"),
    "difference_minor": N_("difference"),
    "version": N_("receipt version"),
    "rule": N_("rule"),
    "evidence": N_("evidence"),
    "upheld": N_("shopper was right"),
    "line": N_("line"),
    "reason": N_("reason"),
    "staff": N_("account"),
    "roles": N_("roles"),
}
_YES, _NO = N_("yes"), N_("no")
_VERSION = N_("Receipt, version %(n)s")
_EVENTS = N_("%(n)s events")
_SHOPPER, _RULE, _BY_ITSELF = N_("shopper %(name)s"), N_("the rule “%(name)s”"), N_("by itself")
_PLAIN_BYS = ("walkout", "retention", "command")


@dataclass(frozen=True)
class EntryView:
    """`what`, `by`, `details` (name, value): in the reader's language."""

    sequence: int
    store_id: str
    at_ns: int
    kind: str
    what: str
    by: str
    details: tuple[tuple[str, str], ...]
    case_id: str | None
    hash: str


def views(site: Site, entries: Iterable[Entry], fmt: Phrases) -> tuple[EntryView, ...]:
    staff = {name for user in site.accounts.staff.all() for name in (user.staff_name, user.user_id)}
    return tuple(_view(entry, staff, fmt) for entry in entries)


def of_version(site: Site, receipt: ReceiptIssued, fmt: Phrases) -> EntryView:
    """A corrected version of a receipt, told like an entry: what changed stands on the receipt, in its language."""
    correction = receipt.correction
    changes = tuple(("", fmt.said(read(change))) for change in correction.changes) if correction else ()
    what = fmt.text(_VERSION, n=receipt.version)
    return EntryView(0, receipt.store_id, receipt.at_ns, "version", what, "", changes, None, "")


def _view(entry: Entry, staff: set[str | None], fmt: Phrases) -> EntryView:
    about = entry.about
    what = fmt.text(ENTRIES[entry.kind]) if entry.kind in ENTRIES else entry.kind
    currency = about.get("currency")
    details = tuple(
        (fmt.text(label), _value(name, about[name], currency, fmt))
        for name, label in _FIELDS.items()
        if about.get(name) not in (None, "", [])
    )
    return EntryView(
        entry.sequence, entry.store_id, entry.at_ns, entry.kind, what, _by(entry, staff, fmt), details,
        about.get("case_id"), entry.hash,
    )  # fmt: skip


def _by(entry: Entry, staff: set[str | None], fmt: Phrases) -> str:
    """Staff by their name, shoppers by their pseudonym."""
    by = entry.by
    if by.startswith("rule:"):
        return fmt.text(_RULE, name=by.removeprefix("rule:"))
    if by in _PLAIN_BYS:
        return fmt.text(_BY_ITSELF)
    if by in staff or entry.kind.startswith("staff-"):
        return by
    return fmt.text(_SHOPPER, name=pseudonym(entry.store_id, by))


def _value(name: str, value: Any, currency: str | None, fmt: Phrases) -> str:
    if name == "of" and value in KINDS:
        return fmt.text(KINDS[value])
    if name == "outcome" and value in OUTCOMES:
        return fmt.text(OUTCOMES[value])
    if name == "reason":
        return fmt.said(read(str(value)))
    if name == "difference_minor" and currency:
        return fmt.money(value, currency)
    if isinstance(value, bool):
        return fmt.text(_YES if value else _NO)
    if name == "evidence" and isinstance(value, list):
        return fmt.text(_EVENTS, n=len(value))
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
