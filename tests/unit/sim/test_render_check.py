# SPDX-License-Identifier: AGPL-3.0-or-later
"""A driver that leaves old pictures in its buffers is found out before anything is drawn with it."""

from __future__ import annotations

import numpy as np
import pytest

from sim.render.check import check_gl
from sim.render.context import RendererError, choose_kind
from sim.render.engine import Renderer
from sim.render.target import Target
from tests.unit.sim.test_render import camera, room


@pytest.fixture
def gl(monkeypatch):
    monkeypatch.setenv("WALKOUT_RENDERER", "gl")
    try:
        choose_kind(1)
    except RendererError as error:
        pytest.skip(str(error))
    check_gl.cache_clear()
    yield
    check_gl.cache_clear()


def refused() -> str:
    with pytest.raises(RendererError) as caught:
        Renderer(room(), [camera()])
    message = str(caught.value)
    assert "\n" not in message and "WALKOUT_RENDERER=software" in message and "Mesa" in message
    return message


def test_a_driver_that_draws_passes_and_is_asked_once(gl):
    Renderer(room(), [camera()])
    Renderer(room(), [camera()])
    assert check_gl.cache_info().misses == 1


@pytest.mark.parametrize("kept", [1, 2, 5])
def test_pictures_that_stay_as_they_were_are_refused(gl, monkeypatch, kept):
    """The buffer is read well a few times; from then on it gives what it gave last."""
    drawn, real = [], Target.draw

    def stale(self, root, width, height, **how):
        drawn.append(real(self, root, width, height, **how).copy())
        picture = drawn[-1] if len(drawn) <= kept else drawn[kept - 1]
        return np.resize(picture, (height, width, 4))

    monkeypatch.setattr(Target, "draw", stale)
    assert "stale" in refused()


def test_depths_that_stay_as_they_were_are_refused(gl, monkeypatch):
    seen, real = [], Target.take_depth

    def stale(self, width, height):
        seen.append(real(self, width, height).copy())
        return seen[0]

    monkeypatch.setattr(Target, "take_depth", stale)
    assert "depths" in refused()


def test_a_buffer_that_cannot_be_read_is_refused(gl, monkeypatch):
    monkeypatch.setattr(Target, "draw", lambda self, root, width, height, **how: np.zeros((height, width, 4), np.uint8))
    monkeypatch.setattr(Target, "take_depth", lambda self, width, height: np.zeros((height, width), np.float32))
    refused()
