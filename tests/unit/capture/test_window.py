# SPDX-License-Identifier: AGPL-3.0-or-later
"""Windows of a recording: who is in which, and what is said of a camera that fails."""

import threading

import pytest

from pipeline.capture.recording import Recording
from pipeline.capture.sources import ClockMap
from pipeline.capture.window import Capture, capture_recording, capture_store
from pipeline.errors import CaptureError
from pipeline.messages import Frame

START_NS = 1_700_000_000_000_000_000


def even(count, offset_s=0.0):
    return [offset_s + 0.1 * k for k in range(count)]


def watch(root, **settings):
    """(frame sets, statuses) of a recording."""
    statuses = []
    with capture_recording(Recording.open(root), on_status=statuses.append, **settings) as capture:
        return list(capture), statuses


def grey(frame: Frame) -> int:
    """Which picture is it? See `write_video`."""
    return round((frame.image.mean() - 41) / 4)


def test_each_window_holds_the_pictures_of_its_time(make_recording):
    sets, statuses = watch(make_recording({"cam1": even(12), "cam2": even(12)}))
    assert [s.index for s in sets] == list(range(12))
    assert [s.mid_ns - START_NS for s in sets] == [100_000_000 * k for k in range(12)]
    assert all(set(s.frames) == {"cam1", "cam2"} for s in sets)
    assert [grey(s.frames["cam2"]) for s in sets] == list(range(12))
    assert [(s.camera_id, s.state) for s in statuses] == [("cam1", "ended"), ("cam2", "ended")]


def test_jitter_below_half_a_window_moves_nothing(make_recording):
    jittered = [t + (0.045 if k % 2 else -0.045) for k, t in enumerate(even(12, 0.1))]
    sets, _ = watch(make_recording({"cam1": even(13), "cam2": jittered}))
    assert [grey(s.frames["cam2"]) for s in sets[1:]] == list(range(12))


def test_a_dropped_frame_leaves_the_camera_out_of_that_window_alone(make_recording):
    times = even(12)
    del times[5]
    sets, _ = watch(make_recording({"cam1": even(12), "cam2": times}))
    assert [s.index for s in sets if "cam2" not in s.frames] == [5]


def test_of_two_pictures_in_a_window_the_last_counts(make_recording):
    sets, _ = watch(make_recording({"cam1": even(5), "cam2": [0, 0.1, 0.13, 0.2, 0.3, 0.4]}))
    assert grey(sets[1].frames["cam2"]) == 2


def test_a_silent_camera_is_reported_and_picked_up_again(make_recording):
    sets, statuses = watch(make_recording({"cam1": even(40), "cam2": [*even(5), *even(10, 3.0)]}))
    assert [(s.state) for s in statuses if s.camera_id == "cam2"] == ["stalled", "live", "ended"]
    stalled, live, _ = (s for s in statuses if s.camera_id == "cam2")
    assert (stalled.at_ns - START_NS) / 1e9 == pytest.approx(1.5, abs=0.1)
    assert (live.at_ns - START_NS) / 1e9 == pytest.approx(3.0, abs=0.1)
    assert "cam2" in sets[35].frames


@pytest.mark.parametrize("options", [{"movflags": "faststart"}, {"movflags": "frag_keyframe+empty_moov"}])
def test_a_video_that_is_cut_off_is_used_up_to_the_break(make_recording, options):
    root = make_recording({"cam1": even(40), "cam2": even(40)}, **options)
    video = root / "video" / "cam2.mp4"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    sets, statuses = watch(root)
    assert len(sets) == 40 and all("cam1" in s.frames for s in sets)
    seen = [s.index for s in sets if "cam2" in s.frames]
    assert 5 <= len(seen) < 40 and seen == list(range(len(seen)))
    [broken] = [s for s in statuses if s.camera_id == "cam2"]
    assert broken.state == "broken"
    assert f"cam2.mp4 is cut off or damaged: {len(seen)} of 40 frames" in broken.reason


def test_a_video_whose_index_is_lost_is_reported_and_the_rest_go_on(make_recording):
    root = make_recording({"cam1": even(20), "cam2": even(20)})
    video = root / "video" / "cam2.mp4"
    video.write_bytes(video.read_bytes()[: video.stat().st_size // 2])
    sets, statuses = watch(root)
    assert len(sets) == 20 and all(set(s.frames) == {"cam1"} for s in sets)
    assert [(s.camera_id, s.state) for s in statuses] == [("cam2", "broken"), ("cam1", "ended")]


def test_rubbish_in_the_middle_costs_its_pictures_only(make_recording):
    root = make_recording({"cam1": even(60), "cam2": even(60)}, movflags="faststart")
    video = root / "video" / "cam2.mp4"
    data = bytearray(video.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 600] = bytes(range(256)) * 2 + bytes(88)
    video.write_bytes(data)
    sets, _ = watch(root)
    assert all("cam1" in s.frames for s in sets) and len(sets) == 60
    assert "cam2" in sets[0].frames and "cam2" in sets[59].frames


def test_when_no_video_can_be_read_each_is_named(make_recording):
    root = make_recording({"cam1": even(5), "cam2": even(5)})
    for video in (root / "video").iterdir():
        video.write_bytes(b"not a video" * 50)
    with pytest.raises(CaptureError, match=r"no camera gave a picture: cam1: .*; cam2: "):
        watch(root)


def test_another_size_than_the_layout_says(make_recording):
    root = make_recording({"cam1": even(5), "cam2": even(5)}, size_px=(320, 192))
    with pytest.raises(CaptureError, match=r"camera cam1: cam1\.mp4 is 320x192, but the layout says 160x96"):
        watch(root)


def test_the_same_files_give_the_same_windows(make_recording):
    root = make_recording({"cam1": even(30), "cam2": [t + 0.049 for t in even(30)]})
    first, second = watch(root), watch(root)
    assert first[1] == second[1]
    for a, b in zip(first[0], second[0], strict=True):
        assert {c: f.captured_at_ns for c, f in a.frames.items()} == {c: f.captured_at_ns for c, f in b.frames.items()}


def test_a_coarser_window(make_recording):
    sets, _ = watch(make_recording({"cam1": even(20)}), window_s=0.5)
    assert len(sets) == 5  # centred on 0, 0.5 ... 2.0 s; the last picture is at 1.9 s


def test_a_store_whose_cameras_are_files_plays_them(make_recording):
    root = make_recording({"cam1": even(12), "cam2": even(12)})
    layout = Recording.open(root).layout
    urls = {"cam1": str(root / "video" / "cam1.mp4"), "cam2": f"file://{root / 'video' / 'cam2.mp4'}"}
    cameras = tuple(spec.model_copy(update={"url": urls[spec.id]}) for spec in layout.cameras)
    with capture_store(layout.model_copy(update={"cameras": cameras}), clock_ns=lambda: START_NS) as capture:
        sets = list(capture)
    assert [grey(s.frames["cam2"]) for s in sets] == list(range(12))
    assert sets[0].mid_ns == START_NS


def test_a_store_without_urls_is_told_so(make_recording):
    layout = Recording.open(make_recording({"cam1": even(2), "cam2": even(2)})).layout
    with pytest.raises(CaptureError, match="store tiny: the layout gives no url for camera cam1, cam2"):
        capture_store(layout)


def test_readers_end_when_the_reader_of_windows_stops_early(make_recording):
    capture = capture_recording(Recording.open(make_recording({"cam1": even(100), "cam2": even(100)})))
    with capture:
        next(iter(capture))
    assert not [t for t in threading.enumerate() if t.name.startswith("read-cam")]


def test_a_fault_in_a_reader_reaches_the_caller():
    def source():
        raise ZeroDivisionError("a fault of ours")
        yield

    with pytest.raises(ZeroDivisionError), Capture({"cam1": source()}, 0, 100) as capture:
        list(capture)


def test_a_streams_stamps_take_the_jitter_out_of_arrivals():
    stamps = ClockMap()
    arrivals = [(0, 1000), (100, 1130), (200, 1210), (300, 1305)]
    assert [stamps.to_clock(p * 10**6, a * 10**6) // 10**6 for p, a in arrivals] == [1000, 1100, 1200, 1300]
    assert stamps.to_clock(10**12, 1400 * 10**6) == 1400 * 10**6, "the camera restarted its stamps"
    assert stamps.to_clock(None, 7) == 7
