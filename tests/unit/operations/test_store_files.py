# SPDX-License-Identifier: AGPL-3.0-or-later
"""A store's files are changed whole or not at all, with a backup and an entry in the audit trail."""

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calibration.catalogue import load_catalogue, load_planogram
from calibration.layout import load_layout
from pipeline.cli import app as walkout
from pipeline.errors import StoreFileError, WalkoutError
from pipeline.operations.store_files import StoreFiles, dump
from pipeline.review import audit
from pipeline.state import Database

NANOSTORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"
COLA = "2010110100079"


@pytest.fixture
def files(tmp_path):
    store = tmp_path / "store"
    shutil.copytree(NANOSTORE, store)
    database = Database(f"sqlite:///{tmp_path / 'state.sqlite'}")
    yield StoreFiles(store, database, "nanostore", clock=lambda: 1_767_603_600_000_000_000)
    database.close()


def trail(files) -> list[audit.Entry]:
    with files._database.transaction() as db:
        audit.verify(db)
        return list(audit.parse(audit.export(db)))


def test_an_import_changes_the_file_keeps_the_one_before_and_is_in_the_trail(files):
    before = (files.folder / "catalogue.yaml").read_bytes()
    base = files.base()
    plan = files.plan("catalogue", f"gtin;price\n{COLA};1,29\n".encode("latin-1"), base=base)
    applied = files.apply("catalogue", plan, base.digests["catalogue"], "olga")
    assert load_catalogue(applied.path).by_gtin[COLA].price_minor == 129
    assert applied.backup.read_bytes() == before and applied.backup.name == "catalogue.20260105-090000.yaml.bak"
    assert applied.path.read_text().startswith("# Written by")
    (entry,) = trail(files)
    assert (entry.kind, entry.by, entry.about["changed"]) == ("catalogue-imported", "olga", 1)
    load_planogram(
        files.folder / "planogram.yaml", load_layout(files.folder / "layout.yaml"), load_catalogue(applied.path)
    )


def test_a_preview_that_is_out_of_date_is_not_applied(files):
    base = files.base()
    plan = files.plan("catalogue", f"gtin;price\n{COLA};1,29\n".encode(), base=base)
    files.apply("catalogue", plan, base.digests["catalogue"], "olga")
    with pytest.raises(StoreFileError, match="changed meanwhile"):
        files.apply("catalogue", plan, base.digests["catalogue"], "omar")
    assert len(trail(files)) == 1


def test_what_cannot_be_written_leaves_everything_as_it_was(files, monkeypatch):
    before = (files.folder / "catalogue.yaml").read_bytes()
    base = files.base()
    plan = files.plan("catalogue", f"gtin;price\n{COLA};1,29\n".encode(), base=base)

    def full(_descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WalkoutError, match="No space left"):
        files.apply("catalogue", plan, base.digests["catalogue"], "olga")
    monkeypatch.undo()
    assert (files.folder / "catalogue.yaml").read_bytes() == before
    assert trail(files) == []


def test_prices_and_promotions_that_would_not_fit_any_more_are_said_before(files):
    (files.folder / "prices.yaml").write_text(f"currency: EUR\nprices: [{{gtin: '{COLA}', price_minor: 99}}]\n")
    (files.folder / "planogram.yaml").write_text("slots: {}\n")
    others = [p.gtin for p in files.base().catalogue.products if p.gtin != COLA]
    plan = files.plan("catalogue", ("gtin\n" + "\n".join(others)).encode(), remove_missing=True)
    assert plan.result is None and COLA in str(plan.bad[-1].reason)
    plan = files.plan("catalogue", f"gtin;price\n{COLA};1,29\n".encode())
    assert any("prices.yaml has prices of its own" in str(w) for w in plan.warnings)


def test_a_catalogue_for_which_the_network_was_not_trained_is_said(files):
    row = "2000000000046;Crepes;2,20;standard;bag;200;50;150;250"
    head = "gtin;name;price;tax_class;shape;width_mm;depth_mm;height_mm;weight_g"
    assert any("network" in str(w) for w in files.plan("catalogue", f"{head}\n{row}\n".encode()).warnings)
    assert files.plan("catalogue", f"gtin;price\n{COLA};1,29\n".encode()).warnings == ()


def test_what_is_written_reads_back_as_it_was(files, tmp_path):
    base = files.base()
    (tmp_path / "catalogue.yaml").write_text(dump(base.catalogue), encoding="utf-8")
    assert load_catalogue(tmp_path / "catalogue.yaml") == base.catalogue


# --- the command ---


def command(*words):
    return CliRunner().invoke(walkout, [str(w) for w in words])


def test_the_command_shows_first_and_changes_when_it_is_told_to(files, tmp_path):
    csv = tmp_path / "prices.csv"
    csv.write_bytes("EAN;Libellé;Prix\n2010110100079;Kesta Colà;1,29\n".encode("latin-1"))
    shown = command("catalogue", "import", csv, "--store", files.folder)
    assert shown.exit_code == 0 and "Kesta Colà" in shown.output and "say --apply" in shown.output
    assert load_catalogue(files.folder / "catalogue.yaml").by_gtin[COLA].price_minor == 119
    assert command("catalogue", "import", csv, "--store", files.folder, "--apply").exit_code == 0
    assert load_catalogue(files.folder / "catalogue.yaml").by_gtin[COLA].price_minor == 129
    again = command("catalogue", "import", csv, "--store", files.folder, "--apply")
    assert "0 changed" in again.output


def test_the_command_names_wrong_rows_and_changes_nothing(files, tmp_path):
    csv = tmp_path / "prices.csv"
    csv.write_text(f"gtin;price\n{COLA};1,29\n{COLA[:-1]}1;2,00\n")
    before = (files.folder / "catalogue.yaml").read_bytes()
    result = command("catalogue", "import", csv, "--store", files.folder, "--apply")
    assert isinstance(result.exception, StoreFileError) and "line 3, gtin: its check digit" in result.output
    assert (files.folder / "catalogue.yaml").read_bytes() == before


def test_a_file_of_50_mb_is_refused_before_it_is_read(files, tmp_path):
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(50_000_000)
    result = command("catalogue", "import", huge, "--store", files.folder)
    assert isinstance(result.exception, StoreFileError) and "has 50 MB, at most 5 are read" in str(result.exception)


@pytest.mark.parametrize("kind", ["catalogue", "planogram"])
@pytest.mark.parametrize("separator", ["comma", "semicolon", "tab"])
def test_an_exported_file_imports_without_a_change(files, tmp_path, kind, separator):
    out = tmp_path / "out.csv"
    assert command(kind, "export", "--store", files.folder, "--separator", separator, "-o", out).exit_code == 0
    result = command(kind, "import", out, "--store", files.folder, "--remove-missing", "--apply")
    assert result.exit_code == 0 and "0 new, 0 changed, 0 removed" in result.output
    assert not list(files.folder.glob("*.bak"))
