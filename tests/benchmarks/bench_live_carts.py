# SPDX-License-Identifier: AGPL-3.0-or-later
"""Live carts of many shoppers at once: `PYTHONPATH=. python tests/benchmarks/bench_live_carts.py --shoppers 200`.

`walkout web serve` in a process of its own, one stream of server-sent events a shopper, and picks that are appended to
the embedded log as a shop does. Latency is from before the append (which is synced to the disk) until the shopper's
stream has the change; memory is what the server has in RAM.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pipeline.accounts import Accounts
from pipeline.eventlog import open_log
from pipeline.messages import Candidate, ShelfEvent, TrackBound, VisitOpened
from pipeline.state import Database
from tests.scripted_shop import BREAD, COLA
from tests.web_site import make_run

S = 1_000_000_000
STORE = "tiny"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--shoppers", type=int, default=200)
    arguments.add_argument("--seconds", type=float, default=20.0, help="how long they shop")
    arguments.add_argument("--every-s", type=float, default=5.0, help="a shopper takes something that often")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = make_run(Path(folder))
        tokens = make_shoppers(run, given.shoppers)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "pipeline.cli", "web", "serve", str(run), "--port", str(port)]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            asyncio.run(measure(server.pid, port, run, tokens, given))
        finally:
            server.terminate()
            server.wait(20)


def make_shoppers(run: Path, count: int) -> list[str]:
    """A signed-in session of each."""
    database = Database(f"sqlite:///{run / 'state.sqlite'}")
    accounts = Accounts(database)
    tokens = []
    for k in range(count):
        user = accounts.users.shopper(f"s{k}@example.org", f"s{k}")
        tokens.append(accounts.sessions.start(user.user_id, "command"))
    database.close()
    return tokens


async def measure(pid: int, port: int, run: Path, tokens: list[str], given: argparse.Namespace) -> None:
    await answers(port)
    await one(port, tokens[0])  # the first stream starts the tail
    before_mb = rss_mb(pid)
    open_visits(run, len(tokens))
    await asyncio.sleep(2)
    appended: dict[tuple[int, int], float] = {}
    latencies: list[float] = []
    ready = asyncio.Semaphore(0)
    since = time.perf_counter()
    streams = [
        asyncio.create_task(follow(k, port, token, appended, latencies, ready)) for k, token in enumerate(tokens)
    ]
    for _ in tokens:
        await ready.acquire()
    connected_s = time.perf_counter() - since
    cpu = cpu_s(pid)
    since = time.perf_counter()
    picks = await asyncio.to_thread(shop, run, len(tokens), given, appended)
    took = time.perf_counter() - since
    for _ in range(100):
        if len(latencies) >= picks:
            break
        await asyncio.sleep(0.1)
    busy = (cpu_s(pid) - cpu) / took
    for stream in streams:
        stream.cancel()
    found = sorted(latencies)
    at = lambda share: 1000 * found[min(len(found) - 1, int(share * len(found)))]  # noqa: E731
    after_mb = rss_mb(pid)
    print(f"{len(tokens)} shoppers connected in {connected_s:.1f} s; load of the machine {os.getloadavg()[0]:.1f}")
    print(f"{picks} picks in {took:.1f} s ({picks / took:.0f} a second), {len(found)} changes received")
    print(f"append to browser: p50 {at(0.5):.0f} ms, p95 {at(0.95):.0f} ms, most {1000 * found[-1]:.0f} ms, "
          f"mean {1000 * statistics.fmean(found):.0f} ms")  # fmt: skip
    each_kb = 1024 * (after_mb - before_mb) / len(tokens)
    print(f"server: {before_mb:.0f} MB before, {after_mb:.0f} MB with all of them ({each_kb:.0f} kB a shopper)")
    print(f"server: {100 * busy:.0f} % of one core while they shop")


def shop(run: Path, count: int, given: argparse.Namespace, appended: dict[tuple[int, int], float]) -> int:
    """Everybody takes something in turn; how many picks."""
    log = open_log(f"sqlite:///{run / 'log.sqlite'}")
    taken = [0] * count
    number, start = 0, time.perf_counter()
    gap = given.every_s / count
    while time.perf_counter() - start < given.seconds:
        k = number % count
        taken[k] += 1
        number += 1
        event = pick(k, number, COLA if number % 2 else BREAD)
        appended[k, taken[k]] = time.perf_counter()
        log.append([event])
        time.sleep(max(0.0, start + number * gap - time.perf_counter()))
    log.close()
    return number


async def follow(
    k: int, port: int, token: str, appended: dict, latencies: list[float], ready: asyncio.Semaphore
) -> None:
    run_reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(token))
    cart = False
    try:
        while line := await run_reader.readline():
            if line.startswith(b"data: "):
                heard = time.perf_counter()
                data = json.loads(line[6:])
                if not cart:
                    cart = True
                    assert data and data["visit_id"] == f"v{k}", data
                    ready.release()
                elif (k, data["seq"]) in appended:
                    latencies.append(heard - appended[k, data["seq"]])
    finally:
        writer.close()


def request(token: str) -> bytes:
    lines = ("GET /api/v1/shop/cart/events HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", "", "")
    return "\r\n".join(lines).encode()


async def answers(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
            return
        except OSError:
            await asyncio.sleep(0.1)
    raise SystemExit("the server did not come up within a minute")


async def one(port: int, token: str) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request(token))
    while not (await reader.readline()).startswith(b"data: "):
        pass
    writer.close()
    await asyncio.sleep(0.5)


def open_visits(run: Path, count: int) -> None:
    log, now = open_log(f"sqlite:///{run / 'log.sqlite'}"), time.time_ns()
    for k in range(count):
        base = {"store_id": STORE, "at_ns": now + k, "visit_id": f"v{k}"}
        log.append(
            [
                VisitOpened(**base, event_id=f"o{k}", gate_id="gate", shopper_id=f"s{k}"),
                TrackBound(**base, event_id=f"b{k}", track_id=f"t{k}"),
            ]
        )
    log.close()


def pick(k: int, number: int, gtin: str) -> ShelfEvent:
    now = time.time_ns()
    return ShelfEvent(
        event_id=f"e{number}", store_id=STORE, at_ns=now, kind="pick", kind_probability=0.97, gondola_id="g",
        persons=(Candidate(value=f"t{k}", probability=0.97),), products=(Candidate(value=gtin, probability=0.97),),
        quantities=(Candidate(value="1", probability=0.97),), slot_id="g-0", t0_ns=now - 1, t1_ns=now,
    )  # fmt: skip


def rss_mb(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    main()
