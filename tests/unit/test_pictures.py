# SPDX-License-Identifier: AGPL-3.0-or-later
"""The film and the floor plan: what can be seen in them, and what happens when they cannot be written."""

from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from calibration.layout import StoreLayout
from pipeline.draw import FloorPlan, Mark, colour_of, write_floor_plan
from pipeline.errors import OutputError
from pipeline.film import MosaicWriter
from pipeline.messages import CameraTracks, Detections, FloorTrack, Frame, FrameSet

START_NS, STEP_NS = 1_700_000_000_000_000_000, 100_000_000


@pytest.fixture
def layout():
    return StoreLayout.model_validate(
        {
            "store_id": "test",
            "floor_m": [[0, 0], [5, 0], [5, 3], [0, 3]],
            "cameras": [
                {"id": f"cam{k}", "focal_px": [640, 640], "position_m": [k + 1, 0.1, 2.5], "look_at_m": [2.5, 2, 0.5]}
                for k in range(3)
            ],
            "gondolas": [
                {
                    "id": "g1", "origin_m": [1, 2.6], "facing_deg": -90, "width_m": 2, "height_m": 1.8, "depth_m": 0.4,
                    "shelves": [{"id": "s", "height_m": 0.5, "depth_m": 0.4, "clearance_m": 0.3, "slots": []}],
                }
            ],
            "gates": [{"id": "gate", "line_m": [[0.5, 1], [0.5, 2]], "inward": [1, 0], "tap_m": [0.2, 1.5]}],
        }
    )  # fmt: skip


def window(index, cameras=("cam0", "cam1", "cam2"), grey=60):
    """Everybody sees one person with a red box in the middle."""
    at_ns = START_NS + index * STEP_NS
    picture = np.full((720, 1280, 3), grey, np.uint8)
    people = Detections(
        np.array([[500, 200, 700, 600]], np.float32), np.ones(1, np.float32), np.zeros((1, 17, 3), np.float32)
    )
    frame_set = FrameSet(index, at_ns, STEP_NS, {c: Frame(c, at_ns, picture) for c in cameras})
    tracks = {c: CameraTracks(c, at_ns, people, np.array([1])) for c in cameras}
    place = np.array([1 + 0.1 * index, 1.5])
    sources = dict.fromkeys(cameras, 0)
    person = FloorTrack("t0001", at_ns, place, np.eye(2) * 0.01, np.zeros(2), at_ns, sources)
    return frame_set, tracks, [person]


def pictures_of(path):
    with av.open(str(path)) as film:
        return [(frame.time, frame.to_ndarray(format="bgr24")) for frame in film.decode(video=0)]


def test_the_film_shows_every_camera_and_keeps_time(layout, tmp_path):
    path = tmp_path / "mosaic.mp4"
    with MosaicWriter(path, layout, ["cam0", "cam1", "cam2"], 10, tile_px=(320, 180)) as film:
        for k in range(8):
            film.add(*window(k), captions=["ann + tea"], labels={"t0001": "ann"})
        assert not path.exists(), "a film that is not complete is not shown"
    film = pictures_of(path)
    assert [round(t, 2) for t, _ in film] == [round(0.1 * k, 2) for k in range(8)]
    picture = film[-1][1]
    assert picture.shape == (360, 640, 3)  # three cameras and the plan, two by two
    colour = np.array(colour_of("t0001"))
    for left, top in ((0, 0), (320, 0), (0, 180)):
        edge = picture[top + 100, left + 125 : left + 175 : 1].astype(int)
        assert np.abs(edge - colour).sum(1).min() < 90, "the person's box, in the person's colour"
    assert picture[180:, 320:].mean() > 200, "the plan"


def checkered(index, seen=True, tracked=True):
    """A picture in which every pixel differs from the next, and one person in it, found or not."""
    frame_set, tracks, (person,) = window(index)
    picture = np.indices((720, 1280)).sum(0) // 8 % 2 * 200 + 20
    frames = {
        c: Frame(c, frame_set.window_start_ns, np.repeat(picture[..., None], 3, 2).astype(np.uint8)) for c in tracks
    }
    if not seen:
        tracks = {
            c: CameraTracks(c, look.captured_at_ns, Detections.empty(), np.zeros(0, int)) for c, look in tracks.items()
        }
        person = replace(person, sources={}, floor_xy_m=np.array([2.5, 1.8]))
    return replace(frame_set, frames=frames), tracks, [person] if tracked else []


def covered_share(path, k, box=(125, 50, 175, 60)):
    """Share of one colour in a part of the first camera's tile (of 320 x 180) in the k-th picture of a film."""
    x1, y1, x2, y2 = box
    part = pictures_of(path)[k][1][y1:y2, x1:x2].astype(int)
    return float((np.abs(part - np.median(part, (0, 1))).max(-1) < 25).mean())


HEAD = (130, 55, 170, 70)
"""Of the person of `window`: the upper quarter of the box, less the line around it."""


@pytest.mark.parametrize("covered", [True, False])
def test_heads_are_covered_in_the_film(layout, tmp_path, covered):
    path = tmp_path / "mosaic.mp4"
    with MosaicWriter(path, layout, ["cam0", "cam1", "cam2"], 10, tile_px=(320, 180), covered=covered) as film:
        film.add(*checkered(0))
    assert (covered_share(path, 0, HEAD) > 0.95) is covered
    assert covered_share(path, 0, (10, 100, 60, 170)) < 0.8, "the rest of the picture is as it was"


def test_a_head_that_is_lost_for_a_moment_stays_covered(layout, tmp_path):
    path = tmp_path / "mosaic.mp4"
    with MosaicWriter(path, layout, ["cam0", "cam1", "cam2"], 10, tile_px=(320, 180)) as film:
        film.add(*checkered(0))
        for k in range(1, 10):
            film.add(*checkered(k, seen=False, tracked=False))
    shares = [covered_share(path, k, HEAD) for k in range(10)]
    assert min(shares[:8]) > 0.95 and shares[9] < 0.8


def test_a_head_that_this_camera_does_not_find_is_covered_where_it_should_be(layout, tmp_path):
    path = tmp_path / "mosaic.mp4"
    with MosaicWriter(path, layout, ["cam0", "cam1", "cam2"], 10, tile_px=(320, 180)) as film:
        film.add(*checkered(0, seen=False))
    x, y = layout.camera_by_id["cam0"].project(np.array([[2.5, 1.8, 1.6]]))[0] / 4
    assert covered_share(path, 0, (int(x) - 6, int(y) - 5, int(x) + 6, int(y) + 5)) > 0.95


def test_a_camera_without_a_picture_grows_dark(layout, tmp_path):
    path = tmp_path / "mosaic.mp4"
    with MosaicWriter(path, layout, ["cam0", "cam1"], 10, tile_px=(320, 180)) as film:
        film.add(*window(0, ("cam0", "cam1"), grey=200))
        for k in range(1, 6):
            film.add(*window(k, ("cam0",), grey=200))
    picture = pictures_of(path)[-1][1]
    assert picture[60:170, 250:310].mean() > 180 > 100 > picture[60:170, 320 + 250 : 320 + 310].mean()


def test_an_error_leaves_no_film(layout, tmp_path):
    with pytest.raises(RuntimeError), MosaicWriter(tmp_path / "mosaic.mp4", layout, ["cam0"], 10) as film:
        film.add(*window(0, ("cam0",)))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_film_that_cannot_be_written_says_so(layout, tmp_path):
    path = tmp_path / "not-there" / "mosaic.mp4"
    says = pytest.raises(OutputError, match=r"mosaic\.mp4: the film cannot be written: No such file")
    with says, MosaicWriter(path, layout, ["cam0"], 10) as film:
        for k in range(20):
            film.add(*window(k, ("cam0",)))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_says_so_and_leaves_nothing(layout, tmp_path):
    (tmp_path / "mosaic.mp4.tmp").symlink_to("/dev/full")
    says = pytest.raises(OutputError, match=r"mosaic\.mp4: the film cannot be written: .*[Nn]o space left")
    with says, MosaicWriter(tmp_path / "mosaic.mp4", layout, ["cam0"], 10) as film:
        for k in range(20):
            film.add(*window(k, ("cam0",)))
    assert list(tmp_path.iterdir()) == []


def test_the_floor_plan_shows_ways_and_marks(layout, tmp_path):
    path = tmp_path / "plan.png"
    way = np.column_stack([np.linspace(0.2, 4, 40), np.full(40, 1.5)])
    write_floor_plan(path, layout, {"t0001": way}, [Mark((1.5, 2.6), "Tea", "t0001")], {"t0001": "ann"}, "a run")
    image = cv2.imread(str(path))
    plan = FloorPlan(layout, (1160, 820))
    x, y = np.round(plan.to_px((2.0, 1.5))).astype(int)
    assert np.abs(image[y, x].astype(int) - colour_of("t0001")).sum() < 10
    x, y = np.round(plan.to_px((4.6, 0.6))).astype(int)
    assert (image[y, x] == plan.base[y, x]).all()


def test_a_floor_plan_that_cannot_be_written_says_so(layout, tmp_path):
    with pytest.raises(OutputError, match="floor plan cannot be written"):
        write_floor_plan(tmp_path / "not-there" / "plan.png", layout, {})


def test_neighbouring_tracks_look_different():
    colours = np.array([colour_of(f"t{k:04d}") for k in range(1, 9)], int)
    gaps = np.abs(colours[1:] - colours[:-1]).sum(1)
    assert gaps.min() > 100


def test_where_somebody_begins_and_ends_outside_the_shop_is_in_the_plan(layout, tmp_path):
    way = np.column_stack([np.linspace(-1.6, 2.0, 30), np.full(30, 1.5)])
    write_floor_plan(tmp_path / "plan.png", layout, {"t0001": way})
    plan = cv2.imread(str(tmp_path / "plan.png"))[:, :1160]
    ours = np.abs(plan.astype(int) - colour_of("t0001")).sum(-1) < 12
    columns = np.flatnonzero(ours.any(0))
    assert columns[0] > 5, "the way runs out of the picture"
    assert ours[:, columns[0] : columns[0] + 14].sum(0).max() >= 14, "no disc where it begins"
