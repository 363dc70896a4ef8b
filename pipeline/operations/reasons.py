# SPDX-License-Identifier: AGPL-3.0-or-later
"""Sentences for people that pages say in their language: an English text with places for values."""

from __future__ import annotations

from typing import Any

from pipeline.reasons import Reason, reason

__all__ = ["Reason", "Refused", "reason"]


class Refused(Exception):
    """A value cannot be used; carries the `Reason`."""

    def __init__(self, text: str, /, **values: Any) -> None:
        self.reason = Reason(text, values)
        super().__init__(str(self.reason))
