# SPDX-License-Identifier: AGPL-3.0-or-later
"""Covariances of tracks against their errors, and their columns in a file of tracks."""

import numpy as np
import pytest

from pipeline.errors import RecordingError
from sim.track_files import read_covariances
from sim.uncertainty import uncertainty


def positions(xy):
    return {k: (["a"], place[None]) for k, place in enumerate(xy)}


@pytest.mark.parametrize(("claimed", "nees", "within"), [(1.0, 2.0, 0.95), (0.5, 8.0, 0.53), (2.0, 0.5, 1.0)])
def test_who_is_too_sure_is_found_out(claimed, nees, within):
    random = np.random.default_rng(0)
    truth = random.uniform(0, 5, (4000, 2))
    spread = np.array([[0.01, 0.004], [0.004, 0.02]])
    found = truth + random.multivariate_normal([0, 0], spread, 4000)
    covariances = {k: claimed**2 * spread[None] for k in range(4000)}
    got = uncertainty(positions(truth), positions(found), covariances, 1.0)
    assert got.pairs == 4000
    assert got.nees == pytest.approx(nees, rel=0.06)
    assert got.within_95 == pytest.approx(within, abs=0.02)


def test_nobody_gives_no_figures():
    assert uncertainty({}, {}, {}, 0.5).nees is None


def test_a_file_without_covariances_has_none(tmp_path):
    path = tmp_path / "tracks.csv"
    path.write_text("frame,person,x_m,y_m\n1,1,0,0\n")
    assert read_covariances(path) is None
    path.write_text("frame,person,x_m,y_m,var_x_m2,var_y_m2,cov_xy_m2\n1,1,0,0,0.04,0.01,0.01\n")
    assert read_covariances(path)[1] == pytest.approx(np.array([[[0.04, 0.01], [0.01, 0.01]]]))
    path.write_text("frame,person,x_m,y_m,var_x_m2,var_y_m2,cov_xy_m2\n1,1,0,0,0.04,0.01,0.05\n")
    with pytest.raises(RecordingError, match=r"line 2.*no covariance"):
        read_covariances(path)
