# SPDX-License-Identifier: AGPL-3.0-or-later
"""A case with everything that a reviewer looks at: receipt and versions, for each line its events with clips and
candidates, the path on the floor, what happened to the case so far. What cannot be had is said, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from pipeline.cart.money import plain_text
from pipeline.cart.price_book import PriceBook
from pipeline.cart.tables import receipts
from pipeline.errors import WalkoutError
from pipeline.eventlog.codec import decode
from pipeline.messages import ReceiptIssued, ReceiptLine, ReviewNote, ShelfEvent
from pipeline.review import audit, cases, material
from pipeline.review.case_view import CaseView, EventView, Happened, LineView, NoteView, Person, Product
from pipeline.review.model import Case
from pipeline.review.path import TrackPath, points_between
from pipeline.review.plan import SAID
from pipeline.review.why import why_case, why_event, why_line
from pipeline.state import Database
from pipeline.state.bulk import is_in

if TYPE_CHECKING:
    from pipeline.evidence import EvidenceStore
    from pipeline.evidence.clip import Clip

S = 1_000_000_000
AROUND_NS = 15 * S
"""How much of the path is shown before and after the events of a line."""
_NEIGHBOURS = 20


def view_of(
    database: Database, case_id: str, prices: PriceBook, evidence: EvidenceStore | None = None,
    tracks: Path | None = None,
) -> CaseView:  # fmt: skip
    """Raises `UnknownCaseError` when there is no such case. `tracks`: a `tracks.csv`."""
    found = database.run(lambda db: _gather(db, case_id))  # evidence has transactions of its own: after this one
    return _Look(found, prices, evidence).view(tracks)


@dataclass(frozen=True)
class _Found:
    """What the state knows around a case. `receipts`: visit id -> newest version, of visits that may have to do with
    it."""

    case: Case
    versions: tuple[ReceiptIssued, ...]
    material: material.Material
    receipts: dict[str, ReceiptIssued]
    entries: tuple[audit.Entry, ...]
    related: tuple[Case, ...]


def _gather(db: Connection, case_id: str) -> _Found:
    case = cases.read(db, case_id)
    cases.receipt_now(db, case)
    mine = select(receipts.c.body).where(receipts.c.receipt_id == case.receipt_id).order_by(receipts.c.version)
    versions = tuple(decode(body) for body in db.execute(mine).scalars())
    known = material.load(db, case.visit_id)
    named = {v for e in known.events if isinstance(e, ShelfEvent) for v in known.shares(e) if v}
    first = versions[0]
    of_store = receipts.c.store_id == case.store_id
    leaving = receipts.c.left_at_ns >= first.entered_at_ns
    nearby = select(receipts.c.visit_id).where(of_store, leaving).order_by(receipts.c.left_at_ns).limit(_NEIGHBOURS)
    visits = named | set(db.execute(nearby).scalars())
    bodies = select(receipts.c.body).where(is_in(db, receipts.c.visit_id, sorted(visits)))
    others: dict[str, ReceiptIssued] = {}
    for receipt in map(decode, db.execute(bodies.order_by(receipts.c.version)).scalars()):
        if receipt.visit_id in named or receipt.entered_at_ns <= first.left_at_ns:
            others[receipt.visit_id] = receipt
    entries = audit.history(db, visit_id=case.visit_id)
    related = tuple(c for c in cases.of_receipt(db, case.receipt_id) if c.case_id != case_id)
    ours = tuple(e for e in entries if e.about.get("case_id") in (None, case_id))
    return _Found(case, versions, known, others, ours, related)


class _Look:
    """From what was found to what is shown."""

    def __init__(self, found: _Found, prices: PriceBook, evidence: EvidenceStore | None) -> None:
        self._found, self._prices, self._evidence = found, prices, evidence
        self._missing: dict[str, None] = {}

    def view(self, tracks: Path | None) -> CaseView:
        found, case = self._found, self._found.case
        receipt = found.versions[-1]
        if not found.material.events:
            self._miss("the events of the visit are not kept here (any more)")
        lines = tuple(self._line(line, gone) for line, gone in self._all_lines())
        notes = tuple(NoteView(n, self._events(n.event_ids)) for n in self._all_notes())
        asked = next((view for view in lines if view.asked), None)
        moments = self._moments(lines, notes, asked)
        path = self._path(tracks, moments)
        return CaseView(
            case=case, why=why_case(case, asked.line if asked and case.line_id else None), receipt=receipt,
            versions=found.versions, lines=lines, notes=notes, others=self._others(asked), moments_ns=moments,
            path=path, history=self._history(), related=found.related, missing=tuple(self._missing),
        )  # fmt: skip

    def _all_lines(self) -> Iterable[tuple[ReceiptLine, bool]]:
        """Lines of the newest version, then those that are gone, as they last were."""
        newest = {line.line_id: line for line in self._found.versions[-1].lines}
        yield from ((line, False) for line in newest.values())
        gone = {line.line_id: line for v in self._found.versions for line in v.lines if line.line_id not in newest}
        yield from ((line, True) for line in gone.values())

    def _all_notes(self) -> Sequence[ReviewNote]:
        """What was to be looked at, also when it has been."""
        return self._found.versions[-1].notes or self._found.versions[0].notes

    def _line(self, line: ReceiptLine, gone: bool) -> LineView:
        known = self._found.material
        views = self._events(line.event_ids)
        picks = [v for v in views if v.event.kind == "pick"] or list(views)
        took = known.took_probability(line)
        return LineView(
            line=line, gone=gone, asked=self._found.case.line_id == line.line_id, events=views,
            products=_mean_products(picks), persons=_mean_persons(picks), took_probability=took,
            why=why_line(line, [v.event for v in views], took, gone),
        )  # fmt: skip

    def _events(self, event_ids: Iterable[str]) -> tuple[EventView, ...]:
        known = self._found.material
        events = [e for i in event_ids if isinstance(e := known.by_id.get(i), ShelfEvent)]
        return tuple(self._event(e) for e in sorted(events, key=lambda e: (e.at_ns, e.event_id)))

    def _event(self, event: ShelfEvent) -> EventView:
        shares = self._found.material.shares(event)
        persons = sorted(shares.items(), key=lambda item: (-item[1], item[0] or ""))
        clips, stills = self._pictures(event)
        return EventView(
            event=event,
            products=tuple(Product(c.value, self._name(c.value), c.probability) for c in event.products),
            persons=tuple(self._person(visit_id, p) for visit_id, p in persons),
            why=why_event(event, shares, self._found.case.visit_id, self._name, self._shopper),
            clips=clips, stills=stills,
        )  # fmt: skip

    def _pictures(self, event: ShelfEvent) -> tuple[tuple[Clip, ...], tuple[Clip, ...]]:
        """What the evidence has of an event; what it has not is said and does not stop anything."""
        if self._evidence is None:
            self._miss("no evidence is kept here: there are no clips")
            return (), ()
        try:
            clips, stills = tuple(self._evidence.clips(event.event_id)), tuple(self._evidence.stills(event.event_id))
        except WalkoutError as error:
            self._miss(f"clips cannot be looked for: {error}")
            return (), ()
        for clip in (*clips, *stills):
            if clip.state != "ready":
                self._miss(f"{clip.kind} of {clip.camera_id}, {clip.state}: {clip.reason}")
        if not clips:
            self._miss(f"no clip was kept of what happened at {event.slot_id or event.gondola_id}")
        return clips, stills

    def _name(self, gtin: str) -> str:
        product = self._prices.product(gtin)
        return product.name if product else f"unknown product {gtin}"

    def _shopper(self, visit_id: str) -> str:
        receipt = self._found.receipts.get(visit_id)
        return (receipt and receipt.shopper_id) or f"visit {visit_id}"

    def _person(self, visit_id: str | None, probability: float) -> Person:
        receipt = self._found.receipts.get(visit_id) if visit_id else None
        shopper_id, receipt_id = (receipt.shopper_id, receipt.receipt_id) if receipt else (None, None)
        return Person(visit_id, shopper_id, receipt_id, probability, visit_id == self._found.case.visit_id)

    def _others(self, asked: LineView | None) -> tuple[Person, ...]:
        likely = {p.visit_id: p.probability for p in asked.persons} if asked else {}
        mine = self._found.case.visit_id
        people = [self._person(v, likely.get(v, 0.0)) for v, r in self._found.receipts.items() if v != mine]
        charged = [p for p in people if p.shopper_id is not None]
        return tuple(sorted(charged, key=lambda p: (-p.probability, p.shopper_id, p.visit_id)))

    def _moments(self, lines: Sequence[LineView], notes: Sequence[NoteView], asked: LineView | None) -> tuple[int, ...]:
        views = [asked] if asked else [*lines, *notes]
        return tuple(sorted({e.event.at_ns for view in views for e in view.events}))

    def _path(self, tracks: Path | None, moments: tuple[int, ...]) -> tuple[TrackPath, ...]:
        first = self._found.versions[0]
        t0, t1 = (
            (moments[0] - AROUND_NS, moments[-1] + AROUND_NS) if moments else (first.entered_at_ns, first.left_at_ns)
        )
        if tracks is None:
            self._miss("no floor path: this shop's tracks.csv is not here (it is in the folder of its run)")
            return ()
        try:
            points = points_between(
                tracks, max(t0, first.entered_at_ns - AROUND_NS), min(t1, first.left_at_ns + AROUND_NS)
            )
        except OSError as error:
            self._miss(f"no floor path: {tracks}: {error.strerror}")
            return ()
        known = self._found.material
        if not points and known.events:
            self._miss(f"no floor path: {tracks.name} has nothing of that time")
        paths = []
        for track, found in points.items():
            shares = known.identities.shares([(track, 1.0)], found[len(found) // 2][0])
            visit_id = max(shares, key=lambda v: (shares[v], v or ""))
            paths.append(TrackPath(track, visit_id, visit_id == self._found.case.visit_id, tuple(found)))
        return tuple(sorted(paths, key=lambda p: (not p.mine, p.track_id)))

    def _history(self) -> tuple[Happened, ...]:
        done = [Happened(e.at_ns, e.by, said(e), entry=e) for e in self._found.entries]
        done += [
            Happened(
                v.at_ns, v.correction.by, f"version {v.version}: {'; '.join(v.correction.changes)}", version=v.version
            )
            for v in self._found.versions
            if v.correction
        ]
        return tuple(sorted(done, key=_order))

    def _miss(self, what: str) -> None:
        self._missing.setdefault(what)


def said(entry: audit.Entry) -> str:
    """An audit entry about a case, in words."""
    about = entry.about
    match entry.kind:
        case "case-opened":
            return f"opened: {SAID.get(about.get('of', ''), about.get('of', ''))}"
        case "case-claimed":
            return "took the case"
        case "case-released":
            return "gave the case back"
        case "case-second-look":
            return "asked for a second look"
        case "case-resolved":
            rule = f" by rule {about['rule']}" if about.get("rule") else ""
            money = about.get("difference_minor", 0)
            paid = f", {plain_text(money, about['currency'])}" if money and about.get("currency") else ""
            return f"decided{rule}: {about.get('outcome')}{paid}"
    return entry.kind.replace("-", " ")


def _order(happened: Happened) -> tuple[int, int]:
    """At one moment: first what was asked, then what it made of the receipt, then that it is decided."""
    decided = happened.entry is not None and happened.entry.kind == "case-resolved"
    return happened.at_ns, 2 if decided else 1 if happened.version else 0


def _mean_products(views: Sequence[EventView]) -> tuple[Product, ...]:
    """Over several events of one line, each counts alike."""
    sums: dict[str, tuple[str, float]] = {}
    for view in views:
        for p in view.products:
            sums[p.gtin] = (p.name, sums.get(p.gtin, ("", 0.0))[1] + p.probability / len(views))
    found = [Product(gtin, name, p) for gtin, (name, p) in sums.items()]
    return tuple(sorted(found, key=lambda p: (-p.probability, p.gtin)))


def _mean_persons(views: Sequence[EventView]) -> tuple[Person, ...]:
    sums: dict[str | None, Person] = {}
    for view in views:
        for p in view.persons:
            before = sums[p.visit_id].probability if p.visit_id in sums else 0.0
            sums[p.visit_id] = replace(p, probability=before + p.probability / len(views))
    return tuple(sorted(sums.values(), key=lambda p: (-p.probability, p.visit_id or "")))
