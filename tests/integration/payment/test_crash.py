# SPDX-License-Identifier: AGPL-3.0-or-later
"""The desk killed with SIGKILL at every step there is: around every commit, and before and after every call that it
makes to the test provider, which is a process of its own and lives on. Whatever the moment, the payments are those of a
run that nobody disturbed."""

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import httpx
import pytest
from sqlalchemy import event

from pipeline.eventlog import open_log
from pipeline.payment import ledger
from pipeline.payment.accounts import list_payments
from pipeline.payment.bank_http import BankOverHttp
from pipeline.payment.desk import TOPICS, PaymentDesk
from pipeline.payment.settings import PaymentSettings
from pipeline.state import Database
from tests.integration.payment.conftest import free_port, wait_for
from tests.killing import Steps, in_a_process
from tests.unit.payment.shop import opened, receipt

SETTINGS = PaymentSettings(hold_minor=500, currency="EUR", ask_again_s=(0.05, 0.2), retry_after_s=(0.0,))


@pytest.fixture(scope="module")
def bank_url(tmp_path_factory):
    file, port = tmp_path_factory.mktemp("bank") / "bank.sqlite", free_port()
    # Cut-off answers and declines on top: they must strike the same calls in every run, whenever those are made.
    rules = [
        '{"outcome": "timeout-after", "payer": "*-slow"}',
        '{"outcome": "decline:do_not_honor", "payer": "*-poor"}',
    ]
    command = [sys.executable, "-m", "pipeline.cli", "pay", "provider", "--state", str(file), "--port", str(port)]
    command += [part for rule in rules for part in ("--rule", rule)] + ["--hang-s", "0.6"]
    with subprocess.Popen(command) as process:
        try:
            wait_for(port, process, timeout_s=180)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def empty_state(tmp_path_factory):
    path = tmp_path_factory.mktemp("state") / "state.sqlite"
    Database(f"sqlite:///{path}").close()
    return path


class Watched:
    """A provider that counts a step before and after each call."""

    parallel = 1  # one after the other, so that the steps have an order

    def __init__(self, provider, step) -> None:
        self._provider, self._step = provider, step

    def __getattr__(self, name):
        attribute = getattr(self._provider, name)
        if name not in ("authorize", "capture", "cancel", "refund"):
            return attribute

        def call(*arguments):
            self._step()
            outcome = attribute(*arguments)
            self._step()
            return outcome

        return call


def work(bank_url: str, folder: Path, step: Steps) -> None:
    """What a desk's process does, from its start until everything is settled."""
    log, database = open_log(f"sqlite:///{folder}/log.sqlite"), Database(f"sqlite:///{folder}/state.sqlite")
    for moment in ("begin", "commit"):
        event.listen(database._engine, moment, step)
    desk = PaymentDesk(log, database, Watched(BankOverHttp(bank_url, timeout_s=0.3), step), SETTINGS, look_every_s=0)
    desk.catch_up(log.ends(TOPICS))
    while any(p["state"] == "working" for p in list_payments(database)):
        desk.step(timeout_s=0.02)
    desk.close()


def prepare(folder: Path, empty_state: Path, name: str) -> None:
    folder.mkdir()
    shutil.copy(empty_state, folder / "state.sqlite")
    log = open_log(f"sqlite:///{folder}/log.sqlite")
    a, b, c = (f"{name}-{shopper}" for shopper in ("anna", "slow", "poor"))
    log.append([
        opened(a, a), receipt(720, 1, a, a), receipt(600, 2, a, a),  # above the hold, then corrected
        opened(b, b), receipt(0, 1, b, b),  # bought nothing; answers are cut off
        receipt(90, 1, c, c),  # declined, becomes an open balance
    ])  # fmt: skip
    log.close()


def outcome(folder: Path, bank_url: str, name: str):
    """All that must be the same in every run."""
    database = Database(f"sqlite:///{folder}/state.sqlite")
    with database.transaction() as db:
        assert ledger.unbalanced(db) == []
        balances = ledger.balances(db)
    payments = list_payments(database)
    database.close()
    log = open_log(f"sqlite:///{folder}/log.sqlite")
    reader, told = log.read("test", ["walkout.payments"]), {}
    while records := reader.poll(0).records:
        told.update((r.event.event_id, r.event.model_dump(exclude={"event_id", "at_ns"})) for r in records)
    log.close()
    made = [a for a in httpx.get(f"{bank_url}/v1/authorizations").json() if a["payer"].startswith(f"{name}-")]
    for authorization in made:
        del authorization["reference"]
    found = {"balances": [[*place, amount] for place, amount in balances.items()], "payments": payments,
             "told": sorted(told.values(), key=lambda t: t["visit_id"]), "provider": made}  # fmt: skip
    return json.loads(json.dumps(found).replace(f"{name}-", "k-"))


def test_killed_at_every_step(tmp_path, bank_url, empty_state):
    prepare(tmp_path / "k0", empty_state, "k0")
    desk = partial(work, bank_url)
    ended, steps = in_a_process(desk, tmp_path / "k0")
    assert ended == 0 and steps > 30
    undisturbed = outcome(tmp_path / "k0", bank_url, "k0")
    assert ["provider-clearing", "EUR", 600] in undisturbed["balances"]
    assert ["open-balance", "EUR", 90] in undisturbed["balances"]
    assert sum(a["captured"] - a["refunded"] for a in undisturbed["provider"]) == 600
    every, killed = int(os.environ.get("WALKOUT_CRASH_EVERY", "1")), 0  # 5: every fifth step only
    for k in itertools.count(1, every):
        folder = tmp_path / f"k{k}"
        prepare(folder, empty_state, f"k{k}")
        ended, _ = in_a_process(desk, folder, kill_at=k)
        assert ended in (0, -signal.SIGKILL), f"step {k}: the process ended by itself with {ended}"
        if ended == 0:  # there is no such step: how many there are depends on how many answers came in time
            break
        killed += 1
        ended, _ = in_a_process(desk, folder)
        assert ended == 0, f"killed at step {k}: the next process did not get through"
        assert outcome(folder, bank_url, f"k{k}") == undisturbed, f"killed at step {k} of about {steps}"
    assert killed > 30 // every
    print(f"killed at {killed} steps: payments, ledger, messages and the provider as in an undisturbed run")
