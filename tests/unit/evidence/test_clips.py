# SPDX-License-Identifier: AGPL-3.0-or-later
"""Clips cut from a real video: their times, their pictures, and who can be recognised in them."""

import io
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from pipeline.evidence import EvidenceSettings, open_evidence
from pipeline.evidence.cutter import Cutter
from pipeline.evidence.whose import Whose
from pipeline.messages import TracksSwapped
from pipeline.state import Database
from tests.unit.evidence.scene import (
    ANNA,
    BEN,
    FPS,
    FRAMES,
    LAYOUT,
    SIZE_PX,
    START_NS,
    Films,
    S,
    bound,
    box_of,
    captured_ns,
    people,
    picture,
    taken,
    write_video,
)  # fmt: skip

SETTINGS = EvidenceSettings(crf=12)


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("film") / "cam1.mp4")


@pytest.fixture
def cut(tmp_path, film):
    """Function that cuts an event and returns the store and what was made."""
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")

    def make(event=None, seen=None, events=None, settings=SETTINGS, paths=None, footage=None):
        whose = Whose()
        whose.note([bound(ANNA), bound(BEN)] if events is None else events)
        store = open_evidence(tmp_path / "evidence", database, settings)
        footage = footage or Films({"cam1": film} if paths is None else paths)
        cutter = Cutter(LAYOUT, footage, people() if seen is None else seen, whose, store, settings)
        return store, cutter.cut(event or taken())

    yield make
    database.close()


def decoded(content):
    """Times in seconds, BGR pictures and key frames of an mp4."""
    with av.open(io.BytesIO(content)) as container:
        frames = list(container.decode(video=0))
    return (
        [float(f.pts * f.time_base) for f in frames],
        [f.to_ndarray(format="bgr24") for f in frames],
        [bool(f.key_frame) for f in frames],
    )


def number_of(at_ns):
    """Which frame of the video was captured then."""
    return min(range(FRAMES), key=lambda k: abs(captured_ns(k) - at_ns))


def detail(image, box):
    """Mean size of the second derivative: what can be recognised lives there."""
    x1, y1, x2, y2 = (round(v) for v in box)
    grey = cv2.cvtColor(image[max(y1, 0) : y2, max(x1, 0) : x2], cv2.COLOR_BGR2GRAY)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_64F)).mean())


def kept_detail(store, clip, who, only=lambda k: True):
    """For each frame the share of detail left in somebody's box."""
    _, pictures, _ = decoded(store.read(clip.clip_id))
    shares = []
    for image, frame in zip(pictures, store.overlay(clip.clip_id)["frames"], strict=True):
        k = number_of(frame["at_ns"])
        if only(k):
            shares.append(detail(image, box_of(who, k)) / detail(picture(k), box_of(who, k)))
    assert shares
    return shares


def test_a_clip_shows_the_time_around_the_event_and_every_frame_has_its_capture_time(cut):
    store, made = cut()
    clip = made[0]
    assert (clip.kind, clip.state, clip.camera_id, clip.visit_id) == ("clip", "ready", "cam1", "v-anna")
    content = store.read(clip.clip_id)
    times, pictures, keys = decoded(content)
    overlay = store.overlay(clip.clip_id)
    # the event is from 3.5 to 4.5 s, and 2 s are kept on both sides
    expected = [captured_ns(k) for k in range(FRAMES) if 1.5 * S <= captured_ns(k) - START_NS <= 6.5 * S]
    assert [f["at_ns"] for f in overlay["frames"]] == pytest.approx(expected, abs=1_000_000)  # the file has ms
    assert (clip.t0_ns, clip.t1_ns) == (overlay["frames"][0]["at_ns"], overlay["frames"][-1]["at_ns"])
    assert times == pytest.approx([f["t_s"] for f in overlay["frames"]], abs=1e-6)
    assert times == pytest.approx([(f["at_ns"] - clip.t0_ns) / S for f in overlay["frames"]], abs=2e-5)
    assert len(pictures) == clip.frames and clip.size_px == SIZE_PX and clip.fps == FPS
    assert all(any(keys[k : k + SETTINGS.key_every]) for k in range(0, len(keys) - SETTINGS.key_every))
    assert content.index(b"moov") < content.index(b"mdat")
    with av.open(io.BytesIO(content)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert stream.time_base == Fraction(1, 90_000)
        order = [(p.dts, p.pts) for p in container.demux(stream) if p.size]
    assert all(dts == pts for dts, pts in order)  # no picture waits for a later one


def test_the_pictures_are_those_of_the_overlay(cut):
    """Were they one off, a moving person would leave the box: Anna moves 2 px a frame, which the mean sees."""
    store, made = cut()
    _, pictures, _ = decoded(store.read(made[0].clip_id))
    for image, frame in zip(pictures, store.overlay(made[0].clip_id)["frames"], strict=True):
        k = number_of(frame["at_ns"])
        (mine,) = [p for p in frame["people"] if p["mine"]]
        assert mine["xyxy_px"] == pytest.approx(box_of(ANNA, k), abs=0.1) and mine["seen"]
        assert [h["xy_px"] for h in frame["hands"] if h["mine"]] == [pytest.approx(box_of(ANNA, k)[2:], abs=0.1)]
        errors = {
            j: np.abs(_inside(image, box_of(ANNA, k)) - _inside(picture(j), box_of(ANNA, k))).mean()
            for j in (k - 1, k, k + 1) if 0 <= j < FRAMES
        }  # fmt: skip
        assert min(errors, key=errors.get) == k


def _inside(image, box):
    x1, y1, x2, y2 = (int(v) for v in box)
    return image[y1:y2, x1:x2].astype(float)


def test_others_are_blurred_and_the_shopper_is_not(cut):
    store, made = cut()
    assert max(kept_detail(store, made[0], BEN)) < 0.08
    assert min(kept_detail(store, made[0], ANNA)) > 0.8
    _, pictures, _ = decoded(store.read(made[0].clip_id))
    for image, frame in zip(pictures, store.overlay(made[0].clip_id)["frames"], strict=True):
        k = number_of(frame["at_ns"])
        # her pixels are the camera's, but for x264
        assert np.abs(_inside(image, box_of(ANNA, k)) - _inside(picture(k), box_of(ANNA, k))).mean() < 8
        x1, y1, _, y2 = box_of(BEN, k)
        margin = (x1 - 10, y1, x1, y2)
        assert detail(image, margin) < 0.3 * detail(picture(k), margin)


def test_somebody_who_is_not_found_for_some_frames_stays_blurred(cut):
    gone = range(30, 42)
    store, made = cut(seen=people(found=lambda who, k: who != BEN or k not in gone))
    assert max(kept_detail(store, made[0], BEN)) < 0.08
    frames = store.overlay(made[0].clip_id)["frames"]
    seen = {number_of(f["at_ns"]): [p["seen"] for p in f["people"] if not p["mine"]] for f in frames}
    assert seen[29] == [True] and seen[35] == [False] and seen[42] == [True]


def test_somebody_whose_track_ends_or_begins_in_the_clip_stays_blurred_around_it(cut):
    alive = range(25, 50)
    store, made = cut(
        seen=people(found=lambda who, k: who != BEN or k in alive, on_floor=lambda who, k: who != BEN or k in alive)
    )
    shares = kept_detail(store, made[0], BEN, only=lambda k: 15 <= k < 25 or 50 <= k < 60)
    assert max(shares) < 0.35  # they walk on, the box stays and grows
    assert np.mean(shares) < 0.15


def test_somebody_whom_the_floor_knows_and_the_camera_does_not_is_blurred_where_they_stand(cut):
    camera = LAYOUT.camera_by_id["cam1"]
    place = np.array([3.2, 2.6])
    x, y = camera.project(np.array([*place, 1.2]))
    seen = people(found=lambda who, k: who == ANNA, place=place)
    store, made = cut(seen=seen)
    _, pictures, _ = decoded(store.read(made[0].clip_id))
    k = number_of(made[0].t0_ns)
    chest = (x - 20, y - 20, x + 20, y + 20)
    assert detail(pictures[0], chest) < 0.1 * detail(picture(k), chest)


def test_if_nobody_is_known_to_be_the_shopper_everybody_is_blurred(cut):
    store, made = cut(event=taken(ANNA, others=[BEN]), events=[bound(BEN)])
    assert made[0].visit_id is None and made[0].visit_ids == ("v-ben",)
    assert max(kept_detail(store, made[0], ANNA)) < 0.08
    assert max(kept_detail(store, made[0], BEN)) < 0.08
    assert not any(p["mine"] for f in store.overlay(made[0].clip_id)["frames"] for p in f["people"])


def test_before_the_pass_was_shown_it_was_the_same_person(cut):
    store, made = cut(events=[bound(ANNA, START_NS + 3 * S), bound(BEN)])
    assert min(kept_detail(store, made[0], ANNA)) > 0.8


def test_labels_that_the_tracker_exchanged_mean_the_other_person(cut):
    swap = TracksSwapped(
        event_id="swap", store_id="tiny", at_ns=START_NS + 3 * S, track_id=ANNA, other_track_id=BEN, reason="met"
    )
    store, made = cut(events=[bound(ANNA), bound(BEN), swap])
    assert made[0].visit_id == "v-ben"  # at 4 s the label of Anna means Ben
    after = kept_detail(store, made[0], BEN, only=lambda k: k > 32)
    assert max(after) < 0.08  # whoever carries Ben's label now is Anna
    before = kept_detail(store, made[0], ANNA, only=lambda k: k < 28)
    assert max(before) < 0.08  # and before it was Anna under her own


def test_a_box_that_nobody_claims_is_somebody_else(cut):
    ghost = np.array([420.0, 20, 480, 120])
    store, made = cut(seen=people(extra=lambda k: [(ghost, 0.3, -1)]))
    _, pictures, _ = decoded(store.read(made[0].clip_id))
    assert detail(pictures[10], ghost) < 0.1 * detail(picture(30), ghost)


def test_a_weak_second_box_on_the_shopper_is_no_other_person(cut):
    store, made = cut(seen=people(extra=lambda k: [(box_of(ANNA, k) + (5, 40, -5, 0), 0.25, -1)]))
    assert min(kept_detail(store, made[0], ANNA)) > 0.8


def test_a_strong_second_box_on_the_shopper_may_be_another_person(cut):
    store, made = cut(seen=people(extra=lambda k: [(box_of(ANNA, k) + (5, 40, -5, 0), 0.8, -1)]))
    assert max(kept_detail(store, made[0], ANNA)) < 0.8


def test_a_shopper_whom_the_floor_did_not_claim_for_a_moment_is_still_the_shopper(cut):
    store, made = cut(seen=people(labelled=lambda who, k: who != ANNA or k not in range(30, 40)))
    assert min(kept_detail(store, made[0], ANNA)) > 0.8


def test_boxes_that_the_floor_tracker_exchanges_for_a_moment_are_nobodys(cut):
    store, made = cut(seen=people(exchanged=lambda k: 38 <= k < 42))
    assert max(kept_detail(store, made[0], BEN)) < 0.08
    assert max(kept_detail(store, made[0], ANNA, only=lambda k: 36 <= k < 44)) < 0.08
    assert min(kept_detail(store, made[0], ANNA, only=lambda k: k < 27 or k > 52)) > 0.8


def test_of_somebody_who_is_found_only_in_part_the_head_is_blurred_where_they_stand(cut):
    camera, place = LAYOUT.camera_by_id["cam1"], np.array([3.2, 2.6])
    x, y = camera.project(np.array([*place, 1.65]))
    foot = np.array([x - 10, y + 90, x + 30, y + 130])
    seen = people(found=lambda who, k: who == ANNA, place=place, extra=lambda k: [(foot, 0.2, 2)])
    for look in seen._looks["cam1"]:
        object.__setattr__(look, "label", (ANNA, BEN))  # the floor tracker takes the foot for Ben
    store, made = cut(seen=seen)
    _, pictures, _ = decoded(store.read(made[0].clip_id))
    head = (x - 12, y - 12, x + 12, y + 12)
    k = number_of(made[0].t0_ns)
    assert detail(pictures[0], head) < 0.1 * detail(picture(k), head)


def test_the_shelf_before_and_after_is_cut_out_straight(cut):
    store, made = cut()
    assert [c.kind for c in made] == ["clip", "before", "after"]
    before = cv2.imdecode(np.frombuffer(store.still("shelf-1", "before"), np.uint8), cv2.IMREAD_COLOR)
    # 0.3 m of slot and 0.25 m on both sides; 0.3 m high and 0.05 m above and below: 0.8 m by 0.4 m
    assert before.shape[1] / before.shape[0] == pytest.approx(2.0, abs=0.02)
    assert abs(made[1].t0_ns - (START_NS + 2.5 * S)) < S / 10 and abs(made[2].t0_ns - (START_NS + 5.5 * S)) < S / 10


def test_a_still_is_the_nearest_picture_as_far_as_a_second_away(cut, film):
    class Sparse(Films):
        """Lost what it had around the first still."""

        def between(self, camera_id, t0_ns, t1_ns):
            gap = (START_NS + 1.9 * S, START_NS + 3.1 * S)
            return (f for f in super().between(camera_id, t0_ns, t1_ns) if not gap[0] < f.captured_at_ns < gap[1])

    _, made = cut(footage=Sparse({"cam1": film}))
    assert [c.state for c in made] == ["ready"] * 3
    assert S / 2 < abs(made[1].t0_ns - (START_NS + 2.5 * S)) < S * 3 / 4


def test_a_camera_without_a_picture_then_says_so_and_the_others_go_on(cut, film, tmp_path):
    cut_off = tmp_path / "cam2.mp4"
    cut_off.write_bytes(film.read_bytes()[:3000])
    store, _ = cut(event=taken(cameras=("cam1", "cam2")), paths={"cam1": film, "cam2": cut_off})
    clips = store.clips("shelf-1")
    assert [(c.camera_id, c.state) for c in clips] == [("cam1", "ready"), ("cam2", "missing")]
    assert clips[1].reason == "camera cam2 gave no picture at that time"


def test_an_event_that_no_camera_saw_is_shown_by_those_that_see_the_place(cut, film):
    _, made = cut(event=taken(cameras=()), paths={"cam1": film, "cam2": film})
    assert [c.camera_id for c in made if c.kind == "clip"] == ["cam1", "cam2"]


def test_a_long_event_is_cut_around_the_moment_that_counts(cut):
    _, made = cut(settings=EvidenceSettings(longest_s=2.0))
    assert made[0].t0_ns >= START_NS + 3 * S and made[0].t1_ns <= START_NS + 5 * S


def test_large_pictures_are_made_smaller_and_boxes_with_them(cut):
    store, made = cut(settings=EvidenceSettings(max_side_px=320, crf=12))
    assert made[0].size_px == (320, 180)
    frame = store.overlay(made[0].clip_id)["frames"][5]
    (mine,) = [p for p in frame["people"] if p["mine"]]
    assert mine["xyxy_px"] == pytest.approx(box_of(ANNA, number_of(frame["at_ns"])) / 2, abs=0.1)


def test_the_same_footage_gives_the_same_bytes(cut):
    store, made = cut()
    first = [store.read(c.clip_id) for c in made]
    store, made = cut()
    assert [store.read(c.clip_id) for c in made] == first
