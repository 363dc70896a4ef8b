# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor tracker on real people: recorded boxes of the CMC multi-view data set, four cameras, 4 frames a second.

No pictures and no key points come with it, so a person is their box. Nothing is told of the room but what its cameras
file says. The limits are a little below what was measured (docs/tracking.md).
"""

from pathlib import Path

import numpy as np
import pytest

from pipeline.perception.follow import follow
from pipeline.perception.recorded import load_boxes, load_room
from sim.track_files import read_tracks
from sim.tracking_score import score_tracks

DATA = Path(__file__).parents[4] / "shared" / "real" / "cmc"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason=f"the CMC recordings are not at {DATA}"),
]


@pytest.mark.parametrize(("sequence", "mota", "idf1"), [("CMC1", 0.99, 0.99), ("CMC2", 0.97, 0.92)])
def test_real_people_are_followed(sequence, mota, idf1):
    pytest.importorskip("trackeval")
    room = load_room(DATA / "cameras.json")
    boxes = load_boxes(DATA / sequence, sorted(room.camera_by_id))
    tracks = {
        frame: ([t.track_id for t in found], np.reshape([t.floor_xy_m for t in found], (-1, 2)))
        for frame, found in follow(room, boxes, lookahead_s=0.5)
    }
    score = score_tracks(read_tracks(DATA / sequence / "truth.csv"), tracks, gate_m=0.5)
    print(f"\n{sequence}: {score}")
    assert score.mota >= mota
    assert score.idf1 >= idf1
    assert score.motp_m <= 0.15
