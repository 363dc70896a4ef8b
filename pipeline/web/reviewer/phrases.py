# SPDX-License-Identifier: AGPL-3.0-or-later
"""Numbers and times as the reader's language writes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_time, format_timedelta
from babel.numbers import format_percent
from fastapi import Request

from pipeline import texts
from pipeline.cart.money import minor_digits, money_text
from pipeline.reasons import Reasons
from pipeline.web.render import locale

_NS = 1_000_000_000


@dataclass(frozen=True)
class Phrases:
    """In one language and the store's time zone; templates know it as `fmt`."""

    language: str
    zone: ZoneInfo

    @classmethod
    def of(cls, request: Request) -> Phrases:
        return cls(locale(request), ZoneInfo(request.app.state.site.shop.settings.paper.timezone))

    def text(self, message: str, **values: Any) -> str:
        """A translated text; `message` is marked with `N_` where it is written."""
        translated = texts.translations(self.language).gettext(message)
        return translated % values if values else translated

    def said(self, reasons: Reasons) -> str:
        return reasons.said(texts.translations(self.language).gettext)

    def percent(self, share: float) -> str:
        """Whole percents; what is not quite certain is not called 100 %, nor impossible 0 %."""
        if 0.995 <= share < 1:
            return f"> {format_percent(0.99, locale=self.language)}"
        if 0 < share < 0.005:
            return f"< {format_percent(0.01, locale=self.language)}"
        return format_percent(share, locale=self.language)

    def second(self, ns: int) -> str:
        """Time of day with seconds."""
        at = datetime.fromtimestamp(ns // _NS, self.zone)
        return format_time(at, "medium", tzinfo=self.zone, locale=self.language)

    def until(self, ns: int, now_ns: int) -> str:
        """ "in 3 hours", "2 days ago"."""
        delta = timedelta(seconds=(ns - now_ns) / _NS)
        return format_timedelta(delta, granularity="minute", threshold=1.5, add_direction=True, locale=self.language)

    def lasting(self, seconds: float) -> str:
        """ "3 hours"."""
        return format_timedelta(timedelta(seconds=seconds), threshold=1.5, locale=self.language)

    def money(self, minor: int, currency: str) -> str:
        return money_text(minor, currency, self.language)

    def amount(self, minor: int, currency: str) -> str:
        """For a field in which it is changed: no symbol, no thousands."""
        digits = minor_digits(currency)
        return f"{minor / 10**digits:.{digits}f}"
