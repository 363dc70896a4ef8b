# SPDX-License-Identifier: AGPL-3.0-or-later
"""A run played again, and a shop that runs: frames when they are due."""

import asyncio
import itertools
import time

import pytest

from pipeline import runtime
from pipeline.errors import RecordingError
from pipeline.eventlog import open_log
from pipeline.operations.floor_feed import FeedWriter
from pipeline.operations.live_floor import TOPICS, LiveFloor
from pipeline.operations.player import FULL_SPEED, play
from pipeline.operations.recorded_floor import RecordedFloor
from pipeline.web.tail import LogTail
from tests.loops import in_a_loop
from tests.scripted_shop import ANNA, BEN, START_NS, S, stages, write_recording
from tests.unit.operations.events import bound, opened, without_pass


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("player")
    runtime.run(write_recording(folder / "recording"), folder / "run", video=False, progress=False, stages=stages())
    return folder / "run"


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    async def sleep(self, seconds):
        self.now += seconds


def played(source, from_s=None, speed=1.0, most=10_000):
    """(footage second, second of the clock, people) of each frame."""
    clock = Clock()
    from_ns = None if from_s is None else START_NS + round(from_s * S)

    async def collect():
        found = []
        async for frame in play(source, from_ns, speed, now_s=lambda: clock.now, sleep=clock.sleep):
            found.append(((frame.at_ns - START_NS) / S, clock.now, len(frame.people)))
            if len(found) >= most:
                break
        return found

    return in_a_loop(collect)


def test_where_everybody_was_at_any_moment(run):
    floor = RecordedFloor(run)
    begin, end = floor.span()
    assert abs(begin - START_NS) <= S // 10 and 12.8 * S < end - START_NS <= 13.1 * S
    for second in (0.1, 1.0, 4.0, 8.0, 12.5):
        at_ns = START_NS + round(second * S) + 1
        expected = sorted(tuple(xy.round(2)) for v in (ANNA, BEN) if (xy := v.floor_xy_m(second)) is not None)
        found = sorted((x, y) for _, x, y in floor.frame_at(at_ns).people)
        assert len(found) == len(expected)
        for seen, wanted in zip(found, expected, strict=True):
            assert seen == pytest.approx(wanted, abs=0.12)  # people walk within a window


def test_events_come_when_they_happened_and_all_of_them_at_the_end(run):
    floor = RecordedFloor(run)
    assert [e.type for e in floor.events_until(START_NS + 2 * S)] == ["visit-opened", "track-bound"]
    assert {e.type for e in floor.events_until(floor.span()[1])} >= {"receipt-issued", "visit-closed", "shelf-event"}
    assert all(e.type != "receipt-issued" for e in floor.marks())


def test_the_clock_decides_when_a_frame_is_shown(run):
    floor = RecordedFloor(run)
    frames = played(floor, from_s=2.0)
    assert frames[0][:2] == (2.0, 0.0)
    assert all(at - 2.0 == pytest.approx(clock, abs=1e-6) for at, clock, _ in frames)
    assert frames[-1][0] == pytest.approx((floor.span()[1] - START_NS) / S)


def test_eight_times_as_fast_leaves_frames_out_and_the_last_one_not(run):
    floor = RecordedFloor(run)
    once, fast = played(floor), played(floor, speed=8)
    assert fast[-1][0] == once[-1][0] and fast[-1][1] == pytest.approx(once[-1][1] / 8)
    assert len(fast) < len(once) / 3
    due = [clock for _, clock, _ in fast[:-1]]
    assert all(later - sooner >= 0.04 - 1e-9 for sooner, later in itertools.pairwise(due))


def test_full_speed_shows_every_window_without_waiting_for_the_clock(run):
    frames = played(RecordedFloor(run), speed=FULL_SPEED)
    assert len(frames) >= 130 and frames[-1][1] < 2


def test_a_moment_outside_the_run_is_the_nearest_one_in_it(run):
    floor = RecordedFloor(run)
    assert played(floor, from_s=-100, most=1)[0][0] == pytest.approx((floor.span()[0] - START_NS) / S)
    assert len(played(floor, from_s=1e6)) == 1


def test_the_trail_leads_to_the_moment(run):
    floor = RecordedFloor(run)
    trail = floor.trail(START_NS + 4 * S, 2.0)
    assert len(trail) == 21 and trail[-1].at_ns == START_NS + 4 * S and all(len(f.people) for f in trail)
    assert floor.trail(floor.span()[0], 2.0)[0].at_ns == floor.span()[0]


def test_a_run_that_is_no_run_is_refused_in_one_line(run, tmp_path):
    with pytest.raises(RecordingError, match=r"run.json: not readable"):
        RecordedFloor(tmp_path)
    for file in run.iterdir():
        if file.suffix in (".json", ".jsonl"):
            (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "tracks.csv").write_text("at_ns,track,x_m,y_m\n1,t1,oops,2\n")
    with pytest.raises(RecordingError, match=r"tracks.csv:2: expected at_ns"):
        RecordedFloor(tmp_path)


@pytest.fixture
def live(tmp_path):
    """A shop that is written to, and its floor as a page sees it."""
    url = f"sqlite:///{tmp_path / 'log.sqlite'}"
    log = open_log(url)
    floor = LiveFloor(tmp_path, "shop", clock=lambda: START_NS + 100 * S)
    tail = LogTail(lambda: open_log(url), TOPICS, [floor.listen])
    tail.start()
    yield FeedWriter(tmp_path), log, floor
    tail.stop()
    floor.close()
    log.close()


def until(true, timeout_s=10):
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def test_a_shop_that_runs_is_followed(live):
    feed, log, floor = live
    log.append([opened(1), bound(1)])
    feed.add(START_NS, [("t1", 1.0, 2.0)], {"cam1": ("live", "")})
    until(lambda: floor.frame_at(0).people and len(floor.events_until(0)) == 2)
    feed.add(START_NS + S, [("t1", 1.5, 2.0)], {"cam1": ("broken", "no route")})
    log.append([without_pass(3)])
    until(lambda: floor.frame_at(0).people == (("t1", 1.5, 2.0),) and len(floor.events_until(0)) == 3)
    assert floor.cameras(0) == {"cam1": ("broken", "no route")}
    assert [f.at_ns for f in floor.trail(START_NS + S, 5)] == [START_NS, START_NS + S]
    assert floor.age_s() == 99


def test_a_live_floor_is_played_from_now_on_for_ever(live):
    feed, _, floor = live
    feed.add(START_NS, [("t1", 1.0, 2.0)], {"cam1": ("live", "")})
    until(lambda: floor.frame_at(0).people)

    async def watch():
        found = []
        async for frame in play(floor, from_ns=5, speed=8):
            found.append(frame.at_ns)
            feed.add(START_NS + len(found) * S, [("t1", 1.0, 2.0)], {"cam1": ("live", "")})
            if found[-1] >= START_NS + 3 * S:
                return found

    found = in_a_loop(lambda: asyncio.wait_for(watch(), 20))
    assert found[0] == START_NS and found == sorted(found)
