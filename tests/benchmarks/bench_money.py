# SPDX-License-Identifier: AGPL-3.0-or-later
"""How fast the money path is, each part against real Kafka and real PostgreSQL on this machine.

::

    python tests/benchmarks/bench_money.py throughput     # events a second, against a bare kafka-python poll loop
    python tests/benchmarks/bench_money.py latency        # exit to receipt with 200 concurrent visits; 4 min 20 s
    python tests/benchmarks/bench_money.py latency --embedded
    python tests/benchmarks/bench_money.py chain          # 1,000 stores, 12 partitions, 10 minutes of store time
    python tests/benchmarks/bench_money.py chain --speed 5 --picture lag.png

`throughput` fills topics first, then reads all of them: by a loop that calls `KafkaConsumer.poll(max_records)` and
counts what it gets (no JSON, no database: what kafka-python itself costs), by one aggregator into PostgreSQL, by two
aggregators (two processes) into PostgreSQL, and by one aggregator from the embedded log into SQLite. An aggregator's
time runs from its first step, after imports, to its last receipt being in the log. Python's cycle collector is set as
in the services (`collect_rarely`), for the bare loop too.

`latency` and `chain` play visits in time (`money_stream.py`) and say how they are doing every 10 seconds. The first
receipt comes after a minute: that is how long a visit is.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from kafka import KafkaConsumer, TopicPartition  # noqa: E402

from pipeline.cart.aggregator import TOPICS, Aggregator  # noqa: E402
from pipeline.eventlog import open_log  # noqa: E402
from pipeline.messages import Event  # noqa: E402
from pipeline.observe.service import collect_rarely  # noqa: E402
from pipeline.state import Database  # noqa: E402
from tests import servers  # noqa: E402
from tests.benchmarks.money_load import VISIT_S, S, catalogue, make_visits  # noqa: E402
from tests.benchmarks.money_stream import chain, count_receipts, latency  # noqa: E402

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
    collect_rarely()
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
    collect_rarely()
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("throughput")
    one.add_argument("--visits", type=int, default=5000)
    one.add_argument("--batches", type=int, nargs="+", default=list(BATCHES), help="records in one transaction")
    two = commands.add_parser("latency")
    two.add_argument("--visits", type=int, default=600)
    two.add_argument("--concurrent", type=int, default=200)
    two.add_argument("--embedded", action="store_true", help="the embedded log and SQLite instead")
    three = commands.add_parser("chain")
    three.add_argument("--stores", type=int, default=1000)
    three.add_argument("--minutes", type=float, default=10)
    three.add_argument("--speed", type=float, default=1.0, help="store time against real time")
    three.add_argument("--members", type=int, default=1)
    three.add_argument("--picture", type=Path, help="draw the lag over time into this PNG")
    arguments = parser.parse_args()
    if problem := servers.missing():
        print(f"bench_money: {problem}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave no broker and no database behind
    with tempfile.TemporaryDirectory(prefix="walkout-bench-") as folder:
        if arguments.command == "throughput":
            figures = throughput(Path(folder), arguments.visits, arguments.batches)
        elif arguments.command == "latency" and arguments.embedded:
            figures = latency(
                f"sqlite:///{folder}/log.sqlite", f"sqlite:///{folder}/state.sqlite", arguments.visits,
                arguments.concurrent,
            )  # fmt: skip
        else:
            with machines(Path(folder), 12) as (log_url, new_state):
                if arguments.command == "latency":
                    figures = latency(log_url, new_state("latency"), arguments.visits, arguments.concurrent)
                else:
                    figures = chain(
                        log_url, new_state("chain"), arguments.stores, arguments.minutes, arguments.speed,
                        arguments.members, arguments.picture,
                    )  # fmt: skip
    print(json.dumps(figures, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
