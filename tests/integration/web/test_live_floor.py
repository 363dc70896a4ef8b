# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shop that runs now in one process, its pages served by another, and operators who watch its floor in a browser."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import expect

from pipeline.accounts import Accounts
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.state import Database
from pipeline.web.browsing import context_options
from pipeline.web.security import SESSION
from pipeline.web.serving import free_port
from tests import servers
from tests.integration.web.test_live_replay import _listens, _until, process
from tests.live_shop import write_store

PATIENCE_MS = 60_000


@contextmanager
def open_shop(browser, folder, *log_url, state_url=None):
    """A store with nobody in it yet: `open_page(phone)` is an operator's, `begin()` opens its cameras, `end()` closes
    them and waits."""
    store, go = write_store(folder / "store"), folder / "go"
    if log_url:
        (store / "settings.yaml").write_text(f"log_url: {log_url[0]}\n")
    if state_url:
        (store / "entry.yaml").write_text(f"state_url: {state_url}\n")
    port = free_port("127.0.0.1", 18100)
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        running = stack.enter_context(process("tests.live_run", str(store), str(folder / "out"), str(go)))
        _until(lambda: state_url or (store / "entry.sqlite").exists(), running)
        serving = stack.enter_context(
            process("pipeline.cli", "web", "serve", str(store), "--port", str(port), "--demo")
        )
        _until(lambda: _listens(port), serving)
        database = Database(load_entry_settings(store).state_url)
        stack.callback(database.close)
        accounts = Accounts(database)

        def open_page(phone=False, **options):
            context = browser.new_context(**context_options(url, phone=phone, **options))
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            token = accounts.sessions.start(accounts.users.by_staff_name("operator").user_id, "command")
            context.add_cookies([{"name": SESSION, "value": token, "url": url}])
            page = context.new_page()
            page.problems = []
            page.on("pageerror", lambda error: page.problems.append(str(error)))
            page.goto("/floor")
            return page

        def end():
            (folder / "go.end").touch()
            assert running.wait(timeout=180) == 0

        yield open_page, go.touch, end


@pytest.fixture
def shop(browser, tmp_path):
    with open_shop(browser, tmp_path) as opened:
        yield opened


def test_the_floor_of_a_shop_that_runs(shop):
    open_page, begin, end = shop
    desk, phone = open_page(), open_page(phone=True, locale="fr-FR")
    expect(desk.locator("#mode")).to_have_text("Live")
    expect(phone.locator("#mode")).to_have_text("En direct")
    expect(desk.locator("#nobody")).to_be_visible()
    empty = desk.locator("#plan").evaluate("canvas => canvas.toDataURL()")
    begin()

    expect(desk.locator("#people")).not_to_have_text("0", timeout=PATIENCE_MS)
    shown_ms = desk.evaluate("async () => (await (await fetch('/api/v1/floor/state')).json()).frame.t")
    assert abs(time.time() * 1000 - shown_ms) < 5000, "what is shown is now"
    expect(desk.locator("#visits tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
    expect(phone.locator("#visits tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
    assert desk.locator("#plan").evaluate("canvas => canvas.toDataURL()") != empty
    desk.locator("#events").get_by_text("took Cola").first.wait_for()
    desk.locator("#visits button").first.focus()
    expect(desk.locator("#cart")).to_contain_text("Bread", timeout=PATIENCE_MS)
    desk.locator("[data-camera=cam1] img:not([hidden])").wait_for()
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")

    expect(desk.locator("#receipts li")).to_have_count(2, timeout=PATIENCE_MS)
    expect(phone.locator("#receipts li")).to_have_count(2, timeout=PATIENCE_MS)
    expect(desk.locator("#inside")).to_have_text("0", timeout=PATIENCE_MS)
    assert desk.locator("#events").get_by_text("left the shop").count() == 2
    end()
    expect(desk.locator("#link")).to_have_text("the shop sends nothing", timeout=PATIENCE_MS)
    assert not desk.problems and not phone.problems


@pytest.mark.kafka
def test_an_event_log_that_is_away_is_said_and_the_floor_goes_on(browser, tmp_path):
    if problem := servers.kafka.missing_tools():
        pytest.skip(f"needs a Kafka broker: {problem}")
    with (
        servers.running_kafka(tmp_path / "kafka") as broker,
        open_shop(browser, tmp_path, f"kafka://{broker.address}?timeout_s=5") as (open_page, begin, end),
    ):
        page = open_page()
        expect(page.locator("#mode")).to_have_text("Live")
        broker.kill()
        begin()
        expect(page.locator("[data-waiting]")).to_contain_text("events wait for it", timeout=PATIENCE_MS)
        expect(page.locator("#people")).not_to_have_text("0")
        assert page.locator("#receipts li").count() == 0
        broker.start()
        expect(page.locator("[data-waiting]")).to_have_count(0, timeout=PATIENCE_MS)
        expect(page.locator("#receipts li")).to_have_count(2, timeout=PATIENCE_MS)
        end()
        assert not page.problems


def test_a_database_that_is_away_is_said_and_the_floor_goes_on(browser, tmp_path):
    if problem := servers.postgres.missing_tools():
        pytest.skip(f"needs PostgreSQL: {problem}")
    with servers.running_postgres() as postgres:
        state_url = postgres.create("floor")
        database = Database(state_url, migrated=False)
        database.migrate("head")
        database.close()
        with open_shop(browser, tmp_path, state_url=state_url) as (open_page, begin, end):
            page = open_page()
            expect(page.locator("#mode")).to_have_text("Live")
            begin()
            expect(page.locator("#visits tbody tr")).to_have_count(2, timeout=PATIENCE_MS)
            postgres.kill()
            expect(page.locator("[data-waiting]")).to_contain_text(
                "bills are made when it is back", timeout=PATIENCE_MS
            )
            expect(page.locator("#inside")).to_have_text("0", timeout=PATIENCE_MS)  # both have left without it
            assert page.locator("#receipts li").count() == 0
            assert page.locator("#link").inner_text() == "connected"
            postgres.start()
            expect(page.locator("[data-waiting]")).to_have_count(0, timeout=PATIENCE_MS)
            expect(page.locator("#receipts li")).to_have_count(2, timeout=PATIENCE_MS)
            end()
            assert not page.problems
