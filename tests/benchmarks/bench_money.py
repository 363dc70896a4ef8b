# SPDX-License-Identifier: AGPL-3.0-or-later
"""How fast the money path is, each part against real Kafka and real PostgreSQL on this machine.

::

    python tests/benchmarks/bench_money.py throughput     # events a second, against a bare kafka-python poll loop
    python tests/benchmarks/bench_money.py latency        # exit to receipt with 200 concurrent visits
    python tests/benchmarks/bench_money.py chain          # 1,000 stores, 12 partitions, 10 minutes of store time

`throughput` fills topics first, then reads all of them: by a loop that calls `KafkaConsumer.poll(max_records)` and
counts what it gets (no JSON, no database: what kafka-python itself costs), by one aggregator into PostgreSQL, by two
aggregators (two processes) into PostgreSQL, and by one aggregator from the embedded log into SQLite. An aggregator's
time runs from its first step, after imports, to its last receipt being in the log.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from kafka import KafkaConsumer, TopicPartition  # noqa: E402
from sqlalchemy import func, select  # noqa: E402

from pipeline.cart.aggregator import TOPICS, Aggregator  # noqa: E402
from pipeline.cart.tables import receipts  # noqa: E402
from pipeline.eventlog import open_log  # noqa: E402
from pipeline.messages import Event  # noqa: E402
from pipeline.state import Database  # noqa: E402
from tests import servers  # noqa: E402
from tests.benchmarks.money_load import T0_NS, VISIT_S, S, catalogue, make_visits  # noqa: E402

BATCHES = (500, 2000, 5000)


@contextmanager
def machines(folder: Path, partitions: int):
    """URL of a log with so many partitions, and a function that makes the URL of a new, migrated database."""
    with servers.running_kafka(folder / "kafka") as broker, servers.running_postgres() as postgres:
        open_log(f"kafka://{broker.address}?partitions={partitions}").close()

        def new_state(name: str) -> str:
            url = postgres.create(name)
            database = Database(url, migrated=False)
            database.migrate("head")
            database.close()
            return url

        yield f"kafka://{broker.address}", new_state


def in_order_of_time(visits: Sequence[Sequence[Event]], concurrent: int) -> list[Event]:
    """Visits one after the other with so many of them in the shop at a time."""
    gap_ns = int(VISIT_S / concurrent * S)
    timed = [(e.at_ns + n * gap_ns, n, e) for n, events in enumerate(visits) for e in events]
    return [event for _, _, event in sorted(timed, key=lambda t: t[:2])]


def count_receipts(state_url: str) -> int:
    database = Database(state_url)
    with database.transaction() as db:
        number = db.execute(select(func.count()).select_from(receipts)).scalar()
    database.close()
    return number


# --- throughput ---


def bare_loop(address: str, ends: dict, max_records: int) -> float:
    """Seconds for `poll` to hand over every record, from the first call."""
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    places = [TopicPartition(t, p) for t, p in ends]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    left, started = sum(ends.values()), time.perf_counter()
    while left > 0:
        for records in consumer.poll(1000, max_records=max_records).values():
            left -= len(records)
    taken_s = time.perf_counter() - started
    consumer.close()
    return taken_s


def aggregate(log_url: str, state_url: str, visits: int, max_records: int) -> float:
    """Seconds from the first step until all receipts are made and published."""
    log = open_log(log_url)
    aggregator = Aggregator(log, state_url, catalogue(), group=f"g-{state_url.rsplit('/', 1)[-1]}")
    started, last, _ = _work(aggregator, state_url, visits, max_records)
    aggregator.close()
    log.close()
    return last - started


def _work(aggregator: Aggregator, state_url: str, visits: int, max_records: int) -> tuple[float, float, int]:
    """When it started, when its last batch was done, and how many events it read."""
    started = last = time.perf_counter()
    read = 0
    while True:
        if new := aggregator.step(0.2, max_records):
            last = time.perf_counter()
            read += new
        elif time.perf_counter() - last > 1.0 and count_receipts(state_url) >= visits:
            return started, last, read


def two_members(log_url: str, state_url: str, visits: int, max_records: int) -> float:
    """Events a second of two processes, from when each has its half of the partitions."""
    context = multiprocessing.get_context("spawn")
    barrier, result = context.Barrier(2), context.Queue()
    given = (log_url, state_url, visits, max_records, barrier, result)
    members = [context.Process(target=_member, args=given) for _ in range(2)]
    for member in members:
        member.start()
    times = [result.get() for _ in members]
    for member in members:
        member.join()
    return sum(read for *_, read in times) / (max(t[1] for t in times) - min(t[0] for t in times))


def _member(log_url: str, state_url: str, visits: int, max_records: int, barrier, result) -> None:
    log = open_log(log_url)
    aggregator = Aggregator(log, state_url, catalogue(), group="two")
    while len(aggregator.member.assigned) != len(log.ends(TOPICS)) // 2:
        aggregator.step(0.2, 1)
    barrier.wait()
    result.put(_work(aggregator, state_url, visits, max_records))
    aggregator.close()
    log.close()


def throughput(folder: Path, visits: int, batches: Sequence[int]) -> dict:
    goods = catalogue()
    events = in_order_of_time(make_visits(visits, 48, 3, goods), 200)
    figures: dict = {"visits": visits, "events": len(events), "partitions": 12}
    with machines(folder, 12) as (log_url, new_state):
        log = open_log(log_url)
        for k in range(0, len(events), 5000):
            log.append(events[k : k + 5000])
        ends = {place: end for place, end in log.ends(TOPICS).items() if end}
        log.close()
        address = log_url.removeprefix("kafka://")
        bare_loop(address, ends, 500)  # the broker's page cache and the JVM are warm for all that follow
        for size in batches:
            bare_s = bare_loop(address, ends, size)
            one_s = aggregate(log_url, new_state(f"one_{size}"), visits, size)
            figures[f"max_records={size}"] = {
                "bare_loop_events_per_s": round(len(events) / bare_s),
                "one_aggregator_events_per_s": round(len(events) / one_s),
                "of_bare_loop": round(bare_s / one_s, 3),
            }
            print(json.dumps(figures), file=sys.stderr)
        size = max(batches, key=lambda s: figures[f"max_records={s}"]["one_aggregator_events_per_s"])
        both = two_members(log_url, new_state("two"), visits, size)
        bare = len(events) / bare_loop(address, ends, size)
        figures[f"two aggregators, max_records={size}"] = {
            "bare_loop_events_per_s": round(bare), "two_aggregators_events_per_s": round(both),
            "of_bare_loop": round(both / bare, 3),
        }  # fmt: skip
    embedded = f"sqlite:///{folder}/log.sqlite"
    log = open_log(embedded)
    log.append(events)
    log.close()
    for size in batches:
        taken_s = aggregate(embedded, f"sqlite:///{folder}/state-{size}.sqlite", visits, size)
        figures[f"embedded, max_records={size}"] = {"one_aggregator_events_per_s": round(len(events) / taken_s)}
    return figures


# --- latency and a chain ---


def play(
    log_url: str, visits: Sequence[list[Event]], starts_s: Sequence[float], speed: float = 1.0
) -> tuple[float, float]:
    """Append each visit's events when they happen, stamped with the wall clock; `speed` of store time to real time.

    Returns the seconds that it took and how far it fell behind at the worst.
    """
    timed = [
        (start_s + (event.at_ns - T0_NS) / S, event)
        for start_s, events in zip(starts_s, visits, strict=True)
        for event in events
    ]
    timed.sort(key=lambda t: t[0])
    log = open_log(log_url)
    started, worst_s, k = time.monotonic(), 0.0, 0
    while k < len(timed):
        now_s = (time.monotonic() - started) * speed
        due = k
        while due < len(timed) and due - k < 2000 and timed[due][0] <= now_s:
            due += 1
        if due == k:
            time.sleep(min(0.01, (timed[k][0] - now_s) / speed))
            continue
        worst_s = max(worst_s, (now_s - timed[k][0]) / speed)
        stamp = time.time_ns()
        log.append([event.model_copy(update={"at_ns": stamp}) for _, event in timed[k:due]])
        k = due
    log.close()
    return time.monotonic() - started, worst_s


class ReceiptClock(threading.Thread):
    """Reads receipts from the log as a payment desk would, and notes how long after its exit each one is there."""

    def __init__(self, log_url: str, wanted: int, timeout_s: float) -> None:
        super().__init__()
        self._log_url, self._wanted, self._timeout_s = log_url, wanted, timeout_s
        self.seconds: list[float] = []

    def run(self) -> None:
        log = open_log(self._log_url)
        reader = log.read("receipt-clock", ["walkout.receipts"])
        deadline = time.monotonic() + self._timeout_s
        while len(self.seconds) < self._wanted and time.monotonic() < deadline:
            records = reader.poll(0.5, 2000).records
            now_ns = time.time_ns()
            self.seconds += [(now_ns - r.event.left_at_ns) / 1e9 for r in records]
        reader.close()
        log.close()


def serving(log_url: str, state_url: str, stop, lags=None) -> None:
    """One member until `stop`; its lag once a second into `lags`."""
    log = open_log(log_url)
    aggregator = Aggregator(log, state_url, catalogue())
    said = time.monotonic()
    while not stop.is_set():
        aggregator.step(0.2, 2000)
        if lags is not None and time.monotonic() - said >= 1:
            said = time.monotonic()
            lags.put((round(time.time(), 1), sum(aggregator.member.lag().values())))
    aggregator.close()
    log.close()


def latency(folder: Path, visits: int, concurrent: int) -> dict:
    """Visits of `VISIT_S` each, so many of them in the shop at a time, one aggregator; store time is real time."""
    goods = catalogue()
    made = make_visits(visits, 48, 4, goods)
    starts_s = [n * VISIT_S / concurrent for n in range(visits)]
    with machines(folder, 12) as (log_url, new_state):
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        member = context.Process(target=serving, args=(log_url, new_state("latency"), stop))
        clock = ReceiptClock(log_url, visits, starts_s[-1] + VISIT_S + 60)
        member.start()
        clock.start()
        time.sleep(5)
        took_s, behind_s = play(log_url, made, starts_s)
        clock.join()
        stop.set()
        member.join()
    return {
        "visits": visits, "concurrent": concurrent, "seconds": round(took_s),
        "producer_behind_at_worst_s": round(behind_s, 2),
        "receipts": len(clock.seconds), **_quantiles("exit_to_receipt", clock.seconds),
    }  # fmt: skip


def chain(folder: Path, stores: int, minutes: float, speed: float, members: int) -> dict:
    """`stores` stores with a visit a minute each for `minutes` of store time at `speed` times real time."""
    goods = catalogue()
    number = int(stores * minutes)
    made = make_visits(number, stores, 5, goods, picks=(1, 4))
    length_s = minutes * 60
    starts_s = [n * (length_s - VISIT_S) / number for n in range(number)]
    with machines(folder, 12) as (log_url, new_state):
        context = multiprocessing.get_context("spawn")
        stop, lags = context.Event(), context.Queue()
        state_url = new_state("chain")
        running = [context.Process(target=serving, args=(log_url, state_url, stop, lags)) for _ in range(members)]
        clock = ReceiptClock(log_url, number, length_s / speed + 300)
        for member in running:
            member.start()
        clock.start()
        time.sleep(5)
        took_s, behind_s = play(log_url, made, starts_s, speed)
        ended = time.monotonic()
        clock.join()
        drained_s = time.monotonic() - ended
        seen = []
        while not lags.empty():
            seen.append(lags.get()[1])
        stop.set()
        for member in running:
            member.join()
    events = sum(map(len, made))
    return {
        "stores": stores, "partitions": 12, "members": members, "store_minutes": minutes, "speed": speed,
        "visits": number, "events": events, "events_per_s": round(events / took_s), "seconds": round(took_s),
        "producer_behind_at_worst_s": round(behind_s, 2), "receipts": len(clock.seconds),
        "lag_records_p50": _quantile(seen, 0.5), "lag_records_p95": _quantile(seen, 0.95),
        "lag_records_max": max(seen, default=0),
        "drained_after_s": round(drained_s, 1), **_quantiles("exit_to_receipt", clock.seconds),
    }  # fmt: skip


def _quantiles(name: str, seconds: Sequence[float]) -> dict:
    return {f"{name}_{q}_s": round(_quantile(seconds, p), 3) for q, p in (("p50", 0.5), ("p95", 0.95), ("max", 1.0))}


def _quantile(values: Sequence[float], p: float) -> float:
    return sorted(values)[min(int(p * len(values)), len(values) - 1)] if values else float("nan")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("throughput")
    one.add_argument("--visits", type=int, default=5000)
    one.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help="records in one transaction")
    two = commands.add_parser("latency")
    two.add_argument("--visits", type=int, default=600)
    two.add_argument("--concurrent", type=int, default=200)
    three = commands.add_parser("chain")
    three.add_argument("--stores", type=int, default=1000)
    three.add_argument("--minutes", type=float, default=10)
    three.add_argument("--speed", type=float, default=1.0, help="store time against real time")
    three.add_argument("--members", type=int, default=1)
    arguments = parser.parse_args()
    if problem := servers.missing():
        print(f"bench_money: {problem}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave no broker and no database behind
    with tempfile.TemporaryDirectory(prefix="walkout-bench-") as folder:
        if arguments.command == "throughput":
            figures = throughput(Path(folder), arguments.visits, arguments.batches)
        elif arguments.command == "latency":
            figures = latency(Path(folder), arguments.visits, arguments.concurrent)
        else:
            figures = chain(Path(folder), arguments.stores, arguments.minutes, arguments.speed, arguments.members)
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
