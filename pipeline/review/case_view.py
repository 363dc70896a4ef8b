# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a reviewer looks at, as `pipeline.review.view` finds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.messages import ReceiptIssued, ReceiptLine, ReviewNote, ShelfEvent
from pipeline.reasons import Reasons
from pipeline.review import audit
from pipeline.review.model import Case
from pipeline.review.path import TrackPath

if TYPE_CHECKING:
    from pipeline.evidence.clip import Clip


@dataclass(frozen=True)
class Product:
    gtin: str
    name: str
    probability: float


@dataclass(frozen=True)
class Person:
    """Who may have done it. `visit_id` None: somebody without a visit; `receipt_id` None: no receipt yet."""

    visit_id: str | None
    shopper_id: str | None
    receipt_id: str | None
    probability: float
    mine: bool


@dataclass(frozen=True)
class EventView:
    """A shelf event behind a line. `shares`: who may have done it. `clips`, `stills`: as the evidence has them."""

    event: ShelfEvent
    products: tuple[Product, ...]
    persons: tuple[Person, ...]
    why: Reasons
    clips: tuple[Clip, ...]
    stills: tuple[Clip, ...]


@dataclass(frozen=True)
class LineView:
    """`gone`: it was on an earlier version, and is shown as it was there. `asked`: the case is about it."""

    line: ReceiptLine
    gone: bool
    asked: bool
    events: tuple[EventView, ...]
    products: tuple[Product, ...]
    persons: tuple[Person, ...]
    took_probability: float | None
    why: Reasons


@dataclass(frozen=True)
class NoteView:
    note: ReviewNote
    events: tuple[EventView, ...]


@dataclass(frozen=True)
class Happened:
    """An entry of the history: from the audit trail (`entry`), or a version of the receipt (`version`)."""

    at_ns: int
    by: str
    what: str
    entry: audit.Entry | None = None
    version: int | None = None


@dataclass(frozen=True)
class CaseView:
    """`versions`: oldest first, `receipt` is the last. `others`: receipts that units can be moved to, likeliest first.
    `path`: around `moments_ns`, the times of the events that the case is about. `missing`: what cannot be shown and
    why, a sentence each."""

    case: Case
    why: str
    receipt: ReceiptIssued
    versions: tuple[ReceiptIssued, ...]
    lines: tuple[LineView, ...]
    notes: tuple[NoteView, ...]
    others: tuple[Person, ...]
    moments_ns: tuple[int, ...]
    path: tuple[TrackPath, ...]
    history: tuple[Happened, ...]
    related: tuple[Case, ...]
    missing: tuple[str, ...]
