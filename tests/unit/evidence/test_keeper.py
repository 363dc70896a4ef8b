# SPDX-License-Identifier: AGPL-3.0-or-later
"""Evidence while a shop runs: clips come in time, and nothing that goes wrong with them stops the shop."""

import os
import threading
import time

import numpy as np
import pytest

from pipeline.errors import EvidenceError
from pipeline.evidence import EvidenceSettings, open_evidence
from pipeline.evidence.keeper import EvidenceKeeper
from pipeline.messages import CameraTracks, Detections, FloorTrack
from pipeline.state import Database
from tests.unit.evidence.scene import (
    ANNA,
    BEN,
    FRAMES,
    LAYOUT,
    START_NS,
    Films,
    S,
    bound,
    captured_ns,
    taken,
    write_video,
)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("film") / "cam1.mp4")


@pytest.fixture
def store(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    yield open_evidence(tmp_path / "evidence", database)
    database.close()


@pytest.fixture
def keeper(store, film):
    made = []

    def make(live=True, **settings):
        made.append(EvidenceKeeper(LAYOUT, Films({"cam1": film}), store, EvidenceSettings(**settings), live=live))
        return made[-1]

    yield make
    for keeper in made:
        keeper.close()


def window(keeper, k, events=()):
    at_ns = captured_ns(k)
    look = CameraTracks("cam1", at_ns, Detections.empty(), np.zeros(0, np.int64))
    track = FloorTrack(ANNA, at_ns, np.array([2.0, 1.0]), np.eye(2), np.zeros(2), at_ns)
    keeper.window(at_ns, {"cam1": look}, [track], events)


def wait_for(store, event_id="shelf-1", items=1, seconds=30):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if len(clips := store.clips(event_id)) >= items:
            return clips
        time.sleep(0.05)
    raise AssertionError(f"no clip of {event_id} in {seconds} s")


def test_a_live_event_is_cut_when_it_is_old_enough_and_not_before(keeper, store):
    keeper = keeper()
    window(keeper, 0, [bound(ANNA)])
    for k in range(1, 65):  # the event is told at 5 s; its clip goes to 6.5 s
        window(keeper, k, [taken()] if k == 50 else [])
    time.sleep(0.3)
    assert store.clips("shelf-1") == []
    for k in range(65, 70):
        window(keeper, k)
    (clip,) = wait_for(store)
    assert clip.state == "ready" and clip.t1_ns > START_NS + 6.4 * S


def test_what_is_still_to_come_when_the_shop_closes_is_cut_then(keeper, store):
    keeper = keeper()
    window(keeper, 0, [bound(ANNA)])
    window(keeper, 50, [taken()])
    keeper.finish([taken(event_id="shelf-2")])
    assert [store.clips(e)[0].state for e in ("shelf-1", "shelf-2")] == ["ready", "ready"]


def test_a_recordings_clips_are_there_when_it_is_over(keeper, store):
    keeper = keeper(live=False)
    for k in range(FRAMES):
        window(keeper, k, {0: [bound(ANNA)], 50: [taken()]}.get(k, []))
    assert store.clips("shelf-1") == []
    keeper.finish([taken(event_id="shelf-2", at_s=5)])
    assert [store.clips(e)[0].state for e in ("shelf-1", "shelf-2")] == ["ready", "ready"]
    assert keeper.counts.events == 2 and keeper.counts.items == 6 and keeper.counts.missing == 0


def test_of_people_without_a_visit_nothing_is_kept(keeper, store):
    keeper = keeper(live=False)
    window(keeper, 0, [bound(ANNA)])
    keeper.finish([taken(BEN)])
    assert store.all() == []


def test_a_binding_that_is_known_only_later_counts(keeper, store):
    keeper = keeper(live=False)
    window(keeper, 0, [])
    keeper.finish([taken(), bound(ANNA)])
    assert store.clips("shelf-1")[0].visit_id == "v-anna"


def test_a_full_disk_leaves_a_reason_and_the_shop_goes_on(keeper, store, monkeypatch):
    def full(_):
        raise OSError(28, os.strerror(28))

    keeper = keeper(live=False)
    window(keeper, 0, [bound(ANNA)])
    with monkeypatch.context() as patch:
        patch.setattr("pipeline.evidence.storage.os.fsync", full)
        keeper.finish([taken()])
    (clip,) = store.clips("shelf-1")
    assert clip.state == "missing" and "No space left on device" in clip.reason
    assert [s.state for s in store.stills("shelf-1")] == ["missing", "missing"]


def test_a_worker_that_is_behind_gives_up_with_a_reason(keeper, store, monkeypatch):
    go = threading.Event()
    write = store.storage.write
    monkeypatch.setattr(store.storage, "write", lambda *a: (go.wait(30), write(*a))[1])
    keeper = keeper(queue=1)
    window(keeper, 0, [bound(ANNA)])
    window(keeper, 50, [taken(event_id=f"shelf-{n}") for n in range(3)])
    window(keeper, 79)
    go.set()
    keeper.finish()
    reasons = {store.clips(f"shelf-{n}")[0].reason for n in range(3)}
    assert reasons == {"", "1 events were waiting for their clips already"}


def test_a_fault_in_one_clip_does_not_end_the_others(keeper, store, monkeypatch):
    keeper = keeper()
    real = keeper._cutter.cut
    monkeypatch.setattr(keeper._cutter, "cut", lambda e: 1 / 0 if e.event_id == "shelf-1" else real(e))
    window(keeper, 0, [bound(ANNA)])
    window(keeper, 50, [taken(), taken(event_id="shelf-2")])
    keeper.finish()
    assert store.clips("shelf-1") == [] and store.clips("shelf-2")[0].state == "ready"


def test_a_visit_that_is_erased_before_its_clip_is_cut_has_none(keeper, store):
    keeper = keeper()
    window(keeper, 0, [bound(ANNA)])
    store.erase_visit("v-anna", "staff-1", "asked for it")
    window(keeper, 50, [taken()])
    keeper.finish()
    assert store.clips("shelf-1")[0].state == "erased"
    with pytest.raises(EvidenceError, match="erased"):
        store.read(store.clips("shelf-1")[0].clip_id)
