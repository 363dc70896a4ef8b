# SPDX-License-Identifier: AGPL-3.0-or-later
"""Running visits again, keeping them as regression cases, and forgetting them: what a reviewer does with film. Each
leaves an entry in the audit trail."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from pipeline.errors import CaseError
from pipeline.evidence.tables import erased_visits
from pipeline.reasons import RUN_WITHOUT_FILES
from pipeline.review import audit, cases, kept, replay
from pipeline.review.around import Around
from pipeline.review.model import Case
from pipeline.review.replay import VisitReplay
from pipeline.review.settings import ReviewSettings
from pipeline.review.tables import audit_trail
from pipeline.state import Database

if TYPE_CHECKING:
    from pipeline.shop import Shop


class Again:
    """Beside a `pipeline.review.desk.ReviewDesk` on the same state.

    `clock`: ns since the Unix epoch.
    """

    def __init__(
        self, database: Database, around: Around, settings: ReviewSettings | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:  # fmt: skip
        self._database, self._around, self._clock = database, around, clock
        self._settings = settings or ReviewSettings()

    def replay(self, case_id: str, by: str = "walkout") -> VisitReplay:
        """The case's visit on today's build, both receipts side by side; takes up to a minute. As `replay_visit`."""
        return self.replay_visit(self._case(case_id).visit_id, by)

    def replay_visit(self, visit_id: str, by: str, out: Path | None = None, progress: bool = False) -> VisitReplay:
        """Any visit with a receipt on today's build. `out`: keep the new run there. `UnknownCaseError`: there is none;
        `CaseError`: it was erased, or nothing was recorded; besides, what a run raises."""
        around = self._around
        found = replay.replay_visit(
            self._database, visit_id, self._shop(visit_id), run=around.run, evidence=around.evidence, out=out,
            stages=around.stages, progress=progress,
        )  # fmt: skip
        about = {"visit_id": visit_id, "same": found.same, "as_agreed": found.as_agreed}
        self._entry(found.then.store_id, "visit-replayed", by, about)
        return found

    def keep_as_case(self, case_id: str, by: str, into: Path | None = None) -> Path:
        """Add the case's visit to the regression cases (`walkout score --cases`); its folder. As `keep_visit`."""
        case = self._case(case_id)
        return self.keep_visit(case.visit_id, by, into, case_id=case_id, kind=case.kind, outcome=case.outcome)

    def keep_visit(self, visit_id: str, by: str, into: Path | None = None, **about) -> Path:
        """As `keep_as_case`, of any visit with a receipt."""
        around = self._around
        folder = kept.keep_visit(
            self._database, visit_id, self._shop(visit_id), into or self.cases_folder, run=around.run,
            evidence=around.evidence, about=about,
        )  # fmt: skip
        then, _ = replay.versions_of(self._database, visit_id)
        noted = {k: v for k, v in about.items() if v is not None}
        self._entry(then.store_id, "case-kept", by, {"visit_id": visit_id, "folder": str(folder.resolve()), **noted})
        return folder

    @property
    def cases_folder(self) -> Path:
        """Where regression cases are kept."""
        if self._settings.cases_folder is not None:
            return Path(self._settings.cases_folder)
        around = self._around
        return (around.run or (around.shop.folder if around.shop else Path())) / "cases"

    def forget_erased(self, by: str) -> list[Path]:
        """Delete regression cases whose visit has been erased since: they hold its film. Which they were."""

        def kept_of_erased(db: Connection) -> list[tuple[str, str, Path]]:
            entries = select(audit_trail.c.store_id, audit_trail.c.visit_id, audit_trail.c.about).join(
                erased_visits, erased_visits.c.visit_id == audit_trail.c.visit_id
            )
            rows = db.execute(entries.where(audit_trail.c.kind == "case-kept")).all()
            return sorted({(row.store_id, row.visit_id, Path(json.loads(row.about)["folder"])) for row in rows})

        gone = []
        for store_id, visit_id, folder in self._database.run(kept_of_erased):
            if kept.forget(folder):
                self._entry(store_id, "kept-case-erased", by, {"visit_id": visit_id, "folder": str(folder)})
                gone.append(folder)
        return gone

    def _case(self, case_id: str) -> Case:
        return self._database.run(lambda db: cases.read(db, case_id))

    def _shop(self, visit_id: str) -> Shop:
        if self._around.shop is None:
            raise CaseError(RUN_WITHOUT_FILES.format(visit=visit_id))
        return self._around.shop

    def _entry(self, store_id: str, kind: str, by: str, about: dict) -> None:
        now_ns = self._clock()
        self._database.run(lambda db: audit.append(db, kind, by, about, store_id=store_id, at_ns=now_ns))
