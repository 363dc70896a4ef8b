# SPDX-License-Identifier: AGPL-3.0-or-later
"""The event log on Apache Kafka, through kafka-python.

The producer is idempotent with `acks=all`: what it sends again after a broker's restart is stored once and in order.
Readers are members of a consumer group with range assignment, which gives one member the same partition numbers of all
topics, that is all events of a store. A broker that cannot be reached is waited for, said once, up to `timeout_s`.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    KafkaConfigurationError,
    KafkaError,
    KafkaTimeoutError,
    RebalanceInProgressError,
    TopicAlreadyExistsError,
    UnknownMemberIdError,
)
from kafka.structs import OffsetAndMetadata

from pipeline.errors import EventLogError
from pipeline.eventlog.codec import CONTENT_TYPE, DeadLetter, cloudevent_headers, encode
from pipeline.eventlog.kafka_outages import ATTEMPT_S, Patience, line_of, names_of
from pipeline.eventlog.log import Assigned, Batch, Positions, RawRecord, sort_out
from pipeline.messages import DEAD_LETTER_TOPIC, TOPIC_OF, Event

logger = logging.getLogger(__name__)

_DAY_MS = 24 * 3600 * 1000
_KEEP_MS = {"walkout.receipts": -1, DEAD_LETTER_TOPIC: 90 * _DAY_MS}
_KEEP_OTHERS_MS = 30 * _DAY_MS
_COMPRESSION = {"walkout.receipts": "gzip"}
"""Receipts are long, alike, and kept for ever. A shop's events are sent a few at a time: there it would save little."""
_RECONNECT_MAX_MS = 1000
_METADATA_MS = 10_000
"""Who joined a group before they had heard of the topics' partitions is given none; they look again so soon."""
_IDLE_POLL_S = 0.05


class KafkaLog:
    """Topics of a Kafka cluster as an event log. Waits for the broker and makes the topics that are missing."""

    def __init__(
        self,
        servers: Sequence[str],
        *,
        timeout_s: float = 60.0,
        partitions: int = 1,
        replication: int = -1,
        session_timeout_s: float = 10.0,
        instance: str | None = None,
    ) -> None:
        if logging.getLogger("kafka").level == logging.NOTSET:  # it reports every failed attempt; we report the outage
            logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self.servers = list(servers)
        self.timeout_s, self.session_timeout_s, self.instance = timeout_s, session_timeout_s, instance
        self._common = {"bootstrap_servers": self.servers, "reconnect_backoff_max_ms": _RECONNECT_MAX_MS}
        patience = Patience(self.servers, timeout_s)
        while True:
            try:
                patience.probe()
                self._make_topics(partitions, replication)
                self._producers = {None: self._new_producer(None)}
                break
            except KafkaConfigurationError:
                raise
            except (KafkaError, OSError) as error:
                patience.failed(error)
        patience.over()

    def append(self, events: Sequence[Event]) -> None:
        self.begin_append(events)()

    def begin_append(self, events: Sequence[Event]) -> Callable[[], None]:
        return self._send([(TOPIC_OF[e.type], e.store_id, encode(e), cloudevent_headers(e)) for e in events])

    def read(self, group: str, topics: Sequence[str], assigned: Assigned | None = None) -> KafkaReader:
        return KafkaReader(self, group, topics, assigned)

    def ends(self, topics: Sequence[str]) -> Positions:
        patience = Patience(self.servers, self.timeout_s)
        while True:
            try:
                consumer = KafkaConsumer(**self._common, bootstrap_timeout_ms=int(ATTEMPT_S * 1000))
                try:
                    places = [TopicPartition(t, p) for t in topics for p in consumer.partitions_for_topic(t) or ()]
                    ends = consumer.end_offsets(places, timeout_ms=int(ATTEMPT_S * 1000))
                finally:
                    consumer.close(autocommit=False, timeout_ms=1000)
                return {(place.topic, place.partition): offset for place, offset in ends.items()}
            except KafkaError as error:
                patience.failed(error)

    def close(self) -> None:
        for producer in self._producers.values():
            producer.close(timeout=ATTEMPT_S)

    def _new_producer(self, compression: str | None) -> KafkaProducer:
        return KafkaProducer(
            **self._common,
            acks="all",
            enable_idempotence=True,
            compression_type=compression,
            linger_ms=5,
            delivery_timeout_ms=int(self.timeout_s * 1000),
            request_timeout_ms=min(30_000, int(self.timeout_s * 500)),
            max_block_ms=int(self.timeout_s * 1000),
            bootstrap_timeout_ms=int(self.timeout_s * 1000),
        )

    def _producer_of(self, topic: str) -> KafkaProducer:
        compression = _COMPRESSION.get(topic)
        if compression not in self._producers:
            self._producers[compression] = self._new_producer(compression)
        return self._producers[compression]

    def _send(self, messages: Sequence[tuple[str, str, bytes, list[tuple[str, bytes]]]]) -> Callable[[], None]:
        """Hand over all; the result waits until the broker has all. Kafka-python sends them again meanwhile."""
        with self._errors():
            futures = [
                self._producer_of(topic).send(topic, key=key.encode(), value=body, headers=headers)
                for topic, key, body, headers in messages
            ]

        def wait() -> None:
            patience = Patience(self.servers, self.timeout_s)
            with self._errors():
                for future in futures:
                    while not future.is_done:
                        try:
                            future.get(timeout=ATTEMPT_S)
                        except KafkaTimeoutError as error:
                            if not future.is_done:
                                patience.failed(error)
                    future.get()
            patience.over()

        return wait

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except KafkaError as error:
            raise EventLogError(f"Kafka at {names_of(self.servers)} did not take an event: {line_of(error)}") from error

    def _bury(self, letters: Sequence[DeadLetter]) -> None:
        headers = [("content-type", CONTENT_TYPE)]
        self._send([(DEAD_LETTER_TOPIC, d.topic, d.model_dump_json().encode(), headers) for d in letters])()

    def _make_topics(self, partitions: int, replication: int) -> None:
        admin = KafkaAdminClient(**self._common, bootstrap_timeout_ms=int(self.timeout_s * 1000))
        try:
            known = set(admin.list_topics())
            wanted = {
                topic: {
                    "num_partitions": partitions,
                    "replication_factor": replication,
                    "configs": {"retention.ms": str(_KEEP_MS.get(topic, _KEEP_OTHERS_MS))},
                }
                for topic in sorted({*TOPIC_OF.values(), DEAD_LETTER_TOPIC} - known)
            }
            if wanted:
                try:
                    admin.create_topics(wanted, wait_for_metadata=True)
                except TopicAlreadyExistsError:  # another process was quicker
                    admin.wait_for_topics(list(wanted))
        finally:
            admin.close()


class KafkaReader:
    """One member of a consumer group; `assigned` is asked in `poll` whenever partitions have been given to it."""

    shared = True

    def __init__(self, log: KafkaLog, group: str, topics: Sequence[str], assigned: Assigned | None) -> None:
        self._log, self._assigned = log, assigned
        self._patience = Patience(log.servers, log.timeout_s)
        self._heard = time.monotonic()
        self._consumer = KafkaConsumer(
            **log._common,
            group_id=group,
            group_instance_id=log.instance,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[RangePartitionAssignor],
            session_timeout_ms=int(log.session_timeout_s * 1000),
            heartbeat_interval_ms=int(log.session_timeout_s * 200),
            bootstrap_timeout_ms=int(log.timeout_s * 1000),
            metadata_max_age_ms=_METADATA_MS,
        )
        self._idle = False
        for topic in topics:  # whoever leads the group shares out the partitions that it has heard of
            with suppress(KafkaError):
                self._consumer.partitions_for_topic(topic)
        self._given = _Given(self._consumer)
        self._consumer.subscribe(list(topics), listener=self._given if assigned is not None else None)

    @property
    def reachable(self) -> bool:
        return not self._patience.tried

    def poll(self, timeout_s: float = 1.0, max_records: int = 500) -> Batch:
        # Without partitions kafka-python does not wait in `poll` but turns round and round.
        wait_s = min(timeout_s, _IDLE_POLL_S) if self._idle else timeout_s
        try:
            polled = self._consumer.poll(timeout_ms=int(wait_s * 1000), max_records=max_records)
        except KafkaError as error:
            if not getattr(error, "retriable", False):
                raise EventLogError(f"Kafka at {names_of(self._log.servers)}: cannot read: {line_of(error)}") from error
            polled = {}
        self._finish_rejoin()
        if self._given.places is not None:
            self._take_over()
            return Batch.empty()
        if not polled:
            time.sleep(timeout_s - wait_s)
            self._check()
            return Batch.empty()
        self._heard = time.monotonic()
        self._patience.over()
        good, dead, positions = sort_out(
            RawRecord(r.topic, r.partition, r.offset, r.key, r.value if r.value is not None else b"")
            for records in polled.values()
            for r in records
        )
        self._log._bury(dead)
        return Batch(good, positions)

    def commit(self, positions: Positions) -> None:
        offsets = {TopicPartition(t, p): OffsetAndMetadata(offset, "", -1) for (t, p), offset in positions.items()}
        patience = Patience(self._log.servers, self._log.timeout_s)
        while offsets:
            try:
                self._consumer.commit(offsets, timeout_ms=int(ATTEMPT_S * 1000))
                return
            except (CommitFailedError, RebalanceInProgressError, IllegalGenerationError, UnknownMemberIdError):
                return  # the partitions may go to another member, who reads these records again: at least once
            except KafkaError as error:
                patience.failed(error)

    def ends_seen(self) -> Positions:
        ends: dict[tuple[str, int], int] = {}
        for place in self._consumer.assignment():
            with suppress(KafkaError, KeyError):  # a place that has just gone
                if (end := self._consumer.highwater(place)) is not None:
                    ends[place.topic, place.partition] = end
        return ends

    def close(self) -> None:
        self._consumer.close(autocommit=False, timeout_ms=int(ATTEMPT_S * 1000))

    def _finish_rejoin(self) -> None:
        """See to it that joining again, once begun, is ended.

        kafka-python 3.0 begins when the topics' partitions are not those of its last assignment, as after a broker's
        restart. If they are the same again before the answer has come, it forgets that it has begun: all its
        partitions stay as if on their way to another member, it reads none of them, and its heartbeats have stopped.
        """
        coordinator = self._consumer._coordinator
        if coordinator is not None and coordinator.rejoining:
            coordinator.request_rejoin()

    def _take_over(self) -> None:
        """Outside of the client's callback: there an exception would be swallowed and waiting would stop heartbeats."""
        places, self._given.places = self._given.places, None
        self._idle = not places
        try:
            start = self._assigned(frozenset((p.topic, p.partition) for p in places))
        except BaseException:
            self._given.places = places
            raise
        for place in places & self._consumer.assignment():
            with suppress(ValueError, KeyError):  # gone again meanwhile: another assignment is on its way
                if (place.topic, place.partition) in start:
                    self._consumer.seek(place, start[place.topic, place.partition])
                self._consumer.resume(place)

    def _check(self) -> None:
        """Nothing came for a while: is there nothing, or nobody?"""
        if time.monotonic() - self._heard < ATTEMPT_S:
            return
        try:
            self._patience.probe()
        except OSError as error:
            self._patience.failed(error)
        else:
            self._patience.over()
            self._heard = time.monotonic()


class _Given(ConsumerRebalanceListener):
    """Notes the partitions of an assignment and holds them back until it is known where to read."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self.places: frozenset[TopicPartition] | None = None

    def on_partitions_revoked(self, revoked) -> None:
        pass

    def on_partitions_assigned(self, assigned) -> None:
        self._consumer.pause(*assigned)
        self.places = frozenset(assigned)
