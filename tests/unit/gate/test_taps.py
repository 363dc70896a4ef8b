# SPDX-License-Identifier: AGPL-3.0-or-later
import json
import logging
from types import SimpleNamespace

import pytest

from pipeline.capture.recording import GateTap
from pipeline.gate.taps import GateFile, RecordedTaps

LAYOUT = SimpleNamespace(gates=[SimpleNamespace(id="gate")])


def line(at_ns, shopper="anna", gate="gate") -> str:
    return json.dumps({"at_ns": at_ns, "gate_id": gate, "shopper_id": shopper, "kind": "entry"}) + "\n"


def test_recorded_taps_come_once_in_time_order():
    taps = RecordedTaps([GateTap(30, "gate", "c"), GateTap(10, "gate", "a"), GateTap(20, "gate", "b")])
    assert [t.shopper_id for t in taps.until(21)] == ["a", "b"]
    assert taps.until(30) == []  # a window does not contain its end
    assert [t.shopper_id for t in taps.until(31)] == ["c"]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gate.jsonl"
    path.write_text(line(1, "yesterday"))
    return path


def append(path, text):
    with path.open("a") as f:
        f.write(text)


def test_only_what_is_appended_after_the_start_is_a_tap(file):
    taps = GateFile(file.parent, LAYOUT)
    assert taps.until(100) == []
    append(file, line(50) + line(150, "ben"))
    assert [t.shopper_id for t in taps.until(100)] == ["anna"]
    assert [t.shopper_id for t in taps.until(200)] == ["ben"]


def test_a_line_still_being_written_waits(file):
    taps = GateFile(file.parent, LAYOUT)
    whole = line(50)
    append(file, whole[:20])
    assert taps.until(100) == []
    append(file, whole[20:])
    assert len(taps.until(100)) == 1


def test_a_file_that_is_not_there_yet(tmp_path):
    taps = GateFile(tmp_path, LAYOUT)
    assert taps.until(100) == []
    (tmp_path / "gate.jsonl").write_text(line(50))
    assert len(taps.until(100)) == 1


@pytest.mark.parametrize(
    "bad", ["garbage\n", "[1]\n", '{"at_ns": 1}\n', line(1, gate="elsewhere"), line("soon"), line(True), "\n", "\x00\n"]
)
def test_a_bad_line_is_logged_and_stops_nobody(file, caplog, bad):
    taps = GateFile(file.parent, LAYOUT)
    append(file, bad + line(50))
    with caplog.at_level(logging.WARNING):
        assert [t.shopper_id for t in taps.until(100)] == ["anna"]
    assert len(caplog.records) == (0 if bad == "\n" else 1)
