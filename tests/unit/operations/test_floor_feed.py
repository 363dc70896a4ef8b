# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor feed: what a running shop writes is what whoever follows it reads."""

import pytest

from pipeline import runtime
from pipeline.operations.floor_feed import FeedTail, FeedWriter, FloorFrame, segments
from tests.scripted_shop import ANNA, BEN, START_NS, S, stages, write_recording

LIVE, BROKEN = ("live", ""), ("broken", "no route to host")


def frames(folder) -> list[FloorFrame]:
    return FeedTail(folder).read()


def test_a_follower_reads_each_frame_once_as_it_comes(tmp_path):
    writer, tail = FeedWriter(tmp_path), FeedTail(tmp_path)
    assert tail.read() == []  # a shop that has not begun
    writer.add(1, [("t1", 1.23456, 2.0)], {"cam1": LIVE})
    assert tail.read() == [FloorFrame(1, (("t1", 1.235, 2.0),), {"cam1": LIVE})]
    assert tail.read() == []
    writer.add(2, [], {"cam1": LIVE})
    writer.add(3, [], {"cam1": BROKEN})
    assert tail.read() == [FloorFrame(2), FloorFrame(3, (), {"cam1": BROKEN})]


def test_a_feed_stays_short_and_a_follower_crosses_its_cuts(tmp_path):
    writer, tail = FeedWriter(tmp_path, segment_bytes=2_000, segments=2), FeedTail(tmp_path)
    read = []
    for k in range(1, 500):
        writer.add(k, [("t1", k / 100, 0.0)], {"cam1": LIVE})
        if k % 7 == 0:
            read += tail.read()
    read += tail.read()
    assert [f.at_ns for f in read] == list(range(1, 500))
    assert len(segments(tmp_path / "floor")) == 2
    assert sum(p.stat().st_size for p in segments(tmp_path / "floor")) < 5_000


def test_who_comes_late_knows_the_cameras_although_they_changed_long_ago(tmp_path):
    writer = FeedWriter(tmp_path)
    writer.add(1, [], {"cam1": BROKEN, "cam2": LIVE})
    for k in range(2, 3000):
        writer.add(k, [("t1", 1.0, 1.0)], {"cam1": BROKEN, "cam2": LIVE})
    found = FeedTail(tmp_path, recent_bytes=2_000).read()
    assert len(found) < 100 and found[-1].at_ns == 2999
    assert found[0].cameras == {"cam1": BROKEN, "cam2": LIVE}


def test_a_line_that_is_being_written_waits_and_a_broken_one_is_left_out(tmp_path):
    writer, tail = FeedWriter(tmp_path), FeedTail(tmp_path)
    writer.add(1, [], {})
    (path,) = segments(tmp_path / "floor")
    with path.open("a") as file:
        file.write('garbage\n{"at":2,"p"')
    assert [f.at_ns for f in tail.read()] == [1]
    with path.open("a") as file:
        file.write(":[]}\n")
    assert [f.at_ns for f in tail.read()] == [2]


def test_a_folder_that_cannot_be_written_does_not_stop_the_shop(tmp_path, caplog):
    (tmp_path / "floor").write_text("a file where the folder should be")
    writer = FeedWriter(tmp_path)
    for k in range(1, 4):
        writer.add(k, [], {"cam1": LIVE})
    assert len([r for r in caplog.records if "cannot be shown live" in r.message]) == 1


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feed")
    recording = write_recording(folder / "recording")
    runtime.run(recording, folder / "run", video=False, progress=False, stages=stages())
    return folder / "run"


def test_a_run_publishes_everybody_on_the_floor_in_every_window(run):
    found = frames(run)
    assert len(found) == 130
    for frame in found:
        seen = {v.name for v in (ANNA, BEN) if v.floor_xy_m((frame.at_ns - START_NS) / S) is not None}
        assert len(frame.people) == len(seen)
    assert found[0].cameras == {"cam1": LIVE}
