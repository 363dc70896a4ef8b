# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout replay` and `walkout score --cases` as typed."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from pipeline import cli
from pipeline.errors import CaseError, RecordingError
from pipeline.review import kept
from pipeline.review.kept import CaseScore


def walkout(*arguments, code=0):
    result = CliRunner(env={"COLUMNS": "160"}).invoke(cli.app, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result.stdout


def test_one_of_a_recording_and_a_visit(tmp_path):
    for arguments in ([tmp_path], [tmp_path, "--against", tmp_path, "--visit", "v-1"]):
        with pytest.raises(RecordingError, match="expected `walkout replay REC --against RUN` or"):
            walkout("replay", *arguments)
    with pytest.raises(RecordingError):
        walkout("replay", tmp_path / "nothing", "--visit", "v-1")


def test_no_folder_of_cases(tmp_path):
    for arguments in (["--cases", tmp_path / "no"], ["cases", tmp_path / "no"]):
        with pytest.raises(CaseError, match="no folder of kept cases"):
            walkout("score", *arguments)
    assert walkout("score", "--cases", tmp_path).strip() == "0 right, 0 held, 0 wrong, 0 failed of 0 cases"


@pytest.mark.parametrize(("verdict", "code"), [("right", 0), ("held", 0), ("wrong", 1), ("failed", 1)])
def test_the_exit_code_says_whether_all_are_right(tmp_path, monkeypatch, verdict, code):
    """What a case is worth is test_replay.py's; here only what is printed of it."""
    found = CaseScore("v-1", verdict, {"Cola": 2}, {}, {}, "", 1.0)
    monkeypatch.setattr(kept, "load_cases", lambda into: ["a case", "another"])
    monkeypatch.setattr(kept, "score_case", lambda case: dataclasses.replace(found, name=case))
    shown = walkout("score", "--cases", tmp_path, code=code)
    assert f"{verdict:6} a case  missing 2 Cola" in shown and f"2 {verdict}" in shown
    figures = json.loads(walkout("score", "--cases", tmp_path, "--json", code=code))
    assert figures["cases"] == figures[verdict] == 2
