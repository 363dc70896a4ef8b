# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a page says first: that a decision was taken, or why it was not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pipeline.errors import CaseError, WalkoutError
from pipeline.reasons import read
from pipeline.site import Site
from pipeline.web.render import N_
from pipeline.web.reviewer.phrases import Phrases
from pipeline.web.reviewer.queue import product_of
from pipeline.web.reviewer.words import KINDS, OUTCOMES

_DECIDED = N_("%(case)s: %(outcome)s.")
_BACK, _MORE = N_("%(amount)s is paid back."), N_("%(amount)s more is charged.")


@dataclass(frozen=True)
class Flash:
    """`undo`: the address of the decided case, where a new decision can be taken."""

    text: str = ""
    kind: Literal["done", "wrong"] = "done"
    undo: str = ""


NOTHING = Flash()


def refused(error: WalkoutError, fmt: Phrases) -> Flash:
    return Flash(fmt.said(read(str(error))), "wrong")


def decided(site: Site, case_id: str, fmt: Phrases) -> Flash:
    """What has just been decided, read from the case itself; nothing for what is no decided case."""
    if not case_id:
        return NOTHING
    try:
        case = site.review.read(case_id)
    except CaseError:
        return NOTHING
    outcome = "second-look" if case.state == "second-look" else case.outcome
    if outcome is None:
        return NOTHING
    name = product_of(site, case.gtin or case.claimed_gtin) or fmt.text(KINDS.get(case.kind, case.kind))
    text = fmt.text(_DECIDED, case=name, outcome=fmt.text(OUTCOMES.get(outcome, outcome)))
    if case.difference_minor and outcome != "second-look":
        money = fmt.money(abs(case.difference_minor), case.currency)
        text += " " + fmt.text(_BACK if case.difference_minor < 0 else _MORE, amount=money)
    return Flash(text, "done", f"/review/cases/{case_id}" if case.state == "resolved" else "")
