# SPDX-License-Identifier: AGPL-3.0-or-later
"""Structured logs: an event and its fields, e.g. `log.info("receipt", visit_id=..., event_id=...)`.

They go through Python's logging, so that a command that sets nothing up prints warnings only, as one line of text. A
service calls `log_as_json` and writes one JSON object a line, those of other libraries too.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

import structlog


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger for a module of ours; `name` is its `__name__`."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, structlog.contextvars.merge_contextvars, _hand_over],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def log_as_json(level: int = logging.INFO) -> None:
    """From now on this process logs JSON to standard error: `time`, `level`, `logger`, `event` and the fields."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.getLogger("kafka").setLevel(
        logging.CRITICAL
    )  # the event log reports outages once; the client every attempt


def _hand_over(_logger, _method: str, fields: dict) -> tuple[tuple, dict]:
    exc_info = fields.pop("exc_info", None)
    event = fields["event"]
    shown = " ".join(f"{name}={value}" for name, value in fields.items() if name != "event")
    return (f"{event}: {shown}" if shown else event,), {"extra": {"fields": fields}, "exc_info": exc_info}


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = getattr(record, "fields", None) or {"event": record.getMessage()}
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(), "logger": record.name, **fields,
        }  # fmt: skip
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)
