# SPDX-License-Identifier: AGPL-3.0-or-later
"""The embedded log: one SQLite file, one table, one order over all topics.

Write-ahead logging: readers in other processes neither wait for the writer nor stop it. Offsets are row numbers, so the
partition is always 0.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import EventLogError
from pipeline.eventlog.codec import DeadLetter, encode
from pipeline.eventlog.log import Assigned, Batch, Positions, RawRecord, sort_out
from pipeline.messages import DEAD_LETTER_TOPIC, TOPIC_OF, Event

_SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    topic TEXT NOT NULL,
    key BLOB,
    body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS records_by_topic ON records (topic, position);
CREATE TABLE IF NOT EXISTS offsets (
    consumer_group TEXT NOT NULL,
    topic TEXT NOT NULL,
    next_offset INTEGER NOT NULL,
    PRIMARY KEY (consumer_group, topic)
) WITHOUT ROWID;
"""
_NEXT = "(SELECT coalesce(max(next_offset), 0) FROM offsets WHERE consumer_group = ?)"
_POLL_INTERVAL_S = 0.02
_LOCK_TIMEOUT_S = 30.0


class EmbeddedLog:
    """An event log in one file; made with its folders when it is not there. Threads may share it: they take turns."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._turn = threading.RLock()
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EventLogError(f"event log {self.path}: cannot make its folder: {error.strerror}") from None
        with self._errors("open"):
            self._db = sqlite3.connect(
                self.path, timeout=_LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")  # what has been appended survives a power cut
            self._db.executescript(_SCHEMA)

    def append(self, events: Sequence[Event]) -> None:
        self._insert([(TOPIC_OF[e.type], e.store_id.encode(), encode(e)) for e in events])

    def begin_append(self, events: Sequence[Event]) -> Callable[[], None]:
        self.append(events)  # there is no other process that could write meanwhile
        return lambda: None

    def read(self, group: str, topics: Sequence[str], assigned: Assigned | None = None) -> EmbeddedReader:
        return EmbeddedReader(self, group, topics, assigned)

    def ends(self, topics: Sequence[str]) -> Positions:
        newest = "SELECT coalesce(max(position), -1) FROM records WHERE topic = ?"
        with self._errors("read"):
            return {(topic, 0): self._db.execute(newest, (topic,)).fetchone()[0] + 1 for topic in topics}

    def prune(self, before_ns: int, *, dry_run: bool = False) -> int:
        """Delete events from before then, as Kafka's retention would; how many. Receipts stay, as does the newest
        record of each topic, which says where the topic ends. `dry_run` only counts."""
        old = (
            "FROM records WHERE topic <> ? AND json_valid(CAST(body AS TEXT))"
            " AND json_extract(CAST(body AS TEXT), '$.at_ns') < ?"
            " AND position NOT IN (SELECT max(position) FROM records GROUP BY topic)"
        )
        arguments = (TOPIC_OF["receipt-issued"], before_ns)
        with self._errors("prune"):
            if dry_run:
                return self._db.execute(f"SELECT count(*) {old}", arguments).fetchone()[0]
            with self._transaction():
                return self._db.execute(f"DELETE {old}", arguments).rowcount

    def waiting(self, group: str) -> int:
        """How many records a `group` that reads all topics has not dealt with."""
        with self._errors("read"):
            return self._db.execute(f"SELECT count(*) FROM records WHERE position >= {_NEXT}", (group,)).fetchone()[0]

    def drop_read(self, group: str, keep: int) -> int:
        """Delete what a `group` that reads all topics has dealt with, but for the newest `keep` records and the newest
        of each topic, which says where the topic ends; how many."""
        query = (
            f"DELETE FROM records WHERE position < {_NEXT} AND position <= (SELECT max(position) FROM records) - ?"
            " AND position NOT IN (SELECT max(position) FROM records GROUP BY topic)"
        )
        with self._errors("prune"), self._transaction():
            return self._db.execute(query, (group, keep)).rowcount

    def close(self) -> None:
        self._db.close()

    def _insert(self, rows: Sequence[tuple[str, bytes | None, bytes]]) -> None:
        if not rows:
            return
        with self._errors("write"), self._transaction():
            self._db.executemany("INSERT INTO records (topic, key, body) VALUES (?, ?, ?)", rows)

    def _bury(self, letters: Sequence[DeadLetter]) -> None:
        self._insert([(DEAD_LETTER_TOPIC, b.topic.encode(), b.model_dump_json().encode()) for b in letters])

    @contextmanager
    def _transaction(self):
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:  # a full disk has already rolled back
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _errors(self, what: str):
        try:
            with self._turn:
                yield
        except sqlite3.Error as error:
            raise EventLogError(f"event log {self.path}: cannot {what}: {error}") from error


class EmbeddedReader:
    """Reads topics merged in the order in which they were written. There is one reader of a group at a time."""

    shared = False
    reachable = True

    def __init__(self, log: EmbeddedLog, group: str, topics: Sequence[str], assigned: Assigned | None) -> None:
        self._log, self._group, self._assigned = log, group, assigned
        with log._errors("read"):
            stored = dict(
                log._db.execute("SELECT topic, next_offset FROM offsets WHERE consumer_group = ?", (group,)).fetchall()
            )
        self._next = {topic: stored.get(topic, 0) for topic in topics}

    def poll(self, timeout_s: float = 1.0, max_records: int = 500) -> Batch:
        if self._assigned is not None:
            start = self._assigned(frozenset((topic, 0) for topic in self._next))
            self._assigned = None
            self._next.update({topic: offset for (topic, _), offset in start.items()})
        deadline = time.monotonic() + timeout_s
        while True:
            batch = self._take(max_records)
            if batch.positions or time.monotonic() >= deadline:
                return batch
            time.sleep(_POLL_INTERVAL_S)

    def commit(self, positions: Positions) -> None:
        rows = [(self._group, topic, offset) for (topic, _), offset in positions.items()]
        with self._log._errors("write"), self._log._transaction():
            self._log._db.executemany(
                "INSERT INTO offsets VALUES (?, ?, ?)"
                " ON CONFLICT DO UPDATE SET next_offset = max(next_offset, excluded.next_offset)",
                rows,
            )

    def ends_seen(self) -> Positions:
        return self._log.ends(list(self._next))

    def close(self) -> None:
        pass

    def _take(self, max_records: int) -> Batch:
        one = (
            "SELECT * FROM (SELECT position, topic, CAST(key AS BLOB), CAST(body AS BLOB) FROM records"
            " WHERE topic = ? AND position >= ? ORDER BY position LIMIT ?)"
        )
        query = " UNION ALL ".join([one] * len(self._next)) + " ORDER BY position LIMIT ?"
        arguments = [value for topic, start in self._next.items() for value in (topic, start, max_records)]
        with self._log._errors("read"):
            rows = self._log._db.execute(query, [*arguments, max_records]).fetchall()
        if not rows:
            return Batch.empty()
        good, dead, positions = sort_out(
            RawRecord(topic, 0, position, key, body) for position, topic, key, body in rows
        )
        self._log._bury(dead)
        for (topic, _), offset in positions.items():
            self._next[topic] = offset
        return Batch(good, positions)
