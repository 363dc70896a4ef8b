# SPDX-License-Identifier: AGPL-3.0-or-later
"""Regression cases: a visit's film with the receipt that people agreed on, and a run of all of them on today's build.

::

    CASES/
    └── VISIT/
        ├── recording/      the visit's part of the recording
        ├── expected.json   the agreed receipt
        └── case.json       where it comes from; last, a folder without it is no case
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pipeline.errors import CaseError, WalkoutError
from pipeline.messages import ReceiptIssued
from pipeline.reasons import KEEP_UNDECIDED
from pipeline.review.replay import billed_units, cut_visit, matching, read_receipts, versions_of, weights
from pipeline.run_files import write_json, writing
from pipeline.state import Database

if TYPE_CHECKING:
    from pipeline.evidence import EvidenceStore
    from pipeline.shop import Shop, Stages

CASE, EXPECTED, RECORDING = "case.json", "expected.json", "recording"


@dataclass(frozen=True)
class KeptCase:
    folder: Path
    name: str
    visit_id: str
    expected: ReceiptIssued
    weights: dict[str, str | None]


@dataclass(frozen=True)
class CaseScore:
    """`verdict`: right (the agreed units are billed), held (none too many is billed, and what lacks is held for a
    person), wrong, or failed (it could not be run). `missing`, `extra`: units by product name."""

    name: str
    verdict: Literal["right", "held", "wrong", "failed"]
    missing: dict[str, int]
    extra: dict[str, int]
    held: dict[str, int]
    reason: str
    wall_s: float


def keep_visit(
    database: Database, visit_id: str, shop: Shop, into: Path, *, run: Path | None = None,
    evidence: EvidenceStore | None = None, about: dict | None = None,
) -> Path:  # fmt: skip
    """Copy the visit's film and its newest receipt into a folder of `into`; again: with today's receipt.

    `about`: more for case.json. Raises as `replay_visit`; `CaseError` also when the receipt still waits for a decision.
    """
    from pipeline.shop import versions

    _, agreed = versions_of(database, visit_id)
    if agreed.held_for_review:
        raise CaseError(KEEP_UNDECIDED.format(visit=visit_id))
    folder = into / re.sub(r"[^A-Za-z0-9._-]", "_", visit_id)
    part = into / f".{folder.name}.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        cut_visit(shop, agreed, part / RECORDING, evidence)
        write_json(part / EXPECTED, agreed.model_dump(mode="json"))
        found = {
            "visit_id": visit_id,
            "from": shop.name,
            "weights": weights(run),
            "versions": versions(),
            **(about or {}),
        }
        write_json(part / CASE, found)
        with writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def forget(folder: Path) -> bool:
    """Delete a kept case; False: there is none (any more)."""
    if not (folder / CASE).is_file():
        return False
    with writing(folder):
        shutil.rmtree(folder)
    return True


def load_cases(into: Path) -> list[KeptCase]:
    """The cases in a folder, by name. `CaseError`: there is no such folder, or one of them cannot be read."""
    if not into.is_dir():
        raise CaseError(f"{into}: there is no folder of kept cases")
    found = []
    for file in sorted(into.glob(f"*/{CASE}")):
        folder = file.parent
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
            expected = ReceiptIssued.model_validate_json((folder / EXPECTED).read_text(encoding="utf-8"))
            found.append(KeptCase(folder, folder.name, about["visit_id"], expected, about.get("weights") or {}))
        except (OSError, ValueError, KeyError) as error:
            raise CaseError(f"{folder}: not a kept case: {' '.join(str(error).split())[:200]}") from None
    return found


def score_case(case: KeptCase, stages: Callable[[Shop], Stages] | None = None) -> CaseScore:
    """Run a kept case on today's build and compare what is billed."""
    from pipeline import runtime

    with tempfile.TemporaryDirectory(prefix="walkout-case-") as scratch:
        try:
            summary = runtime.run(
                case.folder / RECORDING,
                Path(scratch) / "run",
                video=False,
                progress=False,
                stages=stages,
                **case.weights,
            )
        except WalkoutError as error:
            return CaseScore(case.name, "failed", {}, {}, {}, str(error), 0.0)
        now = matching(case.expected, read_receipts(Path(scratch) / "run"))
    return compare(case, now, summary.wall_s)


def compare(case: KeptCase, now: ReceiptIssued | None, wall_s: float) -> CaseScore:
    wanted = billed_units(case.expected)
    names = {line.gtin: line.name for r in (case.expected, now) if r for line in r.lines}
    if now is None:
        return CaseScore(case.name, "wrong", _named(wanted, names), {}, {}, "the visit was not found", wall_s)
    found, held = billed_units(now), Counter[str]()
    for line in now.lines:
        if line.status == "held":
            held[line.gtin] += line.quantity
    missing, extra = wanted - found, found - wanted
    verdict = "right" if not missing and not extra else "wrong"
    asks = now.held_for_review and sum(missing.values()) <= sum(held.values())
    if verdict == "wrong" and not extra and asks:
        verdict = "held"
    return CaseScore(case.name, verdict, *(_named(c, names) for c in (missing, extra, held)), "", wall_s)


def summary_of(scores: list[CaseScore]) -> dict:
    """For programs: counts and the cases."""
    counts = Counter(s.verdict for s in scores)
    return {"cases": len(scores), **{v: counts[v] for v in ("right", "held", "wrong", "failed")},
            "scores": [asdict(s) for s in scores]}  # fmt: skip


def _named(units: Counter[str], names: dict[str, str]) -> dict[str, int]:
    return {names.get(gtin, gtin): count for gtin, count in sorted(units.items())}
