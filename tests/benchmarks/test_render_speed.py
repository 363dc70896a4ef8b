# SPDX-License-Identifier: AGPL-3.0-or-later
"""What drawing costs, against something else in the same run, so that the machine's speed does not count."""

from __future__ import annotations

import time

import numpy as np
import pytest

from calibration.camera import Camera, look_at
from sim.render.context import RendererError
from sim.render.engine import Renderer
from sim.render.mesh import Light, Mesh, Scene, merged

SIZE = (1280, 720)


def ball(centre, radii, colour, rings: int = 12, sides: int = 24) -> Mesh:
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings), np.linspace(0, 2 * np.pi, sides + 1), indexing="ij")
    unit = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    normals = (unit / radii).reshape(-1, 3)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    index = np.arange(rings * (sides + 1)).reshape(rings, sides + 1)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = np.concatenate([np.stack(t, axis=-1).reshape(-1, 3) for t in ((a, b, c), (a, c, d))])
    points = (unit * radii + centre).reshape(-1, 3).astype(np.float32)
    colours = np.tile(np.array(colour, np.float32), (len(points), 1))
    return Mesh(points, normals.astype(np.float32), colours, faces.astype(np.int32))


def person(x: float, y: float) -> Mesh:
    """Some 5,000 vertices of roughly a person's extent."""
    return merged([ball((x, y, z), (0.2, 0.25, 0.14), (0.3, 0.4, 0.7)) for z in np.linspace(0.14, 1.6, 16)])


@pytest.mark.slow
def test_drawing_a_person_costs_a_fraction_of_drawing_the_shop_with_them():
    rng = np.random.default_rng(0)
    floor = ball((3, 3, -50), (60, 60, 50), (0.6, 0.6, 0.6), 40, 80)
    items = {
        i: ball((*rng.uniform(0.5, 5.5, 2), rng.uniform(0.2, 1.8)), (0.05, 0.05, 0.1), rng.random(3))
        for i in range(480)
    }
    scene = Scene((floor,), np.full((8, 8, 3), 255, np.uint8), Light(), items)
    position = np.array([0.2, 0.2, 2.5])
    matrix = np.array([[700.0, 0, 639.5], [0, 700, 359.5], [0, 0, 1]])
    eye = Camera("cam", SIZE, matrix, np.zeros(5), look_at(position, np.array([3.0, 3, 0.8])), position)
    try:
        renderer = Renderer(scene, [eye])
    except RendererError as error:
        pytest.skip(str(error))
    if renderer.kind != "gl":
        pytest.skip("the software renderer keeps no background")

    def seconds(prepare, times: int) -> float:
        taken = []
        for i in range(times):
            prepare()
            movers = [person(3 + 0.01 * i, 3)]
            start = time.process_time()
            renderer.draw("cam", movers)
            taken.append(time.process_time() - start)
        return float(np.median(taken))

    renderer.draw("cam", [person(3, 3)])
    whole = seconds(lambda: renderer.set_static(scene), 4)
    mover = seconds(lambda: None, 20)
    print(f"a person {1000 * mover:.1f} ms, with the shop {1000 * whole:.1f} ms: {mover / whole:.2f}")
    assert mover < 0.2 * whole
