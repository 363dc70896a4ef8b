# SPDX-License-Identifier: AGPL-3.0-or-later
"""The commands as processes of their own: the test provider, the desk, and what people type."""

import contextlib
import json
import signal
import subprocess
import sys
import urllib.request

import pytest

from pipeline.eventlog import open_log
from tests.integration.payment.conftest import free_port, wait_for
from tests.unit.payment.shop import receipt
from tests.waiting import until

WALKOUT = [sys.executable, "-m", "pipeline.cli"]


@contextlib.contextmanager
def running(*arguments, port):
    with subprocess.Popen([*WALKOUT, *arguments, "--port", str(port)], stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_for(port, process, timeout_s=180)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.errors = process.communicate(timeout=120)[1]


def walkout(*arguments, code=0):
    done = subprocess.run([*WALKOUT, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def get(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=60) as answer:
        return answer.read().decode()


@pytest.mark.slow
def test_provider_and_desk_as_processes(tmp_path):
    pytest.importorskip("uvicorn", reason="needs uvicorn: pip install 'walkout[web]'")
    log_url, state = f"sqlite:///{tmp_path}/log.sqlite", f"sqlite:///{tmp_path}/state.sqlite"
    (tmp_path / "pay.yaml").write_text("retry_after_s: []\n")
    log = open_log(log_url)
    log.append([receipt(200), receipt(90, visit="v2", shopper="ben")])
    bank, desk = free_port(), free_port()
    broke = '{"outcome": "decline:insufficient_funds", "payer": "ben", "times": 1}'
    settings = ("--settings", str(tmp_path / "pay.yaml"), "--provider", f"test+http://127.0.0.1:{bank}")
    with (
        running("pay", "provider", "--state", str(tmp_path / "bank.sqlite"), "--rule", broke, port=bank),
        running("pay", "serve", "--log", log_url, "--state", state, *settings, port=desk) as process,
    ):

        def counted(wanted):
            until(lambda: wanted in get(desk, "/metrics"), lambda: get(desk, "/metrics"), timeout_s=120)

        counted('walkout_payments_total{outcome="open"} 1.0')
        counted('walkout_payments_total{outcome="paid"} 1.0')
        assert 'walkout_payment_calls_total{kind="authorize",outcome="declined"} 1.0' in get(desk, "/metrics")
        assert json.loads(get(desk, "/readyz"))["status"] == "ok"
        owed = json.loads(walkout("pay", "balance", "--state", state, "--json"))
        assert owed["open"] == [{"shopper_id": "ben", "currency": "EUR", "open_minor": 90}]
        assert "1 open balances" in walkout("pay", "retry", "--state", state, "--shopper", "ben")
        counted('walkout_payments_total{outcome="paid"} 2.0')
        made = json.loads(get(bank, "/v1/authorizations"))
        assert sorted((a["payer"], a["captured"]) for a in made) == [("anna", 200), ("ben", 90)]
    log.close()
    said = [json.loads(line) for line in process.errors.splitlines()]
    calls = [line for line in said if line["event"] == "payment call"]
    assert len(calls) == 5 and all(line["visit_id"] and line["key"] for line in calls)
    assert process.returncode == 0


def test_what_people_type(tmp_path):
    from pipeline.payment.bank import Bank
    from pipeline.payment.desk import TOPICS, PaymentDesk
    from pipeline.state import Database

    state = f"sqlite:///{tmp_path}/state.sqlite"
    log, database, bank = open_log(f"sqlite:///{tmp_path}/log.sqlite"), Database(state), Bank(tmp_path / "bank.sqlite")
    log.append([receipt(200)])
    desk = PaymentDesk(log, database, bank)
    desk.catch_up(log.ends(TOPICS))
    desk.close(), bank.close(), database.close(), log.close()
    assert "nothing is owed\npayments: 1 paid" in walkout("pay", "balance", "--state", state)
    assert "€2.00  paid\n    authorize €2.00 approved\n    capture" in walkout("pay", "list", "--state", state)
    assert "provider-clearing" in walkout("pay", "ledger", "--state", state)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (("balance", "--state", "mysql://x"), "expected sqlite"),
        (("serve", "--log", "sqlite:///{0}/l", "--state", "sqlite:///{0}/s", "--provider", "cash"), "expected test"),
        (("serve", "--log", "x", "--state", "y", "--settings", "{0}/missing.yaml"), "no such file"),
        (("provider", "--state", "{0}/b", "--port", "1", "--rule", '{{"outcome": "explode"}}'), "--rule: outcome"),
        (("method", "anna", "--state", "sqlite:///{0}/s", "--method", "4242424242424242"), "card number"),
    ],
)
def test_mistakes_are_one_line(tmp_path, arguments, message):
    error = walkout("pay", *(a.format(tmp_path) for a in arguments), code=2)
    assert message in error and error.count("\n") == 1, error


def test_the_desk_on_postgresql(tmp_path):
    """The same scenario as in the unit tests, and the ledger that its database guards."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'walkout[postgres]'")
    from sqlalchemy import update

    from pipeline.errors import StateError
    from pipeline.payment.tables import entries
    from pipeline.state import Database
    from tests import servers
    from tests.unit.payment.shop import Shop, opened

    if problem := servers.postgres.missing_tools():
        pytest.skip(f"needs PostgreSQL: {problem}")
    with servers.running_postgres() as server:
        url = server.create("payments")
        migrating = Database(url, migrated=False)
        migrating.migrate("head")
        migrating.close()
        shop = Shop(tmp_path, url, hold_minor=500, currency="EUR", retry_after_s=(5,), ask_again_s=(1, 2))
        shop.rule("timeout-after", kind="capture")
        shop.rule("decline:insufficient_funds", payer="ben")
        shop.tell(opened(), receipt(720), receipt(600, version=2), receipt(90, visit="v2", shopper="ben"))
        for wait_s in (1, 5, 2):
            shop.settle(after_s=wait_s)
        assert (shop.taken("anna"), shop.taken("ben")) == (600, 0)
        assert (shop.balance("open-balance"), shop.balance("receivable")) == (90, 0)
        assert {t.visit_id: t.status for t in shop.told()} == {"v1": "paid", "v2": "open"}
        with pytest.raises(StateError, match="append-only"), shop.database.transaction() as db:
            db.execute(update(entries).values(amount_minor=1))
        shop.close()
