# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the audit trail promises, for tests on SQLite and on PostgreSQL. Each takes an empty, migrated `Database`."""

import threading

import pytest
from sqlalchemy import text

from pipeline.errors import AuditError, StateError
from pipeline.review import audit

WRITERS, EACH = 8, 12


def fill(database, stores=("s1", "s2"), each=5):
    with database.transaction() as db:
        for n in range(each):
            for store_id in stores:
                audit.append(
                    db, "case-claimed", f"staff-{n}", {"case_id": f"c{n}", "n": n}, store_id=store_id, at_ns=n + 1
                )


def concurrent_writers_make_one_chain(database, other=None):
    """`other`: a second handle on the same database, for writers that share no connection pool."""
    start, errors = threading.Barrier(WRITERS), []

    def write(number):
        handle = database if number % 2 or other is None else other
        start.wait()
        try:
            for n in range(EACH):
                handle.run(lambda db, n=n: audit.append(db, "k", f"w{number}", {"n": n}, store_id="s"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert database.run(audit.verify)["s"].sequence == WRITERS * EACH
    with database.transaction() as db:
        entries = list(audit.parse(audit.export(db)))
    assert sorted((e.by, e.about["n"]) for e in entries) == sorted(
        (f"w{w}", n) for w in range(WRITERS) for n in range(EACH)
    )


def a_transaction_that_fails_leaves_no_gap(database):
    fill(database, ("s",), 2)
    with pytest.raises(RuntimeError), database.transaction() as db:
        audit.append(db, "k", "x", {}, store_id="s")
        raise RuntimeError
    fill(database, ("s",), 1)
    assert database.run(audit.verify)["s"].sequence == 3


def the_database_refuses_changes(database):
    fill(database)
    for statement in (
        "UPDATE audit_trail SET actor = 'somebody else' WHERE sequence = 2",
        "DELETE FROM audit_trail WHERE sequence = 5",
        *([] if database.is_sqlite else ["TRUNCATE audit_trail"]),
    ):
        with pytest.raises(StateError, match="append-only"), database.transaction() as db:
            db.execute(text(statement))
    assert {s: h.sequence for s, h in database.run(audit.verify).items()} == {"s1": 5, "s2": 5}


_CHANGE = "UPDATE audit_trail SET {} WHERE store_id = 's2' AND sequence = 3"
TAMPERED = {
    "content": (_CHANGE.format("actor = 'nobody'"), "entry 3 of store s2.*changed"),
    "about": (_CHANGE.format('about = \'{"case_id":"c2","n":7}\''), "entry 3 of store s2.*changed"),
    "searched by": (_CHANGE.format("case_id = 'c9'"), "entry 3 of store s2.*do not agree"),
    "not JSON": (_CHANGE.format("about = '{'"), "entry 3 of store s2.*no JSON"),
    "gap": ("DELETE FROM audit_trail WHERE store_id = 's1' AND sequence = 2", "entry 2 of store s1 is missing"),
    "end": ("DELETE FROM audit_trail WHERE store_id = 's1' AND sequence > 3", "entry 4 of store s1.* ends at 3"),
    "all": ("DELETE FROM audit_trail WHERE store_id = 's1'", "entry 1 of store s1.* ends at 0"),
}


def tampering_is_found(database, how):
    fill(database)
    statement, expected = TAMPERED[how]
    with database.transaction() as db:
        if database.is_sqlite:
            db.execute(text("DROP TRIGGER audit_trail_no_update"))
            db.execute(text("DROP TRIGGER audit_trail_no_delete"))
        else:
            db.execute(text("ALTER TABLE audit_trail DISABLE TRIGGER USER"))
        db.exec_driver_sql(statement)
    with pytest.raises(AuditError, match=expected):
        database.run(audit.verify)
