# SPDX-License-Identifier: AGPL-3.0-or-later
"""Lines of sight through shelves, against points along each line."""

from pathlib import Path

import numpy as np

from calibration.layout import load_layout
from calibration.sight import Shelves

NANOSTORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"


def test_a_line_is_cut_where_points_on_it_lie_in_a_shelf():
    layout, rng = load_layout(NANOSTORE / "layout.yaml"), np.random.default_rng(3)
    eyes = np.array([camera.position_m for camera in layout.camera_by_id.values()])
    low, high = np.array(layout.floor.bounds[:2]), np.array(layout.floor.bounds[2:])
    points = np.column_stack([rng.uniform(low, high, (400, 2)), rng.uniform(0.05, 1.9, 400)])
    hidden = layout.shelves.hide(eyes, points)
    along = np.linspace(0, 1, 400)[:, None]
    for e, eye in enumerate(eyes):
        for p, point in enumerate(points):
            way = eye + along * (point - eye)
            depth = max(float(_inside(gondola, way).max()) for gondola in layout.gondolas)
            if abs(depth) > 0.02:  # else the line touches an edge
                assert hidden[e, p] == (depth > 0), (eye, point)
    assert 0.1 < hidden.mean() < 0.9


def test_without_shelves_everything_is_seen():
    assert not Shelves([]).hide(np.ones((2, 3)), np.zeros((5, 3))).any()


def test_a_shelf_does_not_hide_what_is_on_its_own_front():
    layout = load_layout(NANOSTORE / "layout.yaml")
    for gondola in layout.gondolas:
        alone = Shelves([gondola])
        along, up = np.meshgrid(
            np.linspace(0.05, 0.95, 9) * gondola.width_m, np.linspace(0.05, 0.95, 9) * gondola.height_m
        )
        front = gondola.to_world(along, np.zeros_like(along), up).reshape(-1, 3)
        ahead, behind = (gondola.to_world(gondola.width_m / 2, out, 2.0) for out in (1.3, -gondola.depth_m - 1.3))
        assert not alone.hide(ahead[None], front).any()
        assert alone.hide(behind[None], front).all()


def _inside(gondola, points):
    """How deep in the gondola's box each point is; negative outside."""
    along, out, up = gondola.to_face(points).T
    return np.min([along, gondola.width_m - along, -out, gondola.depth_m + out, up, gondola.height_m - up], axis=0)
