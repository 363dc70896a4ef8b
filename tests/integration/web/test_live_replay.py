# SPDX-License-Identifier: AGPL-3.0-or-later
"""A recording is run in one process, the pages are served by another, and a shopper watches their cart in a browser."""

import os
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from pipeline.accounts import Accounts
from pipeline.state import Database
from pipeline.web.browsing import context_options
from pipeline.web.security import SESSION
from tests.scripted_shop import write_recording
from tests.waiting import until

_HOME = Path(__file__).resolve().parents[3]
_NOTE_WHAT_IS_SHOWN = """
  window.seen = [];
  addEventListener("DOMContentLoaded", () => {
    const note = () => {
      const names = [...document.querySelectorAll("[data-items] > :not(.leaving) [data-name]")].map(n => n.textContent);
      const now = names.join(" + ");
      if (now !== window.seen.at(-1)) window.seen.push(now);
    };
    const list = document.querySelector("[data-items]");
    if (list) new MutationObserver(note).observe(list, {childList: true, subtree: true, attributes: true});
  });
"""


@contextmanager
def process(*arguments):
    environment = os.environ | {"PYTHONPATH": str(_HOME)}
    with subprocess.Popen([sys.executable, "-m", *arguments], cwd=_HOME, env=environment) as one:
        try:
            yield one
        finally:
            one.terminate()


def test_the_cart_changes_while_a_recording_is_run(browser, tmp_path):
    recording, run = write_recording(tmp_path / "recording"), tmp_path / "run"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log, state = f"http://127.0.0.1:{port}", f"sqlite:///{run}/log.sqlite", f"sqlite:///{run}/state.sqlite"
    serve = (
        "pipeline.cli",
        "web",
        "serve",
        str(recording),
        "--log",
        log,
        "--state",
        state,
        "--port",
        str(port),
        "--demo",
    )
    with process("tests.slow_run", str(recording), str(run), str(tmp_path / "go")) as running:
        _until(lambda: (run / "state.sqlite").exists() and (run / "log.sqlite").exists(), running)
        with process(*serve) as serving:
            _until(lambda: _listens(port), serving)
            database = Database(state)
            accounts = Accounts(database)
            token = accounts.sessions.start(accounts.users.by_shopper("anna").user_id, "command")
            context = browser.new_context(**context_options(url, phone=True))
            context.set_default_timeout(60_000)
            context.add_cookies([{"name": SESSION, "value": token, "url": url}])
            page = context.new_page()
            page.add_init_script(_NOTE_WHAT_IS_SHOWN)
            page.goto("/shop/cart")
            page.get_by_text("You are not in the shop").wait_for()
            (tmp_path / "go").touch()
            page.wait_for_function("() => window.seen.includes('Bread + Cola')")
            page.wait_for_function("() => window.seen.at(-1) === 'Bread'")  # anna put the cola back
            seen = page.evaluate("window.seen")
            page.wait_for_url("**/shop/receipts/**")
            assert seen[-2:] == ["Bread + Cola", "Bread"]
            assert page.locator(".head-sum .sum").inner_text() == "€1.01"
            context.close()
            database.close()


def _until(true, process, timeout_s=120.0):
    def runs_and_holds():
        assert process.poll() is None, "the process has ended"
        return true()

    until(runs_and_holds, timeout_s=timeout_s)


def _listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
