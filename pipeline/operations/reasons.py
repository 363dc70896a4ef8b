# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sentences for people that pages say in their language: an English text with places for values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Reason:
    """`text` is the key of its translations; `str` of a reason is the English sentence."""

    text: str
    values: dict[str, Any] = field(default_factory=dict)

    def said(self, translate: Callable[[str], str]) -> str:
        return translate(self.text).format(**self.values)

    def __str__(self) -> str:
        return self.said(lambda text: text)


def reason(text: str, /, **values: Any) -> Reason:
    """`text` as a literal, so that a test finds it and asks for its translation."""
    return Reason(text, values)


class Refused(Exception):
    """A value cannot be used; carries the `Reason`."""

    def __init__(self, text: str, /, **values: Any) -> None:
        self.reason = Reason(text, values)
        super().__init__(str(self.reason))
