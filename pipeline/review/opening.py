# SPDX-License-Identifier: AGPL-3.0-or-later
"""The reviewer's desk of a store or of a recorded run, and what runs its visits again."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from pipeline.cart.desk import Desk
from pipeline.evidence import EvidenceStore
from pipeline.review.again import Again
from pipeline.review.around import Around
from pipeline.review.desk import ReviewDesk
from pipeline.run_files import SUMMARY
from pipeline.shop import Shop
from pipeline.state import Database


def open_review(
    database: Database,
    desk: Desk,
    shop: Shop,
    *,
    run: Path | None = None,
    evidence: EvidenceStore | None = None,
    folders: tuple[Path, ...] = (),
    clock: Callable[[], int] = time.time_ns,
) -> tuple[ReviewDesk, Again]:
    """Both on one state. `run`: the folder of a recorded run, whose receipts can be disputed from when it was made;
    `folders`: where else `tracks.csv` may be."""
    summary = run / SUMMARY if run else None
    told_ns = summary.stat().st_mtime_ns if summary and summary.exists() else 0
    around, settings = Around(shop, run, evidence, folders), shop.settings.review
    review = ReviewDesk(database, desk, shop.prices, settings, clock=clock, told_ns=told_ns, around=around)
    return review, Again(database, around, settings, clock)
