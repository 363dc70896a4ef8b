# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the reviewer's pages call things, to be translated in the templates, and whom they call by a pseudonym."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass

from pipeline.web.render import N_

KINDS = {
    "not-taken": N_("“I didn't take this”"),
    "put-back": N_("“I put it back”"),
    "other-product": N_("“It is another product”"),
    "wrong-price": N_("“The price is wrong”"),
    "missing-item": N_("“I took something that isn't here”"),
    "held-line": N_("Held: not sure enough"),
    "held-notes": N_("Held: something beside the lines"),
}
OUTCOMES = {
    "confirm": N_("confirmed"),
    "remove": N_("line removed"),
    "product": N_("product changed"),
    "quantity": N_("quantity changed"),
    "move": N_("moved to the other shopper"),
    "refund": N_("refunded"),
    "add": N_("product added"),
    "second-look": N_("second look asked for"),
    "elsewhere": N_("settled by another correction"),
}
STATUSES = {"billed": N_("charged"), "held": N_("held, not charged yet"), "let-go": N_("let go, not charged")}
CLIP_STATES = {
    "missing": N_("This clip is missing."),
    "corrupt": N_("This clip is damaged."),
    "expired": N_("This clip has been kept for its time and was deleted."),
    "erased": N_("This clip was erased at the shopper's wish."),
}
ON_IT_ME = N_("You are on it")
ON_IT_ELSE = N_("%(name)s is on it")
NO_STILL = N_("There is no picture of this moment.")


@dataclass(frozen=True)
class Decision:
    """One key's decision. `about`: "line" needs one line, "receipt" may also mean the whole receipt."""

    action: str
    key: str
    label: str
    about: str


DECISIONS = (
    Decision("confirm", "c", N_("Confirm"), "receipt"),
    Decision("remove", "r", N_("Remove"), "receipt"),
    Decision("product", "p", N_("Change product"), "line"),
    Decision("quantity", "q", N_("Change quantity"), "line"),
    Decision("move", "m", N_("Move to the other shopper"), "line"),
    Decision("refund", "f", N_("Refund"), "receipt"),
    Decision("add", "a", N_("Add what is missing"), "none"),
    Decision("second-look", "s", N_("Ask for a second look"), "none"),
)
ASKED = {
    "not-taken": "remove", "put-back": "remove", "other-product": "product", "wrong-price": "refund",
    "missing-item": "add", "held-line": "confirm", "held-notes": "confirm",
}  # fmt: skip
"""What the shopper, or the shop, asks for: named beside the decision, nothing more."""


def pseudonym(store_id: str, shopper_id: str | None) -> str:
    """What a shopper is called on these pages: the same in all cases of a store, and no name. "" for nobody."""
    if shopper_id is None:
        return ""
    digest = hashlib.sha256(f"{store_id}\x1f{shopper_id}".encode()).digest()
    return base64.b32encode(digest)[:5].decode()
