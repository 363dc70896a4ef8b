# SPDX-License-Identifier: AGPL-3.0-or-later
"""The page of one case: what review and evidence know of it, named and ordered for the template."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pipeline.messages import ReceiptIssued, ReceiptLine
from pipeline.review import case_view as review
from pipeline.review.model import Case
from pipeline.site import Site
from pipeline.web.render import N_
from pipeline.web.reviewer import trail
from pipeline.web.reviewer.case_events import MOST, EventPanel, events_of
from pipeline.web.reviewer.phrases import Phrases
from pipeline.web.reviewer.plan import PlanView, plan_of
from pipeline.web.reviewer.queue import product_of
from pipeline.web.reviewer.words import ASKED, DECISIONS, KINDS, OUTCOMES, pseudonym

_NEIGHBOURS = 2

Priced = tuple[tuple[str, str, str, float | None], ...]
"""GTIN, name, price, probability."""


@dataclass(frozen=True)
class LinePanel:
    """`events`: (number on the page, event id)."""

    line: ReceiptLine
    gone: bool
    asked: bool
    why: str
    events: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class OtherView:
    """A receipt that a line can be moved to. `probability`: that its people did what the line is made of."""

    receipt_id: str
    shopper: str
    probability: float


@dataclass(frozen=True)
class CasePage:
    """`target`: the line that the case is about, where it is on the receipt. `choose_line`: the dialogs ask which one.
    `runners_up`: what the line may be instead; `missing`: what may have to be added. `impossible`: decisions that
    cannot be taken here."""

    view: review.CaseView
    kind: str
    outcome: str
    product: str
    claimed_product: str
    shopper: str
    promise: str
    late: bool
    decided: str
    lines: tuple[LinePanel, ...]
    notes: tuple[tuple[str, str, int], ...]
    events: tuple[EventPanel, ...]
    target: ReceiptLine | None
    choose_line: bool
    others: tuple[OtherView, ...]
    runners_up: Priced
    missing: Priced
    impossible: frozenset[str]
    asked: str
    refund_amount: str
    says: dict[str, str]
    plan: PlanView
    history: tuple[trail.EntryView, ...]
    form_key: str

    @property
    def case(self) -> Case:
        return self.view.case

    @property
    def receipt(self) -> ReceiptIssued:
        return self.view.receipt


def case_page(site: Site, case_id: str, fmt: Phrases) -> CasePage:
    """`UnknownCaseError`: there is no such case."""
    view = site.review.view(case_id)
    case, receipt, now_ns = view.case, view.receipt, site.clock()
    events = events_of(site, view, fmt)
    numbers = {panel.event.event_id: number for number, panel in enumerate(events, start=1)}
    asked = next((line for line in view.lines if line.asked), None)
    target = asked.line if asked and not asked.gone else None
    others = tuple(_other(site, person) for person in view.others if person.receipt_id)
    runners_up = _runners_up(site, view, asked, fmt)
    return CasePage(
        view=view,
        kind=KINDS.get(case.kind, case.kind),
        outcome=OUTCOMES.get(case.outcome or "", case.outcome or ""),
        product=product_of(site, case.gtin or case.claimed_gtin),
        claimed_product=product_of(site, case.claimed_gtin),
        shopper=pseudonym(case.store_id, case.shopper_id),
        promise=fmt.until(case.promise_ns, now_ns),
        late=case.promise_ns < now_ns,
        decided=_decided(case, fmt),
        lines=tuple(
            LinePanel(line.line, line.gone, line.asked, fmt.said(line.why), _chips(line.events, numbers))
            for line in view.lines
        ),
        notes=tuple((n.note.reason, product_of(site, n.note.gtin), n.note.quantity) for n in view.notes),
        events=events,
        target=target,
        choose_line=case.line_id is None and any(not line.gone for line in view.lines),
        others=others,
        runners_up=runners_up,
        missing=_missing(site, view, asked, fmt),
        impossible=_impossible(view, target, others),
        asked=ASKED.get(case.kind, ""),
        refund_amount=fmt.amount(target.total_minor if target else receipt.total_minor, receipt.currency),
        says=_says(view, target, fmt),
        plan=_plan(site, view, events, fmt),
        history=_history(site, view, fmt),
        form_key=secrets.token_urlsafe(9),
    )


def _chips(events: Iterable[review.EventView], numbers: dict[str, int]) -> tuple[tuple[int, str], ...]:
    return tuple((numbers[e.event.event_id], e.event.event_id) for e in events)


# --- decisions --------------------------------------------------------------------------------------------------------


def _other(site: Site, person: review.Person) -> OtherView:
    name = pseudonym(site.store_id, person.shopper_id)
    return OtherView(person.receipt_id or "", name, person.probability)


def _runners_up(site: Site, view: review.CaseView, asked: review.LineView | None, fmt: Phrases) -> Priced:
    """What the shopper says it was, what else it may have been, then what stands beside it on the shelf."""
    line = asked.line if asked else None
    likely = {p.gtin: p.probability for p in (asked.products if asked else ())}
    beside = _beside(site, asked.events if asked else ())
    gtins = dict.fromkeys([view.case.claimed_gtin, *likely, *beside])
    gtins = [g for g in gtins if g and (line is None or g != line.gtin)]
    at_ns = (line.taken_at_ns if line else 0) or view.receipt.left_at_ns
    return _priced(site, [(g, likely.get(g)) for g in gtins], at_ns, fmt)


def _beside(site: Site, events: Iterable[review.EventView]) -> list[str]:
    """Products of the slots to the left and right of where the hand was."""
    found = []
    for seen in events:
        if (place := site.shop.layout.slot_by_id.get(seen.event.slot_id or "")) is not None:
            _, shelf, slot = place
            slots = [s.id for s in sorted(shelf.slots, key=lambda s: s.start_m)]
            at = slots.index(slot.id)
            near = slots[max(at - _NEIGHBOURS, 0) : at + _NEIGHBOURS + 1]
            found += [site.shop.planogram.slots.get(one) for one in near]
    return [gtin for gtin in found if gtin]


def _missing(site: Site, view: review.CaseView, asked: review.LineView | None, fmt: Phrases) -> Priced:
    """What the shopper says is not on it, a line that was taken off, what notes speak of."""
    gone = [line.line.gtin for line in view.lines if line.gone]
    gtins = dict.fromkeys([view.case.claimed_gtin, *gone, *(note.note.gtin for note in view.notes)])
    return _priced(site, [(gtin, None) for gtin in gtins if gtin], view.receipt.left_at_ns, fmt)


def _priced(site: Site, candidates: Sequence[tuple[str, float | None]], at_ns: int, fmt: Phrases) -> Priced:
    """Without what has no price and could not be charged."""
    book, rows = site.shop.prices, []
    for gtin, probability in candidates:
        price = book.price(gtin, site.store_id, at_ns)
        if price is not None:
            rows.append((gtin, product_of(site, gtin), fmt.money(price, book.currency), probability))
    return tuple(rows[:MOST])


def _impossible(view: review.CaseView, target: ReceiptLine | None, others: Sequence[OtherView]) -> frozenset[str]:
    """What has nothing to be done to. The desk has the last word, and says why not."""
    lines = [target] if target else ([] if view.case.line_id else list(view.receipt.lines))
    found = set() if lines else {d.action for d in DECISIONS if d.about == "line"} | {"refund"}
    if not lines and not view.receipt.notes:
        found.add("remove")
    if not any(line.status == "billed" and line.total_minor for line in lines):
        found.add("refund")
    if not others:
        found.add("move")
    if view.case.state != "open":
        found.add("second-look")
    return frozenset(found)


_CHARGED = N_("%(what)s was taken: %(amount)s is charged.")
_RIGHT = N_("The receipt is right and stays as it is.")
_SETTLED = N_("The notes were looked at; the receipt stays as it is.")
_GOES = N_("%(what)s was not taken: %(amount)s is paid back.")
_FREE = N_("%(what)s was not taken, and is not charged.")
_ALL_GO = N_("Nothing of it was taken: %(amount)s is paid back.")


def _says(view: review.CaseView, target: ReceiptLine | None, fmt: Phrases) -> dict[str, str]:
    """What confirming and removing will do."""
    receipt = view.receipt
    if target is None:
        confirm = fmt.text(_SETTLED if receipt.notes and view.case.kind == "held-notes" else _RIGHT)
        return {
            "confirm": confirm,
            "remove": fmt.text(_ALL_GO, amount=fmt.money(receipt.total_minor, receipt.currency)),
        }
    given = {"what": f"{target.quantity} × {target.name}", "amount": fmt.money(target.total_minor, receipt.currency)}
    held = target.status != "billed"
    return {
        "confirm": fmt.text(_CHARGED, **given) if held else fmt.text(_RIGHT),
        "remove": fmt.text(_FREE, what=given["what"]) if held else fmt.text(_GOES, **given),
    }


_BY_THEM = N_("%(outcome)s by %(name)s, %(when)s.")


def _decided(case: Case, fmt: Phrases) -> str:
    if case.state != "resolved" or case.decided_ns is None:
        return ""
    outcome = fmt.text(OUTCOMES.get(case.outcome or "", case.outcome or ""))
    return fmt.text(_BY_THEM, outcome=outcome, name=case.decided_by or "", when=fmt.second(case.decided_ns))


# --- around it --------------------------------------------------------------------------------------------------------


def _plan(site: Site, view: review.CaseView, events: Sequence[EventPanel], fmt: Phrases) -> PlanView:
    saw = {camera.camera_id for panel in events for camera in panel.player.cameras}
    moments = [(panel.event.event_id, panel.event.at_ns) for panel in events]
    return plan_of(site.shop.layout, [(p.track_id, p.mine, p.points) for p in view.path], moments, saw)


def _history(site: Site, view: review.CaseView, fmt: Phrases) -> tuple[trail.EntryView, ...]:
    """Entries of the audit trail, and the versions of the receipt between them."""
    versions = {v.version: v for v in view.versions}
    found = []
    for happened in view.history:
        if happened.entry is not None:
            found += trail.views(site, [happened.entry], fmt)
        elif happened.version is not None:
            found.append(trail.of_version(site, versions[happened.version], fmt))
    return tuple(found)
