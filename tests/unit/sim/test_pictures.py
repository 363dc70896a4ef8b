# SPDX-License-Identifier: AGPL-3.0-or-later
from itertools import islice

import numpy as np
import pytest

from calibration.camera import Camera, look_at
from models.crops import window_at
from pipeline.errors import OutputError
from sim.pictures.dataset import make_dataset
from sim.pictures.faults import compressed, through_camera
from sim.pictures.labels import PersonLabel, person_label, pose_line
from sim.pictures.rooms import boxes, random_camera, random_room
from sim.pictures.textures import random_atlas, random_picture


@pytest.fixture
def camera() -> Camera:
    position = np.array([0.0, -3.0, 1.0])
    matrix = np.array([[400, 0, 319.5], [0, 400, 179.5], [0, 0, 1.0]])
    return Camera("c", (640, 360), matrix, np.zeros(5), look_at(position, np.array([0, 0, 1.0])), position)


def test_a_label_is_the_box_of_what_is_seen(camera):
    mask = np.zeros((360, 640), bool)
    mask[100:300, 280:360] = True
    keypoints = np.tile([0.0, 0.0, 1.0], (17, 1))
    keypoints[9] = [2.0, 0.0, 1.0]  # far from what is seen: behind something
    keypoints[10] = [9.0, 0.0, 1.0]  # outside the picture
    label = person_label(camera, keypoints, mask, 1, 160)
    assert label.xyxy_px.tolist() == [280, 100, 360, 300]
    assert label.flags[0] == 2
    assert label.flags[9] == 0
    assert label.flags[10] == 0
    assert (label.keypoints_px[10] == 0).all()


def test_hidden_key_points_beside_what_is_seen_can_be_guessed(camera):
    mask = np.zeros((360, 640), bool)
    mask[100:300, 280:300] = True
    # The point projects to the middle of the picture, 20 pixels beside a mask 200 high: further than guessing goes.
    assert person_label(camera, np.tile([0.0, 0.0, 1.0], (17, 1)), mask, 1, 160).flags[0] == 0
    mask[100:300, 280:313] = True
    assert person_label(camera, np.tile([0.0, 0.0, 1.0], (17, 1)), mask, 1, 160).flags[0] == 1


def test_somebody_who_is_hardly_seen_has_no_label(camera):
    mask = np.zeros((360, 640), bool)
    mask[100:110, 100:110] = True
    assert person_label(camera, np.zeros((17, 3)), mask, 1, 160) is None


def test_label_lines_are_shares_of_the_picture():
    label = PersonLabel(np.array([64.0, 36, 128, 108]), np.full((17, 2), 32.0), np.full(17, 2))
    values = [float(v) for v in pose_line(label, (640, 360)).split()]
    assert len(values) == 5 + 17 * 3
    assert values[:5] == pytest.approx([0, 0.15, 0.2, 0.1, 0.2], abs=1e-5)
    assert values[5:8] == pytest.approx([0.05, 32 / 360, 2], abs=1e-4)


def test_boxes_have_their_size_and_face_outwards():
    mesh = boxes(np.array([[1.0, 2, 3]]), np.array([[0.2, 0.4, 0.6]]), np.ones((1, 3)), np.array([[0, 0, 1, 1.0]]))
    assert mesh.vertices_m.min(0) == pytest.approx([0.9, 1.8, 2.7])
    assert mesh.vertices_m.max(0) == pytest.approx([1.1, 2.2, 3.3])
    a, b, c = (mesh.vertices_m[mesh.faces[:, i]] for i in range(3))
    turning = np.cross(b - a, c - a)
    assert (np.einsum("fi,fi->f", turning, mesh.normals[mesh.faces[:, 0]]) > 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_rooms_leave_space_and_cameras_are_inside(seed):
    rng = np.random.default_rng(seed)
    room = random_room(rng)
    spots = rng.uniform(0, 1, (400, 2)) * room.size_m
    assert any(room.is_free(spot) for spot in spots)
    assert not room.is_free(room.size_m + 1)
    camera = random_camera(rng, room)
    assert (camera.position_m[:2] > 0).all()
    assert (camera.position_m[:2] < room.size_m).all()
    assert camera.rotation[2, 2] < 0  # looks down


def test_the_same_seed_gives_the_same_textures_and_an_atlas_begins_white():
    one, two = (random_picture(np.random.default_rng(5), 40, 60) for _ in range(2))
    assert (one == two).all()
    assert (random_atlas(np.random.default_rng(1), 128)[-1, 0] == 255).all()


def test_a_camera_changes_a_picture_but_not_its_shape():
    rng = np.random.default_rng(0)
    picture = random_picture(rng, 360, 640)
    taken = through_camera(rng, picture)
    assert taken.shape == picture.shape
    assert taken.dtype == np.uint8
    assert (taken != picture).any()
    assert compressed(rng, picture).shape == picture.shape


def test_a_data_set_that_cannot_be_written_says_so(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(OutputError, match="cannot write the data set"):
        make_dataset("people", file, 2)


def test_labels_of_a_crop_are_clipped_and_need_half_of_the_item():
    from sim.pictures.products import _lines, _Seen

    window = window_at(np.array([100.0, 100.0]))  # 20..180 in the frame, twice as large in the crop
    seen = [
        _Seen(3, np.array([20.0, 20, 60, 100])),
        _Seen(4, np.array([0.0, 20, 50, 60])),
        _Seen(5, np.array([170.0, 20, 200, 60])),
    ]
    lines = [line.split() for line in _lines(window, seen)]
    assert [int(line[0]) for line in lines] == [3, 4]
    assert [float(v) for v in lines[0][1:]] == pytest.approx([0.125, 0.25, 0.25, 0.5])
    assert float(lines[1][3]) == pytest.approx(30 / 160)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["people", "products"])
def test_pictures_are_the_same_again_and_their_labels_lie_in_them(kind):
    from sim.pictures.dataset import iterate

    one, two = (list(islice(iterate(kind, 3), 4)) for _ in range(2))
    for (picture, lines), (again, lines_again) in zip(one, two, strict=True):
        assert (picture == again).all()
        assert lines == lines_again
        for line in lines:
            x, y, w, h = (float(v) for v in line.split()[1:5])
            assert min(x - w / 2, y - h / 2) >= -1e-4
            assert max(x + w / 2, y + h / 2) <= 1 + 1e-4
