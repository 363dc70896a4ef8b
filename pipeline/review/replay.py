# SPDX-License-Identifier: AGPL-3.0-or-later
"""Run it again: the recorded part of one visit, on today's build, and both receipts side by side.

The visit's track is found anew: its pass was shown at a recorded moment, and that is what binds it.
"""

from __future__ import annotations

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import select

from pipeline.cart.tables import receipts
from pipeline.errors import CaseError, UnknownCaseError
from pipeline.eventlog.codec import decode
from pipeline.messages import ReceiptIssued
from pipeline.reasons import RUN_ERASED, RUN_LIVE
from pipeline.run_diff import receipt_differences
from pipeline.run_files import RECEIPTS
from pipeline.state import Database

if TYPE_CHECKING:
    from pipeline.evidence import EvidenceStore
    from pipeline.shop import Shop, Stages

S = 1_000_000_000
BEFORE_NS, AFTER_NS = 5 * S, 6 * S
"""What is run before the pass was shown, so that the track is there by then, and after the exit."""


@dataclass(frozen=True)
class VisitReplay:
    """`then`: the receipt as it was made at first; `agreed`: as it stands now, after corrections; `now`: what today's
    build makes of the film, None when it does not find the visit. `differences`: of `now` from `then`, one line each.
    `from_s`, `to_s`: which part of the recording was run."""

    visit_id: str
    then: ReceiptIssued
    agreed: ReceiptIssued
    now: ReceiptIssued | None
    differences: tuple[str, ...]
    from_s: float
    to_s: float
    wall_s: float

    @property
    def same(self) -> bool:
        return not self.differences

    @property
    def as_agreed(self) -> bool:
        """Whether today's build bills what people have agreed on."""
        return self.now is not None and billed_units(self.now) == billed_units(self.agreed)


def replay_visit(
    database: Database, visit_id: str, shop: Shop, *, run: Path | None = None, evidence: EvidenceStore | None = None,
    out: Path | None = None, stages: Callable[[Shop], Stages] | None = None, progress: bool = False,
) -> VisitReplay:  # fmt: skip
    """Run the visit's part of the recording again.

    Args:
        shop: with the recording. run: the run's folder, whose weights (by name) are used.
        out: keep the new run here; without it, it is thrown away.
        stages: as for `runtime.run`.

    Raises `UnknownCaseError` (no such visit), `CaseError` (erased; nothing was recorded) and what a run raises.
    """
    from pipeline import runtime

    then, agreed = versions_of(database, visit_id)
    with tempfile.TemporaryDirectory(prefix="walkout-visit-") as scratch:
        cut = cut_visit(shop, then, Path(scratch) / "recording", evidence)
        new = out or Path(scratch) / "run"
        summary = runtime.run(cut, new, video=False, progress=progress, stages=stages, **weights(run))
        made = read_receipts(new)
    now = matching(then, made)
    recording = shop.recording
    seconds = [(t - recording.start_ns) / S for t in part_of_visit(then)]
    from_s, to_s = (min(max(s, 0.0), recording.duration_s) for s in seconds)
    differences = tuple(receipt_differences([then], [now] if now else []))
    return VisitReplay(visit_id, then, agreed, now, differences, from_s, to_s, summary.wall_s)


def versions_of(database: Database, visit_id: str) -> tuple[ReceiptIssued, ReceiptIssued]:
    """The first and the newest version of a visit's receipt."""
    query = select(receipts.c.body).where(receipts.c.visit_id == visit_id).order_by(receipts.c.version)
    found = [decode(body) for body in database.run(lambda db: db.execute(query).scalars().all())]
    if not found:
        raise UnknownCaseError(f"no visit {visit_id} with a receipt")
    return found[0], found[-1]


def cut_visit(shop: Shop, receipt: ReceiptIssued, out: Path, evidence: EvidenceStore | None) -> Path:
    """The visit's part of the recording, at `out`. `CaseError`: it was erased, or there is no recording."""
    from pipeline.capture.cut import cut_recording  # brings the film library, which a service does without

    if evidence is not None and evidence.is_erased(receipt.visit_id):
        raise CaseError(RUN_ERASED.format(visit=receipt.visit_id))
    if shop.recording is None:
        raise CaseError(RUN_LIVE.format(visit=receipt.visit_id, store=shop.name))
    cut_recording(shop.recording, *part_of_visit(receipt), out)
    return out


def part_of_visit(receipt: ReceiptIssued) -> tuple[int, int]:
    """From when to when the visit's film is run, ns."""
    return receipt.entered_at_ns - BEFORE_NS, receipt.left_at_ns + AFTER_NS


def matching(then: ReceiptIssued, made: Sequence[ReceiptIssued]) -> ReceiptIssued | None:
    """The same visit among the receipts of another run: by its id, which follows from its pass; a visit without a pass
    by the time that both were there, at least half of it."""
    first = [r for r in made if r.version == 1]
    for receipt in first:
        if receipt.visit_id == then.visit_id:
            return receipt
    if then.shopper_id is not None:
        return None

    def shared_ns(receipt: ReceiptIssued) -> int:
        return min(receipt.left_at_ns, then.left_at_ns) - max(receipt.entered_at_ns, then.entered_at_ns)

    alike = [r for r in first if r.shopper_id is None and 2 * shared_ns(r) >= then.left_at_ns - then.entered_at_ns]
    return max(alike, key=shared_ns, default=None)


def billed_units(receipt: ReceiptIssued) -> Counter[str]:
    """GTIN -> units that are charged."""
    units: Counter[str] = Counter()
    for line in receipt.lines:
        if line.status == "billed":
            units[line.gtin] += line.quantity
    return units


def read_receipts(run: Path) -> list[ReceiptIssued]:
    """The receipts of a run's folder."""
    found = json.loads((run / RECEIPTS).read_text(encoding="utf-8"))["receipts"]
    return [ReceiptIssued.model_validate(r) for r in found]


def weights(run: Path | None) -> dict[str, str | None]:
    """Arguments of `runtime.run`: the weights of the same names as an earlier run's."""
    from pipeline import runtime

    if run is None:
        return {}
    then = runtime.weights_of(run)
    return {"person_weights": then["person"], "product_weights": then["product"]}
