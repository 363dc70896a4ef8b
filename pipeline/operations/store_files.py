# SPDX-License-Identifier: AGPL-3.0-or-later
"""Changing a store's files: whole or not at all, with the file before kept beside it and an entry in the audit trail.

Running services read these files when they start; a change holds from their next start on.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import yaml
from sqlalchemy import Connection

from calibration.catalogue import Catalogue, Planogram, load_catalogue, load_planogram
from calibration.layout import StoreLayout, load_layout
from pipeline.cart.price_book import PriceBook
from pipeline.cart.price_files import PRICES, load_price_list
from pipeline.errors import LayoutError, StoreFileError
from pipeline.operations.catalogue_csv import Plan, plan_catalogue
from pipeline.operations.csv_text import BadRow
from pipeline.operations.planogram_csv import plan_planogram
from pipeline.operations.reasons import Reason, reason
from pipeline.review import audit
from pipeline.run_files import write_whole, writing
from pipeline.settings import load_settings
from pipeline.shop import NO_WEIGHTS
from pipeline.state import Database

Kind = Literal["catalogue", "planogram"]
KINDS: tuple[Kind, ...] = ("catalogue", "planogram")
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_NOTHING = "-"


@dataclass(frozen=True)
class Base:
    """A store's files as they are now, and digests of the two that imports change."""

    layout: StoreLayout
    catalogue: Catalogue
    planogram: Planogram
    digests: Mapping[str, str]


@dataclass(frozen=True)
class Applied:
    """`backup`: where the file before is now; None when there was none."""

    path: Path
    backup: Path | None
    changes: int


class StoreFiles:
    """The files in a store's folder. `database` has the audit trail."""

    def __init__(
        self, folder: Path, database: Database, store_id: str, clock: Callable[[], int] = time.time_ns
    ) -> None:
        self.folder, self._database, self._store_id, self._clock = folder, database, store_id, clock

    def base(self) -> Base:
        """Read anew: somebody may have edited them. `LayoutError` when they do not fit."""
        layout, catalogue = load_layout(self.folder / "layout.yaml"), load_catalogue(self.folder / "catalogue.yaml")
        planogram = load_planogram(self.folder / "planogram.yaml", layout, catalogue)
        return Base(layout, catalogue, planogram, {kind: digest(self.folder / f"{kind}.yaml") for kind in KINDS})

    def plan(self, kind: Kind, data: bytes, *, remove_missing: bool = False, base: Base | None = None) -> Plan:
        """What importing this CSV would change; `Refused` when it cannot be read at all."""
        base = base or self.base()
        if kind == "planogram":
            return plan_planogram(data, base.layout, base.catalogue, base.planogram, remove_missing=remove_missing)
        plan = plan_catalogue(data, base.catalogue, base.planogram, remove_missing=remove_missing)
        if plan.result is None:
            return plan
        try:
            PriceBook.load(self.folder, plan.result)
        except LayoutError as error:
            why = reason("The prices or promotions would not fit any more: {text}", text=_short(error, self.folder))
            return replace(plan, bad=(BadRow(0, None, "", why),), result=None)
        return replace(plan, warnings=(*plan.warnings, *self._warnings(base.catalogue, plan)))

    def apply(self, kind: Kind, plan: Plan, expected_digest: str, by: str) -> Applied:
        """Write what the plan makes; `StoreFileError` when the file is not the one that the plan was made for."""
        if plan.result is None:
            raise StoreFileError(f"{kind}: {len(plan.bad)} rows are wrong; correct them and import again")
        about = {
            "file": f"{kind}.yaml", "new": plan.count("new"), "changed": plan.count("changed"),
            "removed": plan.count("removed"),
        }  # fmt: skip
        text = _head_comment(self.folder / f"{kind}.yaml") + dump(plan.result)
        backup = self.replace(f"{kind}.yaml", text, expected_digest, f"{kind}-imported", by, about)
        return Applied(self.folder / f"{kind}.yaml", backup, len(plan.changes))

    def replace(
        self, name: str, content: str, expected_digest: str, kind: str, by: str, about: Mapping[str, Any]
    ) -> Path | None:
        """Put `content` in the place of a file, keep the one before, note it in the audit trail: all or nothing.

        Of two at once the second is refused: writers of a store's trail wait for each other. Returns the backup.
        """
        path = self.folder / name
        now_ns = self._clock()

        def work(db: Connection) -> Path | None:
            new = hashlib.sha256(content.encode()).hexdigest()
            entry = {**about, "before_sha256": expected_digest, "after_sha256": new}
            audit.append(db, kind, by, entry, store_id=self._store_id, at_ns=now_ns)
            if digest(path) != expected_digest:
                raise StoreFileError(f"{name} has been changed meanwhile: look at it again before you change it")
            backup = None
            if path.exists():
                backup = _backup_of(path, now_ns)
                with writing(backup):
                    backup.write_bytes(path.read_bytes())
            write_whole(path, content.encode("utf-8"))
            return backup

        with self._database.transaction() as db:  # tried once: the file is written within
            return work(db)

    def _warnings(self, before: Catalogue, plan: Plan) -> list[Reason]:
        found = []
        if set(before.by_gtin) != set(plan.result.by_gtin) and load_settings(self.folder).product_weights != NO_WEIGHTS:
            found.append(
                reason(
                    "The product network knows other products: until it is trained for this catalogue, walkout run "
                    "needs product weights none"
                )
            )
        path = self.folder / PRICES
        listed = {p.gtin for p in load_price_list(path).prices} if path.exists() else set()
        repriced = [
            c.name for c in plan.changes
            if c.key in listed and any(f.field in ("price", "price_minor") for f in c.fields)
        ]  # fmt: skip
        if repriced:
            names = ", ".join(repriced[:5])
            found.append(reason("prices.yaml has prices of its own, which go before: {names}", names=names))
        return found


def dump(model: Catalogue | Planogram) -> str:
    """YAML as the loaders read it."""
    body = model.model_dump(mode="json", exclude_none=True)
    return yaml.dump(
        body, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120
    )  # fmt: skip


def digest(path: Path) -> str:
    """Of the file's bytes; a mark of its own when it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return _NOTHING
    except OSError as error:
        raise StoreFileError(f"{path}: not readable: {error.strerror}") from None


def _head_comment(path: Path) -> str:
    """The comment lines at a file's beginning, which say where it comes from; others are lost."""
    lines = []
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True) if path.exists() else ():
        if not line.startswith("#"):
            break
        lines.append(line)
    return "".join(lines)


def _backup_of(path: Path, now_ns: int) -> Path:
    """`catalogue.20261126-034512.yaml.bak`, with a number where there is one already."""
    moment = datetime.fromtimestamp(now_ns // 1_000_000_000, UTC).strftime("%Y%m%d-%H%M%S")
    for number in range(1000):
        more = f"-{number}" if number else ""
        found = path.with_name(f"{path.stem}.{moment}{more}{path.suffix}.bak")
        if not found.exists():
            return found
    raise StoreFileError(f"{path}: a thousand backups in one second")


def _short(error: Exception, folder: Path) -> str:
    return str(error).removeprefix(f"{folder}/")
