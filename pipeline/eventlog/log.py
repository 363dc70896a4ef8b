# SPDX-License-Identifier: AGPL-3.0-or-later
"""The interface of an event log, and what reading one gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from pipeline.errors import MessageError
from pipeline.eventlog.codec import DeadLetter, decode
from pipeline.messages import Event
from pipeline.observe import metrics

Place = tuple[str, int]
"""(topic, partition): where records have an order."""

Positions = Mapping[Place, int]
"""For each place the offset of the next record to read."""

Assigned = Callable[[frozenset[Place]], Positions]
"""Called by `EventReader.poll` when the log has given a reader new places: these, and no others from now on. Returns
where to start; a place that it leaves out starts where the group has committed, or at the oldest record."""


class RawRecord(NamedTuple):  # made for every record that is read: a tuple takes a third of a dataclass's time
    """Bytes as the log holds them. `offset` rises within (topic, partition), with gaps."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    body: bytes


class Record(NamedTuple):
    """One event and where it was read. `body`: the event's JSON as it was written."""

    topic: str
    partition: int
    offset: int
    event: Event
    body: bytes


@dataclass(frozen=True)
class Batch:
    """What one poll gave. `positions` also stands behind records that went to the dead letter."""

    records: tuple[Record, ...]
    positions: Positions

    @classmethod
    def empty(cls) -> Batch:
        return cls((), {})


class EventReader(Protocol):
    """One member of a consumer group. `shared`: the log shares places out among the members of a group. `reachable`:
    false while an outage of the log is waited for."""

    shared: bool
    reachable: bool

    def poll(self, timeout_s: float = 1.0, max_records: int = 500) -> Batch:
        """The next records in log order, waiting at most `timeout_s` for the first; an empty batch when none came.

        What does not parse is written to the dead letter and skipped. Raises `EventLogError` when the log stays out
        of reach for longer than its `timeout_s`.
        """

    def commit(self, positions: Positions) -> None:
        """The group has dealt with everything before `positions`."""

    def ends_seen(self) -> Positions:
        """Where the log ended in the reader's places when it last heard of it; places not heard of are left out."""

    def close(self) -> None: ...


class EventLog(Protocol):
    """Where events are kept in order. One writer or many; readers in any process."""

    def append(self, events: Sequence[Event]) -> None:
        """Write events in this order, each to its topic; they are safe when this returns. Raises `EventLogError`."""

    def begin_append(self, events: Sequence[Event]) -> Callable[[], None]:
        """As `append`, without waiting: events are safe when the function that it returns does, which raises what
        `append` raises. What is handed over first is written first."""

    def read(self, group: str, topics: Sequence[str], assigned: Assigned | None = None) -> EventReader:
        """A new reader of `topics` for `group`. `assigned` lets a reader keep its offsets in a store of its own."""

    def ends(self, topics: Sequence[str]) -> Positions:
        """Where the next record will be written."""

    def close(self) -> None: ...


def sort_out(raw: Iterable[RawRecord]) -> tuple[tuple[Record, ...], tuple[DeadLetter, ...], Positions]:
    """Records that parse, dead letters of those that do not, and the positions behind both."""
    good: list[Record] = []
    dead: list[DeadLetter] = []
    positions: dict[Place, int] = {}
    for record in raw:
        positions[record.topic, record.partition] = record.offset + 1
        try:
            event = decode(record.body)
            good.append(Record(record.topic, record.partition, record.offset, event, record.body))
        except MessageError as error:
            metrics.DEAD_LETTERS.labels(record.topic).inc()
            dead.append(
                DeadLetter.of(str(error), record.topic, record.partition, record.offset, record.key, record.body)
            )
    return tuple(good), tuple(dead), positions
