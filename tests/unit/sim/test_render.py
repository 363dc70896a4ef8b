# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the renderer draws lies where `Camera.project` says, is hidden by what is before it, and comes out alike."""

from __future__ import annotations

import resource
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calibration.camera import Camera, look_at
from sim.render.context import RendererError
from sim.render.engine import Renderer
from sim.render.mesh import Light, Mesh, Scene, merged

ATLAS = np.full((8, 8, 3), 255, np.uint8)
LIGHT = Light(ambient=0.9, direct=0.1, tint=(1, 1, 1), lamps_m=np.array([[2.0, 2.0, 2.9]]))


def box(low, high, colour, inwards: bool = False) -> Mesh:
    low, high = np.array(low, float), np.array(high, float)
    vertices, normals, faces = [], [], []
    for axis in range(3):
        for side in (0, 1):
            corners = np.empty((4, 3))
            corners[:, axis] = (low, high)[side][axis]
            for k, (i, j) in enumerate(((0, 0), (1, 0), (1, 1), (0, 1))):
                corners[k, (axis + 1) % 3] = (low, high)[i][(axis + 1) % 3]
                corners[k, (axis + 2) % 3] = (low, high)[j][(axis + 2) % 3]
            turn = (side == 1) != inwards
            first = len(vertices) * 4
            faces += [[first + k for k in (f if turn else f[::-1])] for f in ((0, 1, 2), (0, 2, 3))]
            normal = np.zeros(3)
            normal[axis] = 1 if turn else -1
            normals += [normal] * 4
            vertices.append(corners)
    points = np.concatenate(vertices).astype(np.float32)
    colours = np.tile(np.array(colour, np.float32), (len(points), 1))
    return Mesh(points, np.array(normals, np.float32), colours, np.array(faces, np.int32))


def cube(centre, colour, size_m: float = 0.06) -> Mesh:
    return box(np.array(centre) - size_m / 2, np.array(centre) + size_m / 2, colour)


def camera(camera_id="cam", size=(640, 360), distortion=(-0.33, 0.12, 0.002, -0.0015, -0.02), position=(0.2, 0.2, 2.5)):
    matrix = np.array([[340.0, 0, 322.3], [0, 338.0, 176.9], [0, 0, 1]])
    rotation = look_at(np.array(position), np.array([2.0, 2.0, 0.6]))
    return Camera(camera_id, size, matrix, np.array(distortion), rotation, np.array(position, float))


def room(*more: Mesh, keyed: dict | None = None) -> Scene:
    walls = box((0, 0, 0), (4, 4, 3), (0.1, 0.1, 0.1), inwards=True)
    return Scene((walls, *more), ATLAS, LIGHT, keyed or {})


def centroid(picture: np.ndarray, channel: int) -> np.ndarray:
    """Centre of what is bright in one channel and not in the others, pixels."""
    p = picture.astype(float)
    weight = np.clip(p[..., channel] - np.delete(p, channel, axis=2).max(axis=2) - 20, 0, None)
    y, x = np.mgrid[0 : p.shape[0], 0 : p.shape[1]]
    assert weight.sum() > 0, "nothing bright was drawn"
    return np.array([(weight * x).sum(), (weight * y).sum()]) / weight.sum()


RED, GREEN = 2, 1
PLACES = [(2.0, 2.0, 0.5), (3.6, 1.5, 1.2), (1.2, 3.6, 0.3), (2.9, 3.1, 1.9), (1.0, 1.1, 0.2), (3.7, 0.7, 0.4)]


@pytest.fixture(params=["gl", "software"])
def kind(request, monkeypatch):
    monkeypatch.setenv("WALKOUT_RENDERER", request.param)
    try:
        Renderer(room(), [camera()])
    except RendererError as error:
        pytest.skip(str(error))
    return request.param


@pytest.mark.parametrize(
    "distortion", [(-0.33, 0.12, 0.002, -0.0015, -0.02), (0.12, 0.03, 0, 0.003, 0), (0, 0, 0, 0, 0)]
)
def test_things_are_drawn_where_the_camera_model_projects_them(kind, distortion):
    eye = camera(distortion=distortion)
    renderer = Renderer(room(), [eye])
    seen = 0
    for place in PLACES:
        expected = eye.project(np.array(place))
        if not eye.in_view(np.array(place)) or (expected < 20).any() or (expected > np.array(eye.size_px) - 20).any():
            continue
        mover = renderer.draw("cam", [cube(place, (1, 0, 0))])
        assert centroid(mover, RED) == pytest.approx(expected, abs=0.7), f"mover at {place}"
        renderer.replace_static("cube", cube(place, (1, 0, 0)))
        assert centroid(renderer.draw("cam", []), RED) == pytest.approx(expected, abs=0.7), f"static at {place}"
        renderer.replace_static("cube", None)
        seen += 1
    assert seen >= 4


def test_long_straight_edges_bend_as_the_lens_bends_them(kind):
    eye = camera()
    beam = box((0.5, 3.5, 1.4), (3.9, 3.54, 1.44), (0, 1, 0))
    picture = Renderer(room(beam), [eye]).draw("cam", []).astype(int)
    along = np.column_stack([np.linspace(0.7, 3.7, 13), np.full(13, 3.5), np.full(13, 1.42)])
    for x, y in eye.project(along):
        patch = picture[round(y) - 1 : round(y) + 2, round(x) - 1 : round(x) + 2]
        if patch.size:
            assert (patch[..., 1] - patch[..., 2]).max() > 60, f"the beam is not at {x:.0f}, {y:.0f}"


def test_what_stands_still_hides_what_moves_behind_it_and_not_before_it(kind):
    eye = camera()
    target = np.array([3.0, 3.0, 0.5])
    between = eye.position_m + 0.6 * (target - eye.position_m)
    renderer = Renderer(room(cube(between, (0, 1, 0), 0.3)), [eye])
    behind, before = cube(target, (1, 0, 0)), cube(eye.position_m + 0.4 * (target - eye.position_m), (1, 0, 0))
    assert not renderer.draw_ids("cam", [behind], scale=1).any()
    assert (renderer.draw("cam", [behind]) == renderer.draw("cam", [])).all()
    assert renderer.draw_ids("cam", [behind, before], scale=1).max() == 2


def test_movers_hide_each_other_whatever_their_order(kind):
    eye = camera()
    far = np.array([2.5, 2.5, 0.6])
    near = eye.position_m + 0.7 * (far - eye.position_m)
    a, b = cube(far, (1, 0, 0), 0.1), cube(near, (0, 1, 0), 0.2)
    renderer = Renderer(room(), [eye])
    x, y = eye.project(far).round().astype(int)
    for movers in ([a, b], [b, a]):
        _, green, red = renderer.draw("cam", movers)[y, x]
        assert green > 100 > red
        assert renderer.draw_ids("cam", movers, scale=1)[y, x] == 1 + (movers[1] is b)


def test_ids_cover_the_mover(kind):
    eye = camera()
    mover = box((1.8, 1.8, 0.0), (2.2, 2.2, 1.7), (0.8, 0.2, 0.2))
    renderer = Renderer(room(), [eye])
    pixels = eye.project(box((1.8, 1.8, 0.02), (2.2, 2.2, 1.7), (0, 0, 0)).vertices_m)
    for scale in (1, 4):
        ids = renderer.draw_ids("cam", [mover], scale)
        assert ids.shape == (-(-360 // scale), -(-640 // scale))
        rows, columns = np.nonzero(ids)
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) * scale - 0.5
        assert found == pytest.approx([*pixels.min(axis=0), *pixels.max(axis=0)], abs=1.5 * scale)


def test_replacing_one_keyed_mesh_draws_the_same_as_the_whole_scene_anew(kind):
    eyes = [camera(), camera("other", position=(3.8, 0.3, 2.4))]
    places = {i: (1.0 + 0.25 * i, 2.5, 0.9) for i in range(8)}
    keyed = {i: cube(p, (1, 0.1 * i, 0), 0.12) for i, p in places.items()}
    renderer = Renderer(room(keyed=keyed), eyes)
    first = {e.camera_id: renderer.draw(e.camera_id, []) for e in eyes}
    renderer.replace_static(3, None)
    renderer.replace_static(5, cube(places[5], (0, 1, 0), 0.1))
    left = {k: v for k, v in keyed.items() if k != 3} | {5: cube(places[5], (0, 1, 0), 0.1)}
    fresh = Renderer(room(keyed=left), eyes)
    for eye in eyes:
        now, expected = renderer.draw(eye.camera_id, []), fresh.draw(eye.camera_id, [])
        assert (now != first[eye.camera_id]).any()
        # Shading may reach a little further than the part that was drawn anew.
        assert np.abs(now.astype(int) - expected).max() <= 12
    renderer.replace_static(3, keyed[3])
    renderer.replace_static(5, keyed[5])
    assert np.abs(renderer.draw("cam", []).astype(int) - first["cam"]).max() <= 2


def test_a_taken_item_no_longer_hides_what_is_behind(kind):
    eye = camera()
    target = np.array([3.0, 3.0, 0.5])
    blocker = cube(eye.position_m + 0.6 * (target - eye.position_m), (0, 1, 0), 0.3)
    renderer = Renderer(room(keyed={"slot": blocker}), [eye])
    mover = [cube(target, (1, 0, 0))]
    assert not renderer.draw_ids("cam", mover, 1).any()
    renderer.replace_static("slot", None)
    assert renderer.draw_ids("cam", mover, 1).any()


def test_equal_inputs_give_equal_pixels(kind):
    eye = camera()
    people = [box((1.8, 1.8, 0.0), (2.2, 2.2, 1.7), (0.8, 0.2, 0.2)), cube((2.6, 1.4, 1), (0, 0, 1))]
    pictures = [Renderer(room(keyed={1: cube((3, 3, 1), (0, 1, 0))}), [eye]).draw("cam", people) for _ in range(2)]
    assert (pictures[0] == pictures[1]).all()


def test_a_person_throws_a_shadow_on_the_floor(monkeypatch):
    monkeypatch.setenv("WALKOUT_RENDERER", "gl")
    try:
        renderer = Renderer(room(), [camera()])
    except RendererError as error:
        pytest.skip(str(error))
    person = box((1.9, 1.9, 0.0), (2.1, 2.1, 1.7), (0.8, 0.2, 0.2))
    empty, with_person = renderer.draw("cam", []).astype(int), renderer.draw("cam", [person]).astype(int)
    x, y = camera().project(np.array([2.2, 1.85, 0])).round().astype(int)
    assert with_person[y, x].sum() < empty[y, x].sum()
    x, y = camera().project(np.array([3.7, 0.8, 0])).round().astype(int)
    assert (with_person[y, x] == empty[y, x]).all()


def test_cameras_of_different_sizes_share_a_renderer(kind):
    eyes = [camera(), camera("small", size=(320, 180))]
    eyes[1] = Camera(
        "small",
        (320, 180),
        eyes[1].matrix * [[0.5], [0.5], [1]],
        *[getattr(eyes[0], n) for n in ("distortion", "rotation", "position_m")],
    )
    renderer = Renderer(room(), eyes)
    place = (2.0, 2.0, 0.5)
    for eye in eyes:
        picture = renderer.draw(eye.camera_id, [cube(place, (1, 0, 0), 0.1)])
        assert picture.shape == (eye.size_px[1], eye.size_px[0], 3)
        assert centroid(picture, RED) == pytest.approx(eye.project(np.array(place)), abs=0.7)


def test_both_ways_of_drawing_agree(monkeypatch):
    eye = camera()
    scene = room(merged([cube((2 + 0.3 * i, 2.5, 0.6), (0.2, 0.3 * i, 1), 0.2) for i in range(3)]))
    mover = [cube((1.5, 2, 1), (1, 0.4, 0), 0.25)]
    pictures, ids = [], []
    for name in ("gl", "software"):
        monkeypatch.setenv("WALKOUT_RENDERER", name)
        try:
            renderer = Renderer(scene, [eye])
        except RendererError as error:
            pytest.skip(str(error))
        pictures.append(renderer.draw("cam", mover).astype(int))
        ids.append(renderer.draw_ids("cam", mover, 2))
    assert np.abs(pictures[0] - pictures[1]).mean() < 12
    assert (ids[0] != ids[1]).mean() < 0.002


def test_an_unknown_renderer_is_a_one_line_error(monkeypatch):
    monkeypatch.setenv("WALKOUT_RENDERER", "vulkan")
    with pytest.raises(RendererError, match="'vulkan', expected gl or software"):
        Renderer(room(), [camera()])


def test_depth_is_the_distance_of_what_stands_still(kind):
    eye = camera()
    block = box((1.8, 1.8, 0.0), (2.2, 2.2, 0.7), (0.8, 0.2, 0.2))
    depth = Renderer(room(block), [eye]).depth_m("cam")
    assert depth.shape == (360, 640)
    for point in np.array([(2.0, 2.0, 0.7), (1.8, 2.0, 0.3), (3.2, 2.6, 0.0), (4.0, 3.0, 0.9)]):
        x, y = eye.project(point).round().astype(int)
        assert depth[y, x] == pytest.approx(eye.depth_m(point), abs=0.04), point


def test_what_moves_while_the_shutter_is_open_is_smeared_along_its_way(monkeypatch):
    monkeypatch.setenv("WALKOUT_RENDERER", "gl")
    eye = camera()
    still = cube((2.0, 2.0, 0.5), (1, 0, 0), 0.1)
    try:
        renderer = Renderer(room(), [eye])
    except RendererError as error:
        pytest.skip(str(error))
    way = np.array([0.12, -0.12, 0.0], np.float32)
    sharp, soft = (
        renderer.draw("cam", [m])[..., RED].astype(float)
        for m in (still, replace(still, swept_m=np.tile(way, (len(still.vertices_m), 1))))
    )
    picture_way = eye.project(np.array((2.0, 2.0, 0.5)) + way / 2) - eye.project(np.array((2.0, 2.0, 0.5)) - way / 2)
    assert (soft > 60).sum() > 1.3 * (sharp > 60).sum()
    assert soft.sum() == pytest.approx(sharp.sum(), rel=0.06)  # as much light as before
    spread = [np.ptp(np.nonzero((p > 60).any(axis=0))[0]) for p in (sharp, soft)]
    assert spread[1] - spread[0] == pytest.approx(abs(picture_way[0]), rel=0.5)


def test_meshes_without_faces_are_nothing(kind):
    eye = camera()
    none = Mesh(
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.int32),
    )
    renderer = Renderer(room(none, keyed={"slot": none}), [eye])
    expected = Renderer(room(), [eye]).draw("cam", [])
    renderer.replace_static("slot", none)
    assert (renderer.draw("cam", [none]) == expected).all()
    ids = renderer.draw_ids("cam", [none, cube((2, 2, 0.5), (1, 0, 0))], 1)
    assert set(np.unique(ids)) == {0, 2}


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_pictures_and_changes(monkeypatch):
    monkeypatch.setenv("WALKOUT_RENDERER", "gl")
    try:
        renderer = Renderer(room(keyed={1: cube((2, 2.5, 1), (0, 1, 0))}), [camera()])
    except RendererError as error:
        pytest.skip(str(error))

    def busy(times: int) -> float:
        for i in range(times):
            renderer.replace_static(1, cube((2, 2.5, 1), (0, 1, 0.01 * i)))
            renderer.draw("cam", [cube((2.5, 2, 0.8), (1, 0, 0), 0.1 + 0.001 * i)])
        return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20

    first = busy(12)
    assert busy(25) - first < 15, "megabytes more after 25 pictures; one picture's depth is 1.8"


def test_a_picture_says_where_it_differs_from_its_background(kind):
    """Also when what stands still is replaced in between, and when things leave the picture."""
    renderer = Renderer(room(keyed={"slot": cube((2, 2, 0.5), (0, 1, 0), 0.3)}), [camera()])
    person = box((1.9, 1.9, 0.0), (2.1, 2.1, 1.7), (0.8, 0.2, 0.2))
    steps = [[], [person], [cube((3, 1, 1), (1, 0, 0), 0.2)], None, [person], []]
    for movers in steps:
        if movers is None:
            renderer.replace_static("slot", cube((2.6, 2.2, 0.5), (0, 0, 1), 0.3))
            continue
        drawn = renderer.draw_over("cam", movers)
        same = np.ones(drawn.picture.shape[:2], bool)
        for left, top, right, bottom in drawn.changed:
            same[top:bottom, left:right] = False
        assert (drawn.picture[same] == drawn.background[same]).all()
        assert (renderer.draw("cam", movers) == drawn.picture).all()
        if kind == "gl":
            assert bool(movers) == (not same.all()) and same.mean() > 0.3
            assert (drawn.background == renderer.draw("cam", [])).all()
