# SPDX-License-Identifier: AGPL-3.0-or-later
"""Visits played in time against aggregators of their own: how long after an exit its receipt is there, and how far the
aggregators are behind."""

from __future__ import annotations

import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import func, select

from pipeline.cart.aggregator import TOPICS, Aggregator
from pipeline.cart.tables import receipts
from pipeline.eventlog import open_log
from pipeline.messages import Event
from pipeline.observe.service import collect_rarely
from pipeline.state import Database
from pipeline.state.positions import positions
from tests.benchmarks.money_load import T0_NS, VISIT_S, S, catalogue, make_visits

GROUP = "walkout-cart"
NewState = Callable[[str], str]
"""Name -> URL of a new database with its tables."""


@dataclass(frozen=True)
class Streamed:
    """What a run showed. `behind_s`: how late the producer itself was at the worst; a figure of the machine.
    `lag`: (seconds since the start, records sent and not dealt with), once a second. `exit_to_receipt_s`: one a visit,
    read back from the log as a payment desk would. `drained_s`: from the last event to the last receipt."""

    events: int
    took_s: float
    behind_s: float
    drained_s: float
    exit_to_receipt_s: list[float]
    lag: list[tuple[float, int]]


def latency(log_url: str, state_url: str, visits: int, concurrent: int) -> dict:
    """Visits of `VISIT_S` each, so many of them in the shop at a time, one aggregator; store time is real time."""
    made = make_visits(visits, 48, 4, catalogue())
    starts_s = [n * VISIT_S / concurrent for n in range(visits)]
    seen = stream(log_url, state_url, made, starts_s)
    return {
        "visits": visits, "concurrent": concurrent, "events": seen.events, "seconds": round(seen.took_s),
        "producer_behind_at_worst_s": round(seen.behind_s, 2), "receipts": len(seen.exit_to_receipt_s),
        **_quantiles("exit_to_receipt", seen.exit_to_receipt_s),
    }  # fmt: skip


def chain(
    log_url: str, state_url: str, stores: int, minutes: float, speed: float, members: int, picture: Path | None
) -> dict:
    """`stores` stores with a visit a minute each for `minutes` of store time at `speed` times real time."""
    number, length_s = int(stores * minutes), minutes * 60
    made = make_visits(number, stores, 5, catalogue(), picks=(1, 4))
    starts_s = [n * (length_s - VISIT_S) / number for n in range(number)]
    seen = stream(log_url, state_url, made, starts_s, speed, members)
    behind = [records for _, records in seen.lag]
    if picture is not None:
        draw_lag(
            seen.lag, f"{stores} stores, {members} aggregator(s), {seen.events / seen.took_s:.0f} events/s", picture
        )
    return {
        "stores": stores, "partitions": 12, "members": members, "store_minutes": minutes, "speed": speed,
        "visits": number, "events": seen.events, "events_per_s": round(seen.events / seen.took_s),
        "seconds": round(seen.took_s), "producer_behind_at_worst_s": round(seen.behind_s, 2),
        "receipts": len(seen.exit_to_receipt_s), "lag_records_p50": _quantile(behind, 0.5),
        "lag_records_p95": _quantile(behind, 0.95), "lag_records_max": max(behind, default=0),
        "lag_records_at_the_end": behind[-1] if behind else None, "drained_after_s": round(seen.drained_s, 1),
        "lag_every_30_s": [records for n, (_, records) in enumerate(seen.lag) if n % 30 == 29],
        **_quantiles("exit_to_receipt", seen.exit_to_receipt_s),
    }  # fmt: skip


def stream(
    log_url: str, state_url: str, visits: Sequence[list[Event]], starts_s: Sequence[float], speed: float = 1.0,
    members: int = 1,
) -> Streamed:  # fmt: skip
    """Play visits that begin at `starts_s` of store time; ends when all receipts are there, or a minute after it."""
    with _members(log_url, state_url, members) as running, _watching(log_url, state_url) as watch:
        took_s, behind_s = _play(log_url, visits, starts_s, speed, watch, running)
        ended = time.monotonic()
        while len(watch.seconds) < len(visits) and time.monotonic() < ended + 60 and all(m.is_alive() for m in running):
            time.sleep(0.1)
        return Streamed(
            sum(map(len, visits)), took_s, behind_s, time.monotonic() - ended, list(watch.seconds), list(watch.lag)
        )


def _play(log_url, visits, starts_s, speed, watch: _Watch, running) -> tuple[float, float]:
    """Append each event when it happens, stamped with the wall clock; how long that took and how late it was."""
    timed = [
        (start_s + (event.at_ns - T0_NS) / S, event)
        for start_s, events in zip(starts_s, visits, strict=True)
        for event in events
    ]
    timed.sort(key=lambda t: t[0])
    log = open_log(log_url)
    started, worst_s, k, said_s = time.monotonic(), 0.0, 0, 0.0
    while k < len(timed):
        now_s = (time.monotonic() - started) * speed
        due = k
        while due < len(timed) and due - k < 2000 and timed[due][0] <= now_s:
            due += 1
        if due == k:
            time.sleep(min(0.01, (timed[k][0] - now_s) / speed))
        else:
            worst_s = max(worst_s, (now_s - timed[k][0]) / speed)
            stamp = time.time_ns()
            log.append([event.model_copy(update={"at_ns": stamp}) for _, event in timed[k:due]])
            k = due
            watch.sent = k
        if now_s / speed - said_s >= 10:
            said_s = now_s / speed
            lag = watch.lag[-1][1] if watch.lag else "?"
            print(
                f"{said_s:5.0f} s: {k} of {len(timed)} events sent, {len(watch.seconds)} of {len(visits)} receipts, "
                f"lag {lag}", file=sys.stderr, flush=True,
            )  # fmt: skip
            if not all(member.is_alive() for member in running):
                raise SystemExit("an aggregator has ended by itself")
    log.close()
    return time.monotonic() - started, worst_s


@contextmanager
def _members(log_url: str, state_url: str, number: int):
    """Aggregators as processes, working when this is entered; ended with it, whatever happens."""
    context = multiprocessing.get_context("spawn")
    stop, ready = context.Event(), context.Semaphore(0)
    running = [
        context.Process(target=_aggregate, args=(log_url, state_url, stop, ready, number), daemon=True)
        for _ in range(number)
    ]
    for member in running:
        member.start()
    try:
        for _ in running:
            if not ready.acquire(timeout=120):
                raise SystemExit("no aggregator has got partitions within two minutes")
        yield running
    finally:
        stop.set()
        for member in running:
            member.join(30)


def _aggregate(log_url: str, state_url: str, stop, ready, number: int) -> None:
    """One member until `stop`; says `ready` when it has its share of the partitions."""
    collect_rarely()
    log = open_log(log_url)
    aggregator = Aggregator(log, state_url, catalogue(), group=GROUP)
    share, said = len(log.ends(TOPICS)) // number, False
    while not stop.is_set():
        aggregator.step(0.2, 2000)
        if not said and len(aggregator.member.assigned) == share:
            said = True
            ready.release()
    aggregator.close()
    log.close()


@dataclass
class _Watch:
    """Filled by two threads, which end with the run: a broker that is gone is not waited for."""

    log_url: str
    state_url: str
    sent: int = 0
    seconds: list[float] = field(default_factory=list)
    lag: list[tuple[float, int]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def receipts(self) -> None:
        """Reads the log as a payment desk would, and notes how long after its exit each receipt is there."""
        log = open_log(self.log_url)
        reader = log.read("receipt-clock", ["walkout.receipts"])
        while not self.stop.is_set():
            found = reader.poll(0.5, 2000).records
            now_ns = time.time_ns()
            self.seconds += [(now_ns - r.event.left_at_ns) / 1e9 for r in found]
        reader.close()
        log.close()

    def behind(self) -> None:
        """What has been sent and is in no committed transaction yet. From the log's ends and the state's positions, not
        from what the members believe."""
        database, started = Database(self.state_url), time.monotonic()
        ends = _Ends(self.log_url)
        while not self.stop.wait(1.0):
            end = ends.total()
            with database.transaction() as db:
                done = db.execute(
                    select(func.sum(positions.c.next_offset)).where(positions.c.consumer_group == GROUP)
                ).scalar()
            self.lag.append((round(time.monotonic() - started, 1), max(end - int(done or 0), 0)))
        ends.close()
        database.close()


class _Ends:
    """Where the log ends, summed over all places; one consumer for all askings."""

    def __init__(self, log_url: str) -> None:
        self._log = open_log(log_url)
        self._consumer = None
        if log_url.startswith("kafka://"):
            address = log_url.removeprefix("kafka://").partition("?")[0]
            self._consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
            self._places = [TopicPartition(*place) for place in self._log.ends(TOPICS)]

    def total(self) -> int:
        if self._consumer is None:
            return sum(self._log.ends(TOPICS).values())
        return sum(self._consumer.end_offsets(self._places).values())

    def close(self) -> None:
        if self._consumer is not None:
            self._consumer.close()
        self._log.close()


@contextmanager
def _watching(log_url: str, state_url: str):
    watch = _Watch(log_url, state_url)
    what = [watch.receipts, *([watch.behind] if log_url.startswith("kafka://") else [])]
    threads = [threading.Thread(target=target, daemon=True) for target in what]
    for thread in threads:
        thread.start()
    try:
        yield watch
    finally:
        watch.stop.set()
        for thread in threads:
            thread.join(10)


def draw_lag(lag: Sequence[tuple[float, int]], title: str, path: Path) -> None:
    """Records not dealt with over time, as a PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 2.6), dpi=120, layout="constrained")
    axes.plot([second for second, _ in lag], [records for _, records in lag], linewidth=1)
    axes.set(xlabel="seconds since the start", ylabel="records behind", title=title, ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)
    pyplot.close(figure)


def count_receipts(state_url: str) -> int:
    database = Database(state_url)
    with database.transaction() as db:
        number = db.execute(select(func.count()).select_from(receipts)).scalar()
    database.close()
    return number


def _quantiles(name: str, seconds: Sequence[float]) -> dict:
    return {f"{name}_{q}_s": round(_quantile(seconds, p), 3) for q, p in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))}


def _quantile(values: Sequence[float], p: float) -> float:
    return sorted(values)[min(int(p * len(values)), len(values) - 1)] if values else float("nan")
