# SPDX-License-Identifier: AGPL-3.0-or-later
from pathlib import Path

import numpy as np
import pytest

from calibration.from_points import ClickedPoints, fit, fit_file, replace_cameras
from calibration.layout import CameraSpec, load_layout
from pipeline.errors import LayoutError

STORE = Path(__file__).parents[3] / "calibration" / "stores" / "aifi-nanostore"


def clicked_from(cameras: list[CameraSpec], noise_px: float) -> ClickedPoints:
    """Clicks on a shelf of known corners and on floor marks that nobody measured."""
    rng = np.random.default_rng(3)
    world = {f"corner_{i}": np.array([4.5, y, z]) for i, (y, z) in enumerate([(0, 0.4), (0, 1.6), (1, 0.4), (1, 1.6)])}
    points = {name: {"at": xyz.tolist()} for name, xyz in world.items()}
    for i, (x, y) in enumerate(rng.uniform([1.5, -1], [4.2, 1.6], (14, 2))):
        world[f"mark_{i}"] = np.array([x, y, 0])
        points[f"mark_{i}"] = {"at": [f"x{i}", f"y{i}", 0]}
    clicked = {}
    for spec in cameras:
        camera = spec.camera()
        pixels = {n: camera.project(p) + rng.normal(0, noise_px, 2) for n, p in world.items() if camera.in_view(p)}
        guess = {"position_m": [v + 0.2 for v in spec.position_m], "look_at_m": [3.2, 0.4, 0.3]}
        clicked[spec.id] = {"guess": guess, "clicks": {n: px.tolist() for n, px in pixels.items()}}
    return ClickedPoints.model_validate({"size_px": (1280, 720), "points": points, "cameras": clicked})


def test_cameras_are_found_again_from_noisy_clicks():
    def spec(i, position, target):
        return CameraSpec(id=i, focal_px=(720, 720), position_m=position, look_at_m=target)

    cameras = [spec("a", (1.0, -0.5, 2.5), (3.4, 0.4, 0.4)), spec("b", (1.2, 1.5, 2.3), (3.5, 0.2, 0.5))]
    found = fit(clicked_from(cameras, noise_px=0.5)).cameras
    for true, ours in zip(cameras, found, strict=True):
        assert np.linalg.norm(np.array(true.position_m) - ours.position_m) < 0.06
        assert ours.focal_px[0] == pytest.approx(720, rel=0.03)


def test_a_click_on_an_undescribed_point_is_named(tmp_path):
    path = tmp_path / "clicked.yaml"
    path.write_text(
        "size_px: [10, 10]\npoints: {}\ncameras: {c: {guess: {position_m: [0, 0, 2], look_at_m: [1, 0, 0]},"
        " clicks: {door: [1, 2]}}}\n"
    )
    with pytest.raises(LayoutError, match=r"cameras\.c\.clicks\.door"):
        fit_file(path)


def test_the_shipped_nanostore_layout_is_what_its_clicks_give():
    cameras = fit_file(STORE / "clicked.yaml").cameras
    shipped = load_layout(STORE / "layout.yaml").cameras
    for a, b in zip(cameras, shipped, strict=True):
        assert np.linalg.norm(np.array(a.position_m) - b.position_m) < 0.02


def test_only_the_cameras_of_a_layout_are_replaced():
    text = (STORE / "layout.yaml").read_text()
    cameras = load_layout(STORE / "layout.yaml").cameras
    assert replace_cameras(text, cameras) == text
    assert replace_cameras(text, cameras[:1]).count("- id: cam") == 1
    with pytest.raises(LayoutError, match="cameras"):
        replace_cameras("store_id: x\n", cameras)
