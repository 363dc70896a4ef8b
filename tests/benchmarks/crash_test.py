# SPDX-License-Identifier: AGPL-3.0-or-later
"""Kills aggregators while visits stream through real Kafka into real PostgreSQL; compares every receipt and payment.

::

    python tests/benchmarks/crash_test.py --kills 200 --visits 2000 --restarts 5
    python tests/benchmarks/crash_test.py --kills 0 --desk-kills 0 --pauses 0 --restarts 0     # two, three, two members

Members of one consumer group (`walkout cart serve` as processes: two, in the middle third three, then two again) are
killed with SIGKILL at random moments, some stay away until others have their partitions, some are stopped (SIGSTOP)
until they have been replaced and then go on as zombies; the broker is killed or shut down and started again. Two
payment desks (`walkout pay serve`) read the receipts; they are killed too, on top of the aggregators. The provider they
call (`walkout pay provider`) lives through it, as a bank would. The stream has 5 % duplicates, 5 % of events up to 2 s
late and 1 % garbage. Afterwards:

* receipts in the database are, byte for byte, those of an undisturbed aggregator on the same log with a database of its
  own, and those that the fold gives for each visit's own events without any log;
* receipts in the log are the same, a repeated one with the same id and bytes;
* payments, each with the calls made for it, are those of an undisturbed desk with a provider of its own, and so is
  what the two providers have: one capture a receipt, no hold left over;
* the dead letter holds every record of garbage and nothing else.

Exit code 1 and the differences when one of them is not so.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from kafka import KafkaProducer  # noqa: E402
from rich.progress import Progress  # noqa: E402
from sqlalchemy import func, select  # noqa: E402

from pipeline.cart.tables import receipts  # noqa: E402
from pipeline.eventlog import open_log  # noqa: E402
from pipeline.payment.tables import payments  # noqa: E402
from pipeline.state import Database  # noqa: E402
from tests import servers  # noqa: E402
from tests.benchmarks.crash_compare import (  # noqa: E402
    Outcome,
    compare_log,
    compare_payments,
    compare_receipts,
    get,
    stored_receipts,
)
from tests.benchmarks.crash_members import Members  # noqa: E402
from tests.benchmarks.money_load import (  # noqa: E402
    Disturbances,
    Sending,
    catalogue,
    make_visits,
    schedule,
    write_catalogue,
)


@dataclass
class Plan:
    kills: int = 200
    visits: int = 2000
    restarts: int = 5
    pauses: int = 10
    desk_kills: int = 40
    stores: int = 40
    partitions: int = 6
    seconds: float = 420.0
    seed: int = 7
    session_s: float = 3.0
    """The group waits so long for a member that is not heard of; longer on a busy machine."""
    absences: float = 0.15
    """Share of the killed that stay away for longer than the group waits for them."""


def send(address: str, sendings: list[Sending], duration_s: float, progress: Progress, counted: Counter) -> None:
    """Send everything at its time; what the broker does not take now it takes later, in order."""
    producer = KafkaProducer(
        bootstrap_servers=address, acks="all", enable_idempotence=True, linger_ms=5, delivery_timeout_ms=300_000,
        max_block_ms=300_000, reconnect_backoff_max_ms=1000,
    )  # fmt: skip
    bar = progress.add_task("events", total=len(sendings))
    started, futures = time.monotonic(), []
    for sending in sendings:
        wait_s = sending.at_s - (time.monotonic() - started)
        if wait_s > 0:
            time.sleep(wait_s)
        futures.append(
            (sending, producer.send(sending.topic, key=sending.key, value=sending.body, headers=sending.headers))
        )
        counted["sent"] += 1
        progress.advance(bar)
    for sending, future in futures:
        told = future.get(300)
        if sending.garbage:
            counted[f"{told.topic}/{told.partition}/{told.offset}"] = -1
    producer.close()
    counted["done"] = 1


def assassinate(plan: Plan, members: Members, broker, progress: Progress, figures: Counter, sent: Counter) -> None:
    """All kills, pauses and restarts, spread over the stream; the third member comes and goes by thirds of them."""
    rng = random.Random(plan.seed + 1)
    acts = ["cart"] * plan.kills + ["pause"] * plan.pauses + ["pay"] * plan.desk_kills
    rng.shuffle(acts)
    for n in range(plan.restarts):
        acts.insert((n + 1) * len(acts) // (plan.restarts + 1), "broker")
    acts = acts or ["nothing"] * 12  # members come and go all the same
    bar = progress.add_task("kills", total=plan.kills)
    absent: dict[str, float] = {}
    gap_s = plan.seconds / len(acts)
    names = ["cart-0", "cart-1", "pay-0", "pay-1"]
    started = time.monotonic()
    for n, act in enumerate(acts):
        time.sleep(max(0.0, started + gap_s * (n + rng.random()) - time.monotonic()))
        if n == len(acts) // 3:
            names.append("cart-2")
            members.start("cart-2")
        elif n == 2 * len(acts) // 3:
            names.remove("cart-2")
            figures[f"exit_code_{members.end('cart-2')}"] += 1
        for name in names:
            if name in members.died():
                figures["ended_by_themselves"] += 1
                members.end(name)
            if name not in members.running and time.monotonic() >= absent.get(name, 0):
                members.start(name)
        if act == "nothing":
            continue
        if act == "broker":
            broker.kill() if n % 2 else broker.stop()
            time.sleep(rng.uniform(0.2, 1.5))
            broker.start()
            figures["broker_restarts"] += 1
            continue
        of_kind = [m for m in names if m.startswith("pay" if act == "pay" else "cart")]
        name = rng.choice([m for m in of_kind if m in members.running] or of_kind)
        if act == "pause":
            members.signal(name, signal.SIGSTOP)
            threading.Timer(plan.session_s + 2, members.signal, (name, signal.SIGCONT)).start()
            figures["pauses"] += 1
            continue
        while not members.kill(name):  # every kill hits a process that is alive
            members.start(name)
            time.sleep(rng.uniform(0, 2 * gap_s))
        figures["kills" if act == "cart" else "desk_kills"] += 1
        progress.advance(bar, act == "cart")
        if rng.random() < plan.absences:
            absent[name] = time.monotonic() + plan.session_s + 2
            figures["absences"] += 1
        else:
            members.start(name)
    for name in names:
        if name not in members.running:
            members.start(name)


def run(plan: Plan, folder: Path, progress: Progress) -> Outcome:
    """The whole test in `folder`, with a broker and a database of its own."""
    outcome, figures, sent = Outcome(), Counter(), Counter()
    goods = catalogue()
    visits = make_visits(plan.visits, plan.stores, plan.seed, goods)
    sendings = schedule(visits, plan.seconds, plan.seed, Disturbances())
    folder.mkdir(parents=True, exist_ok=True)
    write_catalogue(folder / "catalogue.yaml", goods)
    with ExitStack() as stack:
        broker = stack.enter_context(servers.running_kafka(folder / "kafka"))
        postgres = stack.enter_context(servers.running_postgres())
        state_url, calm_url = postgres.create("disturbed"), postgres.create("calm")
        for url in (state_url, calm_url):
            database = Database(url, migrated=False)
            database.migrate("head")
            database.close()
        log_url = f"kafka://{broker.address}"
        open_log(f"{log_url}?partitions={plan.partitions}").close()
        banks = [stack.enter_context(_bank(folder / f"bank-{name}.sqlite")) for name in ("disturbed", "calm")]
        members = Members(log_url, state_url, folder / "catalogue.yaml", folder, banks[0], plan.session_s)
        stack.callback(lambda: [members.kill(name) for name in list(members.running)])
        for name in ("cart-0", "cart-1", "pay-0", "pay-1"):
            members.start(name)
        started = time.monotonic()
        sending = threading.Thread(target=send, args=(broker.address, sendings, plan.seconds, progress, sent))
        sending.start()
        assassinate(plan, members, broker, progress, figures, sent)
        sending.join()
        if not sent["done"]:
            outcome.problems.append("not everything could be sent")
        _wait(state_url, plan.visits, members, progress, outcome)
        figures["seconds"] = round(time.monotonic() - started)
        for name in list(members.running):
            members.signal(name, signal.SIGCONT)
            figures[f"exit_code_{members.end(name)}"] += 1
        outcome.figures = {
            "visits": plan.visits, "events": sum(map(len, visits)), "records_sent": len(sendings),
            "garbage": sum(s.garbage for s in sendings), "processes_started": members.starts, **figures,
        }  # fmt: skip
        disturbed = stored_receipts(state_url)
        compare_log(log_url, disturbed, sent, outcome)
        calm = Members(log_url, calm_url, folder / "catalogue.yaml", folder, banks[1], plan.session_s, "-calm")
        stack.callback(lambda: [calm.kill(name) for name in list(calm.running)])
        calm.start("cart-9")
        calm.start("pay-9")
        _wait(calm_url, plan.visits, calm, progress, outcome)
        for name in list(calm.running):
            calm.end(name)
        compare_receipts(disturbed, stored_receipts(calm_url), goods, visits, outcome)
        compare_payments(state_url, calm_url, banks, outcome)
        outcome.figures["said"] = _said(folder)
    return outcome


@contextmanager
def _bank(file: Path) -> Iterator[str]:
    """A payment provider as a process; gives its base URL."""
    port = servers.postgres.free_port()
    command = [sys.executable, "-m", "pipeline.cli", "pay", "provider", "--state", str(file), "--port", str(port)]
    with file.with_suffix(".log").open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 300
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError):
                get(f"{url}/v1/authorizations")
                break
            time.sleep(0.1)
        yield url
    finally:
        process.kill()
        process.wait()


def _wait(state_url: str, wanted: int, members: Members, progress: Progress, outcome: Outcome) -> None:
    """Until every visit has its receipt and its payment is dealt with."""
    database = Database(state_url)
    bars = [progress.add_task(what, total=wanted) for what in ("receipts", "payments")]
    done = (payments.c.state != "working") & payments.c.receipt_id.is_not(None)
    queries = [select(func.count()).select_from(receipts), select(func.count()).select_from(payments).where(done)]
    deadline, made = time.monotonic() + 600, [0, 0]
    while made != [wanted, wanted] and time.monotonic() < deadline:
        with database.transaction() as db:
            made = [db.execute(query).scalar() for query in queries]
        for bar, number in zip(bars, made, strict=True):
            progress.update(bar, completed=number)
        for name in members.died():
            members.end(name)
            members.start(name)
        time.sleep(0.5)
    time.sleep(2.0)  # what would come twice comes now
    database.close()
    if made != [wanted, wanted]:
        outcome.problems.append(f"{made[0]} receipts and {made[1]} payments dealt with, of {wanted}")


def _said(folder: Path) -> dict[str, int]:
    """How often the members' logs say what."""
    events: Counter = Counter()
    for path in [*folder.glob("cart-*.log"), *folder.glob("pay-*.log")]:
        for line in path.read_text(errors="replace").splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                events["(no JSON) " + line[:60]] += 1
                continue
            if entry["level"] != "info" or entry["event"] in ("partitions assigned", "starting", "ended"):
                events[entry["event"][:60]] += 1
    return dict(events.most_common(12))


def main() -> int:
    plan = Plan()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("kills", "desk_kills", "visits", "restarts", "pauses", "stores", "partitions", "seed"):
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=getattr(plan, name))
    parser.add_argument("--seconds", type=float, default=plan.seconds, help="the stream and the kills take so long")
    parser.add_argument("--session-s", type=float, default=plan.session_s, help="how long the group waits for a member")
    parser.add_argument("--keep", type=Path, help="folder for logs and the report; a temporary one otherwise")
    arguments = parser.parse_args()
    if problem := servers.missing():
        print(f"crash test: {problem}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave no broker and no database behind
    keep = arguments.keep
    plan = Plan(**{k: v for k, v in vars(arguments).items() if k != "keep"})
    with tempfile.TemporaryDirectory(prefix="walkout-crash-") as temporary, Progress() as progress:
        outcome = run(plan, keep or Path(temporary), progress)
    print(json.dumps(outcome.figures, indent=1))
    for problem in outcome.problems:
        print(f"PROBLEM: {problem}")
    print(
        "receipts and payments identical, garbage all in the dead letter" if not outcome.problems else "NOT identical"
    )
    return 1 if outcome.problems else 0


if __name__ == "__main__":
    sys.exit(main())
