# SPDX-License-Identifier: AGPL-3.0-or-later
"""How fast a payment desk takes receipts, with the test provider in the same process.

    python tests/benchmarks/bench_payment.py [--receipts 500] [--hold 5000] [--folder DIR]

Half of the receipts are corrected afterwards. The embedded log and SQLite, every commit synced: a call costs two
commits of ours, shared by up to 64 payments, and one of the provider's. CPU time is given beside wall time because the
machine may be busy with other things, and disks differ in what a synced write takes.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pipeline.eventlog import open_log
from pipeline.payment.accounts import states
from pipeline.payment.bank import Bank
from pipeline.payment.desk import TOPICS, PaymentDesk
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database
from tests.unit.payment.shop import receipt


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--receipts", type=int, default=500)
    parser.add_argument("--hold", type=int, default=0, help="minor units held at entry")
    parser.add_argument("--folder", type=Path, help="where the files go; a temporary folder by default")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        log, bank = open_log(f"sqlite:///{folder}/log.sqlite"), Bank(Path(folder) / "bank.sqlite")
        database = Database(f"sqlite:///{folder}/state.sqlite")
        settings = PaymentSettings(hold_minor=asked.hold, currency="EUR")
        calls = []
        desk = PaymentDesk(log, database, bank, settings, called=lambda due, outcome: calls.append(outcome))
        visits = [(f"v{n}", f"s{n}", 100 + n % 900) for n in range(asked.receipts)]
        log.append([receipt(total, 1, visit, shopper) for visit, shopper, total in visits])
        log.append([receipt(total + 40 * (n % 3 - 1), 2, v, s) for n, (v, s, total) in enumerate(visits[::2])])
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        desk.catch_up(log.ends(TOPICS), timeout_s=3600)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
        read = len(visits) + len(visits[::2])
        assert states(database) == {"paid": len(visits)}
        wall, cpu = f"{read / wall_s:.0f} receipts/s", f"{1000 * cpu_s / read:.1f} ms CPU each"
        print(f"{read} receipt versions, {len(calls)} calls: {wall_s:.1f} s, {wall}, {cpu}")
        for part in (desk, database, bank, log):
            part.close()


if __name__ == "__main__":
    main()
