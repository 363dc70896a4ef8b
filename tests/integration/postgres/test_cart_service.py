# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout cart serve` as a process: it works, says how it is, and ends when it is told to."""

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pipeline.eventlog import open_log
from tests import servers
from tests.benchmarks.money_load import catalogue, make_visits, write_catalogue
from tests.unit.cart.events import pick, visit
from tests.waiting import until


@pytest.fixture
def serve(tmp_path):
    """Start a member on the embedded log and this state; gives the process and its base URL."""
    started = []
    write_catalogue(tmp_path / "catalogue.yaml", catalogue())

    def serve(state_url, *more):
        port = servers.postgres.free_port()
        command = [
            sys.executable, "-m", "pipeline.cli", "cart", "serve", "--log", f"sqlite:///{tmp_path}/log.sqlite",
            "--state", state_url, "--catalogue", str(tmp_path / "catalogue.yaml"), "--port", str(port),
            *more,
        ]  # fmt: skip
        process = subprocess.Popen(command, cwd=servers.ROOT, stderr=subprocess.PIPE, text=True)
        started.append(process)
        return process, f"http://127.0.0.1:{port}"

    yield serve
    for process in started:
        process.kill()
        process.wait()


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def metric(text, name, **labels):
    samples = (s for family in text_string_to_metric_families(text) for s in family.samples)
    return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())


def test_a_member_works_says_how_it_is_and_ends_when_told(serve, state_url, tmp_path):
    visits = make_visits(20, 2, 1, catalogue())
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    log.append([event for events in visits for event in events])
    log._insert([("walkout.visits", b"store-0000", b"garbage")])
    process, url = serve(state_url)
    until(lambda: get(f"{url}/readyz")[0] == 200)
    until(lambda: metric(get(f"{url}/metrics")[1], "walkout_receipts_total") == 20)
    assert get(f"{url}/healthz")[0] == 200 and get(f"{url}/else")[0] == 404
    _, text = get(f"{url}/metrics")
    events = sum(map(len, visits))
    assert metric(text, "walkout_events_total", consumer_group="walkout-cart") == events
    assert metric(text, "walkout_dead_letters_total", topic="walkout.visits") == 1
    assert metric(text, "walkout_time_to_receipt_seconds_count") == 20
    assert metric(text, "walkout_state_reachable") == 1
    until(lambda: metric(get(f"{url}/metrics")[1], "walkout_lag_records") == 0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    said = [json.loads(line) for line in process.stderr.read().splitlines()]
    receipts = [entry for entry in said if entry["event"] == "receipt"]
    assert {entry["visit_id"] for entry in receipts} == {events[0].visit_id for events in visits}
    assert all(entry["event_id"] and entry["level"] == "info" for entry in receipts)
    assert said[-1]["event"] == "ended"
    log.close()


def test_it_follows_the_stores_rules(serve, tmp_path):
    """One pick that is doubtful by default, in a store that lets such things go."""
    (tmp_path / "settings.yaml").write_text("billing: {doubtful: let-go}\n")
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    gtin = catalogue().products[0].gtin
    log.append(visit(pick(1, gtin, sure=0.6)))
    _, url = serve(f"sqlite:///{tmp_path}/state.sqlite", "--settings", str(tmp_path / "settings.yaml"))
    until(lambda: metric(get(f"{url}/metrics")[1], "walkout_receipts_total") == 1)
    assert metric(get(f"{url}/metrics")[1], "walkout_receipts_total", status="billed") == 1
    log.close()


def test_while_its_database_is_away_it_is_alive_but_not_ready_and_can_be_told_to_end(serve, postgres):
    url = postgres.url()
    postgres.stop()
    process, base = serve(url)
    until(lambda: get(f"{base}/healthz")[0] == 200)
    status, body = get(f"{base}/readyz")
    assert status == 503 and "start" in json.loads(body)["problems"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    said = [json.loads(line) for line in process.stderr.read().splitlines()]
    assert any(entry["level"] == "warning" and "waiting" in entry["event"] for entry in said)
