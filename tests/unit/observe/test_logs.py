# SPDX-License-Identifier: AGPL-3.0-or-later
"""Structured logs: text for people who set nothing up, JSON for services."""

import json
import logging
import subprocess
import sys

from pipeline.observe.logs import get_logger

log = get_logger(__name__)


def test_fields_are_kept_beside_the_text(caplog):
    with caplog.at_level(logging.INFO):
        log.info("receipt", visit_id="v1", event_id="e1")
    (record,) = caplog.records
    assert record.getMessage() == "receipt: visit_id=v1 event_id=e1"
    assert record.fields == {"event": "receipt", "visit_id": "v1", "event_id": "e1"}
    assert record.name == __name__


def test_nothing_below_warning_is_made_when_nobody_listens(caplog):
    with caplog.at_level(logging.WARNING):
        log.info("receipt", visit_id="v1")
    assert caplog.records == []


def test_a_service_writes_one_json_object_a_line():
    code = """
import logging
from pipeline.observe.logs import get_logger, log_as_json
log_as_json()
log = get_logger("walkout.test")
log.info("receipt", visit_id="v1", event_id="e1", total_minor=149)
logging.getLogger("other").warning("plain %s", "text")
try:
    1 / 0
except ZeroDivisionError:
    log.exception("broken", visit_id="v2")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    first, plain, broken = map(json.loads, done.stderr.splitlines())
    assert first.pop("time").endswith("+00:00")
    assert first == {
        "level": "info", "logger": "walkout.test", "event": "receipt", "visit_id": "v1", "event_id": "e1",
        "total_minor": 149,
    }  # fmt: skip
    assert (plain["event"], plain["logger"], plain["level"]) == ("plain text", "other", "warning")
    assert broken["visit_id"] == "v2" and "ZeroDivisionError" in broken["exception"]
