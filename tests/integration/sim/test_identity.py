# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two people side by side at a shelf, as a person network finds them in eight cameras: whatever the tracker does with
their labels, it is said, and what is said is right or in doubt."""

import json

import cv2
import pytest

pytest.importorskip("panda3d", reason="needs the simulator: pip install 'walkout[sim]'")
pytest.importorskip("trackeval", reason="needs the figures: pip install 'walkout[score]'")

from typer.testing import CliRunner

from pipeline.messages import TracksSwapped
from sim.cli import app
from sim.identity_events import read_events, warnings
from sim.show import hard_cases


@pytest.mark.slow
def test_who_was_exchanged_at_a_shelf_is_found_out(tmp_path):
    arguments = ["suite", "tailgate", "--detections", "--seeds", "0", "--out", str(tmp_path / "suite"), "--json"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)
    (recording,) = figures["recordings"]
    identity = recording["identity"]
    assert identity["visits"] == 2
    assert identity["tracker_wrong_told"] == identity["tracker_wrong"]
    assert identity["held"] == 2 or identity["flagged"] == 2
    table = figures["scenarios"]["tailgate"]
    assert table["held"] == identity["held"] / 2 and table["tracker_held"] == identity["tracker_held"] / 2

    folder = tmp_path / "suite" / "tailgate-s0"
    events = read_events(folder / "events.jsonl")
    assert bool(warnings(events)) == bool(identity["tracker_wrong"])
    assert all(e.reason for e in events if isinstance(e, TracksSwapped))
    assert hard_cases(tmp_path / "suite") == ([folder] if events else [])
    shown = CliRunner().invoke(
        app, ["show", str(tmp_path / "suite"), "--no-film", "--out", str(tmp_path / "pictures")]
    )  # fmt: skip
    assert shown.exit_code == 0, shown.output
    if events:
        assert cv2.imread(str(tmp_path / "pictures" / "tailgate-s0" / "paths.png")) is not None
