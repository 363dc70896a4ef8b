# SPDX-License-Identifier: AGPL-3.0-or-later
"""The command as a user types it: mistakes end in one line and exit code 2."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pipeline.cli import app

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "nowhere", "--out", "x"], "nowhere: neither a recording"),
        (["layout", "check", "nowhere.yaml"], "nowhere.yaml: no such file"),
        (["sim", "record", "no-such-scenario", "--out", "x"], "no-such-scenario"),
        (["models", "evaluate", "nowhere.pt", "--data", "nowhere.yaml"], "nowhere"),
        (["sim", "suite", "ac-01", "--seeds", "one", "--out", "x"], "--seeds: expected FIRST-LAST"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, said, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr


@pytest.mark.parametrize("command", ["run", "replay", "score", "demo", "layout", "sim", "models"])
def test_every_command_explains_itself(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_shipped_scenarios_are_listed():
    result = CliRunner().invoke(app, ["sim", "list"])
    for name in ("ac-01", "ac-07", "ac-27", "browse"):
        assert name in result.output


def test_the_layout_check_shows_every_face_of_the_shipped_store():
    result = CliRunner().invoke(app, ["layout", "check", str(ROOT / "sim" / "stores" / "nanostore")])
    assert result.exit_code == 0, result.output
    for gondola in ("g1", "g2", "g3", "g4", "g5"):
        assert gondola in result.output
