# SPDX-License-Identifier: AGPL-3.0-or-later
"""The evidence's index on a real PostgreSQL: kept, replaced, erased while it is being stored, expired."""

import threading

import pytest

from pipeline.errors import EvidenceError
from pipeline.evidence import Clip, EvidenceSettings, open_evidence
from pipeline.evidence.clip import clip_id_of
from pipeline.review import audit
from pipeline.state import Database

OVERLAY = {"frames": []}


def clip(n=0, visit_id="v-anna"):
    event_id = f"shelf-{n}"
    return Clip(clip_id_of(event_id, "clip", "cam1"), "tiny", event_id, "clip", "cam1", visit_id, (visit_id,), 5, 9)


@pytest.fixture
def store(state_url, tmp_path):
    database = Database(state_url)
    yield open_evidence(tmp_path / "evidence", database, EvidenceSettings())
    database.close()


def test_kept_replaced_and_expired(store, state_url):
    store.put(clip(), b"first", OVERLAY)
    store.put(clip(), b"again", OVERLAY)
    assert store.read(clip().clip_id) == b"again" and len(store.all("ready")) == 1
    assert store.expire(2**62) == 1
    with pytest.raises(EvidenceError, match="expired"):
        store.read(clip().clip_id)
    database = Database(state_url)
    with database.transaction() as db:
        assert audit.verify(db)["tiny"].sequence == 1
    database.close()


def test_an_erasure_amid_many_writers_leaves_nothing(store, tmp_path):
    begin = threading.Barrier(5)

    def write(first):
        begin.wait()
        for n in range(first, first + 10):
            store.put(clip(n), b"film", OVERLAY)

    writers = [threading.Thread(target=write, args=(10 * k,)) for k in range(4)]
    for writer in writers:
        writer.start()
    begin.wait()
    store.erase_visit("v-anna", "staff-1", "asked for it")
    for writer in writers:
        writer.join()
    assert len(store.all()) == 40 and {c.state for c in store.all()} == {"erased"}
    assert not list((tmp_path / "evidence").rglob("*.mp4"))
