# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which evidence a run or a store has, and where: opened while it runs, and afterwards by the commands."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select

from pipeline.errors import RecordingError, StateError
from pipeline.evidence.cutter import Footage
from pipeline.evidence.keeper import EvidenceKeeper
from pipeline.evidence.store import EvidenceStore, open_evidence
from pipeline.evidence.tables import erased_visits
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.settings import load_settings
from pipeline.shop import Shop
from pipeline.state import Database
from pipeline.state.bulk import insert_missing

EVIDENCE = "evidence"
_STATE, _SUMMARY = "state.sqlite", "run.json"


@contextmanager
def open_keeper(
    shop: Shop, run: Path, footage: Footage, on: bool, erased: list[dict] | None = None
) -> Iterator[EvidenceKeeper | None]:
    """What makes the evidence while `shop` runs into the folder `run`; None where the settings or `on` want none.

    A recording's lies in its run, of which anything earlier is deleted; a live store's in the store's own folder, with
    its index in the database that the store's entry.yaml names. `erased`: what `tombstones` found before.
    """
    settings, live = shop.settings.evidence, shop.recording is None
    home = shop.folder if live else run
    if not live:
        shutil.rmtree(home / EVIDENCE / shop.layout.store_id, ignore_errors=True)
    if not (on and settings.keep):
        yield None
        return
    url = load_entry_settings(shop.folder).state_url if live else None
    database = Database(url or f"sqlite:///{run / _STATE}")
    try:
        if erased:
            database.run(lambda db: db.execute(insert_missing(db, erased_visits), erased))
        store = open_evidence(settings.url or home / EVIDENCE, database, settings)
        keeper = EvidenceKeeper(shop.layout, footage, store, settings, live=live)
        try:
            yield keeper
        finally:
            keeper.close()
    finally:
        database.close()


def tombstones(run: Path) -> list[dict]:
    """The visits that were erased from an earlier run in this folder: running the recording again does not bring them
    back."""
    if not (run / _STATE).exists():
        return []
    try:
        database = Database(f"sqlite:///{run / _STATE}")
    except StateError:  # of another walkout, or damaged: it is about to be replaced
        return []
    try:
        return [dict(row._mapping) for row in database.run(lambda db: db.execute(select(erased_visits)).all())]
    finally:
        database.close()


@contextmanager
def evidence_of(folder: Path, state_url: str | None = None) -> Iterator[EvidenceStore]:
    """The evidence of a run's folder, or of a live store's. `RecordingError` when it is neither."""
    is_run = (folder / _SUMMARY).exists()
    if not is_run and not (folder / "layout.yaml").exists():
        raise RecordingError(f"{folder}: neither a run ({_SUMMARY}) nor a store (layout.yaml) is there")
    settings = load_settings(_source(folder) if is_run else folder).evidence
    url = None if is_run else load_entry_settings(folder).state_url
    database = Database(state_url or url or f"sqlite:///{folder / _STATE}")
    try:
        yield open_evidence(settings.url or folder / EVIDENCE, database, settings)
    finally:
        database.close()


def _source(run: Path) -> Path:
    """Where the recording of a run lies; the run itself where it does not say."""
    try:
        return Path(json.loads((run / _SUMMARY).read_text(encoding="utf-8")).get("source") or run)
    except (OSError, ValueError, AttributeError) as error:
        raise RecordingError(f"{run / _SUMMARY}: not readable ({error}); is {run} a run?") from None
