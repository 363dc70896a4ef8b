# SPDX-License-Identifier: AGPL-3.0-or-later
"""Why a gate stays shut, and what its display says about it."""

from __future__ import annotations

from pipeline.errors import WalkoutError

DISPLAY = {
    "not-a-pass": "This is not a pass. Open your pass in the app.",
    "wrong-algorithm": "This is not a pass. Open your pass in the app.",
    "unknown-key": "This pass is not from this chain. Please ask staff.",
    "key-retired": "This pass is too old. Open the app for a new one.",
    "tampered": "This pass is not valid. Open the app for a new one.",
    "other-store": "This pass is for another shop. Choose this shop in the app.",
    "expired": "This code has run out. Show the one on your phone now, not a picture of it.",
    "not-yet": "This code is not valid yet. Is the clock right?",
    "used": "This code was used already. A picture of a code opens no gate; open your own pass.",
    "already-inside": "You are in the shop already. To bring somebody in, choose that in the app.",
    "nobody-to-join": "There is nobody in the shop to join.",
    "unknown-token": "This card is not known here. Please use your pass.",
    "token-expired": "This card has run out. Please ask staff.",
    "unknown-issuer": "Your account is not known here. Please ask staff.",
    "payment-declined": "Your payment was declined. Please choose another way to pay in the app.",
    "payment-unavailable": "Payments cannot be checked now. Please ask staff.",
    "unavailable": "The gate cannot check passes now. Please ask staff.",
}
"""Reason code -> English text for the gate's display, the key of its translations. Codes are part of the API."""


class PassRefused(WalkoutError):
    """The gate stays shut. `reason` is a key of `DISPLAY`; the text adds what a log needs and a display does not."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"refused ({reason})" + (f": {detail}" if detail else ""))
        self.reason, self.detail = reason, detail

    @property
    def display(self) -> str:
        return DISPLAY[self.reason]
