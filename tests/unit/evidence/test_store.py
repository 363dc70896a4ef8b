# SPDX-License-Identifier: AGPL-3.0-or-later
"""The evidence store on a folder and a real SQLite: what is stored comes back, and what cannot be shown says why."""

import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import select

from pipeline.errors import EvidenceError
from pipeline.evidence import Clip, EvidenceSettings, open_evidence
from pipeline.evidence.clip import clip_id_of
from pipeline.evidence.tables import items
from pipeline.review import audit
from pipeline.state import Database

S = 10**9
DAY = 86_400 * S
NOW = 1_800_000_000 * S
OVERLAY = {"frames": [{"at_ns": 1, "t_s": 0.0, "people": [], "hands": []}]}


def clip(event_id="shelf-1", camera_id="cam1", visit_id="v-anna", kind="clip", rank=0):
    return Clip(
        clip_id_of(event_id, kind, camera_id if kind == "clip" else ""), "tiny", event_id, kind, camera_id, visit_id,
        (visit_id, "v-ben") if visit_id else ("v-ben",), 5 * S, 9 * S, (640, 480), 10.0, 41, rank=rank,
    )  # fmt: skip


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    yield database
    database.close()


@pytest.fixture
def store(tmp_path, database):
    return open_evidence(tmp_path / "evidence", database, EvidenceSettings(), lambda: NOW)


def files(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "evidence").rglob("*") if p.is_file())


def test_what_is_stored_comes_back(store):
    store.put(replace(clip(camera_id="cam2", rank=1), t0_ns=4 * S), b"second", OVERLAY)
    store.put(clip(camera_id="cam1"), b"film", OVERLAY)
    store.put(clip(kind="before"), b"jpeg")
    found = store.clips("shelf-1")
    assert [(c.camera_id, c.state, c.bytes) for c in found] == [("cam1", "ready", 4), ("cam2", "ready", 6)]
    assert found[0].visit_ids == ("v-anna", "v-ben") and found[0].kept_ns == NOW
    assert store.read(found[0].clip_id) == b"film" and store.overlay(found[0].clip_id) == OVERLAY
    assert store.still("shelf-1", "before") == b"jpeg"
    assert [c.kind for c in store.stills("shelf-1")] == ["before"]
    with pytest.raises(EvidenceError, match="no clip or picture of that id"):
        store.still("shelf-1", "after")
    with pytest.raises(EvidenceError, match="expected before or after"):
        store.still("shelf-1", "during")


def test_the_same_event_again_replaces_what_was_there(store, tmp_path):
    store.put(clip(), b"first", OVERLAY)
    store.put(clip(), b"again", OVERLAY)
    assert store.read(clip().clip_id) == b"again" and len(store.clips("shelf-1")) == 1
    assert len(files(tmp_path)) == 2


@pytest.mark.parametrize(
    ("damage", "state", "reason"),
    [
        (lambda path: path.unlink(), "missing", "not in the storage any more"),
        (lambda path: path.write_bytes(b"fil"), "corrupt", "3 bytes instead of 4"),
        (lambda path: path.write_bytes(b""), "corrupt", "0 bytes instead of 4"),
    ],
)
def test_what_has_gone_or_shrunk_is_seen_without_reading_it(store, tmp_path, damage, state, reason):
    store.put(clip(), b"film", OVERLAY)
    damage(next((tmp_path / "evidence").rglob("*.mp4")))
    (found,) = store.clips("shelf-1")
    assert found.state == state and reason in found.reason
    with pytest.raises(EvidenceError, match=state):
        store.read(found.clip_id)


def test_changed_bytes_are_found_on_reading_and_remembered(store, tmp_path):
    store.put(clip(), b"film", OVERLAY)
    next((tmp_path / "evidence").rglob("*.mp4")).write_bytes(b"fake")
    with pytest.raises(EvidenceError, match="corrupt: its bytes are not those that were stored"):
        store.read(clip().clip_id)
    assert store.clips("shelf-1")[0].state == "corrupt"


def test_a_damaged_overlay_is_found_too(store, tmp_path):
    store.put(clip(), b"film", OVERLAY)
    next((tmp_path / "evidence").rglob("*.json")).write_bytes(b"{}")
    with pytest.raises(EvidenceError, match="corrupt"):
        store.overlay(clip().clip_id)


def test_a_clip_that_could_not_be_made_says_why(store):
    store.put_without(clip(), "missing", "camera cam1 gave no picture")
    (found,) = store.clips("shelf-1")
    assert (found.state, found.reason) == ("missing", "camera cam1 gave no picture")
    with pytest.raises(EvidenceError, match="missing: camera cam1 gave no picture"):
        store.read(found.clip_id)


def test_a_place_that_cannot_be_written(tmp_path, database):
    (tmp_path / "file").write_text("not a folder")
    store = open_evidence(tmp_path / "file", database)
    with pytest.raises(EvidenceError, match="cannot be written"):
        store.put(clip(), b"film", OVERLAY)
    assert store.clips("shelf-1") == []


def test_a_write_that_is_cut_off_leaves_nothing(store, tmp_path, monkeypatch):
    def full(_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EvidenceError, match="No space left on device"):
        store.put(clip(), b"film", OVERLAY)
    assert files(tmp_path) == [] and store.clips("shelf-1") == []


def test_erasure_takes_the_visits_own_and_leaves_the_others(store, tmp_path, database):
    store.put(clip("shelf-1"), b"anna", OVERLAY)
    store.put(clip("shelf-1", kind="before"), b"shelf")
    store.put(clip("shelf-2", visit_id="v-ben"), b"ben", OVERLAY)
    assert store.erase_visit("v-anna", "staff-7", "asked for it") == 2
    assert store.is_erased("v-anna") and not store.is_erased("v-ben")
    assert store.clips("shelf-1")[0].state == "erased"
    with pytest.raises(EvidenceError, match="erased: the visit was erased"):
        store.read(clip("shelf-1").clip_id)
    with pytest.raises(EvidenceError, match="erased"):
        store.overlay(clip("shelf-1").clip_id)
    with pytest.raises(EvidenceError, match="erased"):
        store.still("shelf-1", "before")
    assert store.read(clip("shelf-2").clip_id) == b"ben"
    assert len(files(tmp_path)) == 2
    assert store.erase_visit("v-anna", "staff-7", "again") == 0
    with database.transaction() as db:
        (entry,) = audit.parse(audit.export(db))
        audit.verify(db)
    assert (entry.kind, entry.by, entry.store_id) == ("evidence-erased", "staff-7", "tiny")
    assert entry.about == {"visit_id": "v-anna", "items": 2}


def test_nothing_of_an_erased_visit_is_kept_later(store, tmp_path):
    store.erase_visit("v-anna", "staff-7", "asked for it")
    assert store.put(clip(), b"film", OVERLAY).state == "erased"
    assert files(tmp_path) == []


def test_an_erasure_while_something_is_stored_wins(store, tmp_path, monkeypatch):
    write, done = store.storage.write, threading.Event()

    def slow(name, content):
        if not done.is_set():
            done.set()
            store.erase_visit("v-anna", "staff-7", "asked for it")
        return write(name, content)

    monkeypatch.setattr(store.storage, "write", slow)
    assert store.put(clip(), b"film", OVERLAY).state == "erased"
    assert files(tmp_path) == [] and store.clips("shelf-1")[0].state == "erased"


def test_retention_counts_from_when_it_was_kept(store, tmp_path, database):
    store.put(clip("shelf-1"), b"old", OVERLAY)
    assert store.expire(NOW + 29 * DAY) == 0
    assert store.expire(NOW + 30 * DAY) == 1
    assert store.clips("shelf-1")[0].state == "expired" and files(tmp_path) == []
    with pytest.raises(EvidenceError, match="expired: kept for 30 days"):
        store.read(clip().clip_id)
    assert store.expire(NOW + 40 * DAY) == 0
    with database.transaction() as db:
        assert [(e.kind, e.about["items"]) for e in audit.parse(audit.export(db))] == [("evidence-expired", 1)]


def test_what_could_not_be_deleted_is_out_of_reach_and_deleted_next_time(store, tmp_path, database, monkeypatch):
    store.put(clip(), b"film", OVERLAY)

    def away(name):
        raise EvidenceError("s3 is away")

    with monkeypatch.context() as patch:
        patch.setattr(store.storage, "delete", away)
        assert store.erase_visit("v-anna", "staff-7", "asked for it") == 1
    with pytest.raises(EvidenceError, match="erased"):
        store.read(clip().clip_id)
    assert len(files(tmp_path)) == 2
    store.expire()
    assert files(tmp_path) == []
    with database.transaction() as db:
        assert db.execute(select(items.c.path)).scalars().all() == [None]


def test_ids_that_are_no_names_for_files(store, tmp_path):
    store.put(clip(event_id="../../etc/passwd", camera_id="a/b c"), b"film", OVERLAY)
    assert store.clips("../../etc/passwd")[0].state == "ready"
    assert all((tmp_path / "evidence") in p.parents for p in tmp_path.rglob("*.mp4"))
