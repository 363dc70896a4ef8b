# SPDX-License-Identifier: AGPL-3.0-or-later
"""The commands of deploy/compose.yaml outside of containers, on a real broker and a real database: a visit that is
written to the log is billed and paid, and gates and pages answer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import yaml

from pipeline.eventlog import open_log
from tests import servers
from tests.live_shop import write_store
from tests.unit.cart.events import COLA, pick, visit
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.slow]

ROOT = Path(__file__).parents[3]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
WALKOUT = [sys.executable, "-m", "pipeline.cli"]
SERVICES = ("bank", "gate", "cart", "pay", "review", "web")


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    """Everything but the cameras: `ports` by service, `log_url`, `environment` and the `store`."""
    if problem := servers.missing():
        pytest.skip(f"needs a broker and a database: {problem}")
    folder = tmp_path_factory.mktemp("chain")
    with contextlib.ExitStack() as stack:
        broker = stack.enter_context(servers.running_kafka(folder / "kafka"))
        state_url = stack.enter_context(servers.running_postgres()).create("chain")
        made = Chain(folder, broker.address, state_url)
        done = made.start("tables")
        assert done.wait(timeout=180) == 0, made.said("tables")
        for name in SERVICES:
            stack.callback(made.end, name, made.start(name))
        for name in SERVICES:
            made.until_ready(name)
        yield made


class Chain:
    def __init__(self, folder: Path, kafka: str, state_url: str) -> None:
        self.folder, self.store = folder, write_store(folder / "store")
        (folder / "data").mkdir()
        self.ports = {name: servers.kafka.free_port() for name in SERVICES}
        inside = re.search(
            r"INSIDE://([^,]+)", COMPOSE["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
        )
        self._places = {
            "/store": str(self.store), "/data": str(folder / "data"), "0.0.0.0": "127.0.0.1", inside[1]: kafka,
            "bank:8900": f"127.0.0.1:{self.ports['bank']}",
        }  # fmt: skip
        self.environment = self._environment("cart") | {"WALKOUT_STATE_URL": state_url}
        self.log_url = self.environment["WALKOUT_LOG_URL"]

    def start(self, name: str) -> subprocess.Popen:
        command = [self._here(word) for word in COMPOSE["services"][name]["command"]]
        if "--port" in command:
            command[command.index("--port") + 1] = str(self.ports[name])
        environment = {**os.environ, **self._environment(name), **self.environment, "PYTHONPATH": str(ROOT)}
        with (self.folder / f"{name}.txt").open("wb") as said:
            return subprocess.Popen(
                [*WALKOUT, *command], cwd=self.folder / "data", env=environment, stdout=said, stderr=subprocess.STDOUT
            )

    def until_ready(self, name: str) -> None:
        """As the container's health check asks; the test bank answers anything."""
        path = "/readyz" if "healthcheck" in COMPOSE["services"][name] else "/"
        self.until(lambda: self.get(name, path)[0] == 200 or (name == "bank" and self.get(name, path)[0] == 404), name)

    def until(self, true, name: str) -> None:
        until(true, lambda: self.said(name), timeout_s=240, every_s=0.5)

    def get(self, name: str, path: str, **headers: str) -> tuple[int, str]:
        """Status 0: nobody listens yet."""
        url = f"http://127.0.0.1:{self.ports[name]}{path}"
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def walkout(self, *arguments: str) -> str:
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT)}
        done = subprocess.run([*WALKOUT, *arguments], env=environment, capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def said(self, name: str) -> str:
        return (self.folder / f"{name}.txt").read_text(errors="replace")[-3000:]

    def end(self, name: str, process: subprocess.Popen) -> None:
        process.terminate()
        assert process.wait(timeout=120) in (0, -15), self.said(name)

    def _environment(self, name: str) -> dict[str, str]:
        return {k: self._here(v) for k, v in COMPOSE["services"][name].get("environment", {}).items()}

    def _here(self, text: str) -> str:
        text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)
        for there, here in self._places.items():
            text = text.replace(there, here)
        return text


def test_a_visit_is_billed_and_paid(chain):
    log = open_log(chain.log_url)
    log.append(visit(pick(5, COLA, event_id="e1"), visit_id="v1", shopper="anna"))
    log.close()
    chain.until(
        lambda: "payment-paid" in chain.said("pay") or '"paid"' in chain.walkout("pay", "list", "--json"), "pay"
    )
    (payment,) = json.loads(chain.walkout("pay", "list", "--json"))
    assert (payment["visit_id"], payment["state"]) == ("v1", "paid")


def test_the_gate_asks_for_its_readers_key_and_the_pages_for_a_sign_in(chain):
    key = chain.walkout("gate", "reader", str(chain.store), "till").strip()
    assert chain.get("gate", "/visits/open")[0] == 401
    assert chain.get("gate", "/visits/open", **{"X-Api-Key": key})[0] == 200
    status, page = chain.get("web", "/sign-in")
    assert status == 200 and "<html" in page
    assert chain.get("web", "/metrics")[0] == 404


def test_staff_are_added_to_the_database_of_the_pages(chain):
    chain.walkout("web", "staff", "add", str(chain.store), "root", "--role", "admin")
    assert "root" in chain.walkout("web", "staff", "list", str(chain.store))
