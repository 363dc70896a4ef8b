# SPDX-License-Identifier: AGPL-3.0-or-later
"""The event log: one small interface, an embedded log (SQLite) and Kafka behind it, chosen by URL.

Order. Events keep their order within a topic and store (the store id is the key), and **not** between topics: Kafka
gives none, and an outage or a slow partition makes a reader meet `walkout.visits` minutes ahead of
`walkout.shelf-events`. So nothing downstream depends on the order between topics: a `VisitClosed` names every event
that its bill is made from, and the cart waits until it has them all. One topic for everything would have given the
order for free, but would also have forced every reader of receipts to read every floor event of the chain. All topics
have the same number of partitions and the same partitioner, so that one member of a group gets all topics of a store.

Delivery is at least once; every event and dead letter has an id that stays the same when it is written again.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from urllib.parse import parse_qsl, urlsplit

from pipeline.errors import EventLogError
from pipeline.eventlog.log import Assigned, Batch, EventLog, EventReader, Place, Positions, Record

__all__ = [
    "Assigned",
    "Batch",
    "EventLog",
    "EventReader",
    "Place",
    "Positions",
    "Record",
    "is_elsewhere",
    "log_opener",
    "open_log",
]

_EXPECTED = "expected sqlite:///FILE or kafka://HOST:PORT[,HOST:PORT]"


def open_log(url: str) -> EventLog:
    """Open the log that `url` names.

    `sqlite:///relative/file`, `sqlite:////absolute/file`, or `kafka://host:port[,host:port][?setting=value&...]` with
    `timeout_s` (60: how long an unreachable broker is waited for), `partitions` (1) and `replication` (-1: as the
    broker is set up) of topics that do not exist yet, `session_timeout_s` (10: a reader that is not heard of for so
    long loses its partitions) and `instance` (none: a name that no other reader of the group has; the one that dies and
    comes back with it within the session gets its partitions back at once). Raises `EventLogError`.
    """
    return log_opener(url)()


def log_opener(url: str) -> Callable[[], EventLog]:
    """Opens the log when it is called; what is wrong with `url` itself is raised at once."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite" and url.startswith("sqlite:///") and parts.path[1:]:
        from pipeline.eventlog.embedded import EmbeddedLog

        return partial(EmbeddedLog, parts.path[1:])
    if parts.scheme == "kafka" and parts.netloc:
        return _open_kafka(url, parts.netloc, dict(parse_qsl(parts.query, keep_blank_values=True)))
    raise EventLogError(f"event log {url!r}: {_EXPECTED}")


def _open_kafka(url: str, hosts: str, query: dict[str, str]) -> Callable[[], EventLog]:
    readers = {
        "timeout_s": float, "partitions": int, "replication": int, "session_timeout_s": float, "instance": str,
    }  # fmt: skip
    settings = {}
    for name, value in query.items():
        if name not in readers:
            raise EventLogError(f"event log {url!r}: unknown setting {name!r}, expected {', '.join(readers)}")
        try:
            settings[name] = readers[name](value)
        except ValueError:
            raise EventLogError(f"event log {url!r}: {name} must be a number, got {value!r}") from None
    if not settings.get("timeout_s", 60.0) >= 1 or settings.get("partitions", 1) < 1:
        raise EventLogError(f"event log {url!r}: timeout_s and partitions must be at least 1")
    servers = hosts.split(",")
    for server in servers:
        host, _, port = server.rpartition(":")
        if not host or not port.isdigit():
            raise EventLogError(f"event log {url!r}: {_EXPECTED}, got {server!r}")
    try:
        from pipeline.eventlog.kafka_log import KafkaLog
    except ModuleNotFoundError as error:
        if error.name != "kafka":
            raise
        raise EventLogError("a kafka:// log needs kafka-python: pip install 'walkout[kafka]'") from None
    return partial(KafkaLog, servers, **settings)


def is_elsewhere(url: str) -> bool:
    """Whether the log is on other machines, which can be away while this one works."""
    return urlsplit(url).scheme == "kafka"
