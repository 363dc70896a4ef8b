# SPDX-License-Identifier: AGPL-3.0-or-later
"""The audit trail on SQLite; tests/integration/postgres does the same on PostgreSQL."""

import json

import pytest

from pipeline.errors import AuditError
from pipeline.review import audit
from pipeline.state import Database
from tests.unit.review import audit_checks as checks


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    yield database
    database.close()


def test_concurrent_writers_make_one_chain(database, tmp_path):
    other = Database(f"sqlite:///{tmp_path}/state.sqlite")
    checks.concurrent_writers_make_one_chain(database, other)
    other.close()


def test_a_transaction_that_fails_leaves_no_gap(database):
    checks.a_transaction_that_fails_leaves_no_gap(database)


def test_the_database_refuses_changes(database):
    checks.the_database_refuses_changes(database)


@pytest.mark.parametrize("how", checks.TAMPERED)
def test_tampering_is_found(database, how):
    checks.tampering_is_found(database, how)


def test_an_export_can_be_checked_without_the_database(database):
    checks.fill(database)
    with database.transaction() as db:
        lines = list(audit.export(db))
    assert audit.check(audit.parse(lines)) == database.run(audit.verify)
    broken = json.loads(lines[3])
    lines[3] = json.dumps({**broken, "by": "nobody"})
    with pytest.raises(AuditError, match=r"entry 4 of store s1 \(case-claimed by nobody\) was changed"):
        audit.check(audit.parse(lines))
    with pytest.raises(AuditError, match="line 2 of the export"):
        audit.check(audit.parse([lines[0], "{}"]))


def test_a_chain_made_anew_does_not_fit_what_was_noted(database, tmp_path):
    checks.fill(database)
    noted = database.run(audit.verify)
    assert database.run(lambda db: audit.verify(db, noted)) == noted
    forged = Database(f"sqlite:///{tmp_path}/forged.sqlite")
    checks.fill(forged, each=4)
    with pytest.raises(AuditError, match="entry 5 of store s1 was noted before and is missing"):
        forged.run(lambda db: audit.verify(db, noted))
    forged.run(lambda db: [audit.append(db, "k", "x", {}, store_id=s, at_ns=9) for s in ("s1", "s2")])
    assert forged.run(audit.verify)["s1"].sequence == 5
    with pytest.raises(AuditError, match="entry 5 of store s1 is not the one noted"):
        forged.run(lambda db: audit.verify(db, noted))
    forged.close()


def test_history_of_a_case_and_what_json_cannot_say(database):
    checks.fill(database, ("s",))
    with database.transaction() as db:
        audit.append(
            db, "case-resolved", "staff-1", {"case_id": "c3", "visit_id": "v1", "seen": ("a", "b")}, store_id="s"
        )
        assert [e.kind for e in audit.history(db, case_id="c3")] == ["case-claimed", "case-resolved"]
        (entry,) = audit.history(db, visit_id="v1")
        assert entry.about["seen"] == ["a", "b"]
        for value in (float("nan"), b"x"):
            with pytest.raises((ValueError, TypeError)):
                audit.append(db, "k", "x", {"value": value})
    assert database.run(audit.verify)["s"].sequence == 6
