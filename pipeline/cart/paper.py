# SPDX-License-Identifier: AGPL-3.0-or-later
"""A receipt for people: one HTML file without anything outside it, for the phone, the desk and paper."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_time
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from pydantic import BaseModel, ConfigDict, field_validator

from pipeline.cart.money import money_text
from pipeline.cart.paper_texts import LANGUAGES, texts
from pipeline.cart.price_files import check_timezone
from pipeline.messages import ReceiptIssued, ReceiptLine
from pipeline.reasons import read
from pipeline.run_files import PAPERS, write_whole, writing
from pipeline.texts import translations


class PaperSettings(BaseModel):
    """What stands on a store's receipts. `locale`: language and its way of writing amounts and dates, e.g. `fr_FR`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store_name: str = ""
    address: tuple[str, ...] = ()
    tax_id: str = ""
    footer: str = ""
    locale: str = "en"
    timezone: str = "UTC"

    @field_validator("locale")
    @classmethod
    def _locale(cls, name: str) -> str:
        try:
            return str(Locale.parse(name.replace("-", "_")))
        except (UnknownLocaleError, ValueError):
            raise ValueError(f"no locale {name!r}, e.g. en_GB or fr_FR") from None

    @field_validator("timezone")
    @classmethod
    def _zone(cls, name: str) -> str:
        return check_timezone(name)


@dataclass(frozen=True)
class _Group:
    """Billed lines of one member of a party; `title` is empty where there is one person."""

    title: str
    lines: tuple[ReceiptLine, ...]

    @property
    def total_minor(self) -> int:
        return sum(line.total_minor for line in self.lines)


def html_of(receipt: ReceiptIssued, paper: PaperSettings | None = None) -> str:
    """The page. Doubts are told to the shopper as "being checked"; their reasons are for staff and not on it."""
    paper = paper or PaperSettings()
    locale = Locale.parse(paper.locale)
    words = texts(locale.language)
    zone = ZoneInfo(paper.timezone)
    left = _moment(receipt.left_at_ns, zone)
    entered = _moment(receipt.entered_at_ns, zone)
    same_day = left.date() == entered.date()

    def clock(moment: datetime) -> str:
        return format_time(moment, "short", tzinfo=zone, locale=locale)

    billed = [line for line in receipt.lines if line.status == "billed"]
    return _template().render(
        receipt=receipt,
        paper=paper,
        lang=locale.language if locale.language in LANGUAGES else "en",
        t=words,
        money=lambda minor: money_text(minor, receipt.currency, paper.locale),
        percent=lambda ppm: _percent(ppm, locale),
        told=lambda written: read(written).said(translations(locale.language).gettext),
        entered=f"{format_date(entered, 'long', locale=locale)}, {clock(entered)}",
        left=clock(left) if same_day else f"{format_date(left, 'long', locale=locale)}, {clock(left)}",
        groups=_groups(billed, receipt.party_size, words.person),
        held=[line for line in receipt.lines if line.status == "held"],
        net_minor=sum(t.net_minor for t in receipt.taxes),
    )


def write_papers(folder: Path, receipts: Iterable[ReceiptIssued], paper: PaperSettings | None = None) -> list[Path]:
    """`receipts/ID.html` of each receipt's newest version in `folder`, and `receipts/ID.v1.html` of older ones."""
    versions: dict[str, list[ReceiptIssued]] = {}
    for receipt in receipts:
        versions.setdefault(receipt.receipt_id, []).append(receipt)
    written = []
    if versions:
        with writing(folder / PAPERS):
            (folder / PAPERS).mkdir(parents=True, exist_ok=True)
    for receipt_id, found in versions.items():
        newest = max(r.version for r in found)
        for receipt in found:
            name = _file_name(receipt_id) + ("" if receipt.version == newest else f".v{receipt.version}")
            path = folder / PAPERS / f"{name}.html"
            write_whole(path, html_of(receipt, paper).encode("utf-8"))
            written.append(path)
    return written


def _groups(billed: Sequence[ReceiptLine], party_size: int, person: str) -> list[_Group]:
    members = sorted({line.member for line in billed})
    if len(members) <= 1 and party_size == 1:
        return [_Group("", tuple(billed))] if billed else []
    return [_Group(person.format(m), tuple(line for line in billed if line.member == m)) for m in members]


def _percent(ppm: int, locale: Locale) -> str:
    pattern = copy.copy(locale.percent_formats[None])
    pattern.frac_prec = (0, 4)
    return pattern.apply(Decimal(ppm) / 1_000_000, locale)


def _moment(at_ns: int, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_ns // 1_000_000_000, zone)


def _file_name(receipt_id: str) -> str:
    """Ids are made of letters, digits and dashes; whatever else comes from a log must not name other folders."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", receipt_id)[:100]


@cache
def _template():
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("receipt.html")
