# SPDX-License-Identifier: AGPL-3.0-or-later
"""A store with live cameras: taps as they are shown, receipts while it runs, an orderly end, going on afterwards."""

import json
import os
import signal
import time
import urllib.request

import pytest

from pipeline import journal, runtime, shop
from pipeline.cart.aggregator import TOPICS, Aggregator, receipts_after
from pipeline.errors import CaptureError, PaymentError, RecordingError
from pipeline.eventlog import open_log
from pipeline.gate.live import LiveGate
from pipeline.payment.bank import Bank
from pipeline.site import open_site
from pipeline.web.serving import free_port
from tests.live_shop import cameras, write_store
from tests.scripted_shop import ANNA, BREAD, START_NS, S, stages, write_recording


@pytest.fixture
def store(tmp_path):
    return write_store(tmp_path / "store")


def shoppers(out):
    return [r["shopper_id"] for r in json.loads((out / "receipts.json").read_text())["receipts"]]


def test_it_runs_until_it_is_interrupted_and_ends_in_order(store, tmp_path, monkeypatch):
    cameras(store, monkeypatch, until_s=13)
    summary = runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert summary.live and summary.receipts == 2
    assert shoppers(tmp_path / "out") == ["anna", "ben"]
    assert not (tmp_path / "out" / "detections.npz").exists()  # would grow for ever


def test_of_a_live_store_there_is_no_film_unless_it_is_asked_for_and_none_with_uncovered_heads(
    store, tmp_path, monkeypatch
):
    cameras(store, monkeypatch, until_s=2)
    runtime.run(store, tmp_path / "out", progress=False, stages=stages())
    assert not (tmp_path / "out" / "mosaic.mp4").exists()
    cameras(store, monkeypatch, until_s=2)
    runtime.run(store, tmp_path / "film", video=True, progress=False, stages=stages())
    assert (tmp_path / "film" / "mosaic.mp4").exists()
    with pytest.raises(CaptureError, match="leave out --uncovered"):
        runtime.run(store, tmp_path / "faces", video=True, uncovered=True, progress=False, stages=stages())


def test_a_receipt_is_there_while_the_shop_is_still_open(store, tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "_AGGREGATE_EVERY_S", 0.0)
    seen = {}

    def look(at_s):
        path = tmp_path / "out" / "receipts.json"
        seen[at_s] = shoppers(tmp_path / "out") if path.exists() else []

    cameras(store, monkeypatch, until_s=13, look=look)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert seen[ANNA.leaves_s - 0.5] == []
    assert seen[ANNA.leaves_s + 1.0] == ["anna"]


def test_a_store_that_is_started_again_keeps_its_receipts(store, tmp_path, monkeypatch):
    cameras(store, monkeypatch, until_s=8.6)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert shoppers(tmp_path / "out") == ["anna"]
    cameras(store, monkeypatch, until_s=1)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert shoppers(tmp_path / "out") == ["anna"]


def test_the_stores_pages_see_its_receipts_and_cases_without_being_told_where_they_are(store, tmp_path, monkeypatch):
    cameras(store, monkeypatch, until_s=13)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    with open_site(store) as site:
        cases = site.review.queue()
        held = [r for _, r in receipts_after(site.database, 0) if r.held_for_review]
        assert [r.shopper_id for r in held] == ["ben"] and {c.visit_id for c in cases} == {held[0].visit_id}


def test_where_a_chain_bills_a_store_only_says_what_happened(store, tmp_path, monkeypatch):
    cameras(store, monkeypatch, until_s=13)
    summary = runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages(), bills=False)
    assert summary.receipts == 0 and summary.visits == 2 and not (tmp_path / "out" / "receipts.json").exists()
    log, shop_ = open_log(f"sqlite:///{store / 'log.sqlite'}"), shop.Shop.open(store)
    chain = Aggregator(log, f"sqlite:///{tmp_path}/chain.sqlite", shop_.prices)
    chain.catch_up(log.ends(TOPICS))
    assert [r.shopper_id for r in chain.receipts()] == ["anna", "ben"]
    chain.close()
    log.close()
    with pytest.raises(RecordingError, match="leave out --no-bills"):
        runtime.run(write_recording(tmp_path / "rec"), tmp_path / "rec-out", progress=False, bills=False)


def test_a_receipt_is_read_from_the_state_once(store, tmp_path, monkeypatch):
    """Between windows: what a live shop has had for years is not read again with each new event."""
    monkeypatch.setattr(journal, "_AGGREGATE_EVERY_S", 0.0)
    read, after = [], Aggregator.receipts_after

    def counting(self, number):
        found = after(self, number)
        read.extend(found)
        return found

    monkeypatch.setattr(Aggregator, "receipts_after", counting)
    cameras(store, monkeypatch, until_s=13)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert len(read) == 2 and shoppers(tmp_path / "out") == ["anna", "ben"]


def test_who_was_inside_at_a_restart_is_billed_when_they_leave(store, tmp_path, monkeypatch):
    """Killed at 6 s with both inside and events in no closing yet; the next process knows neither track."""

    class Killed(BaseException):
        pass

    def kill(at_s):
        if at_s >= 6.0:
            raise Killed

    cameras(store, monkeypatch, until_s=13, look=kill)
    with pytest.raises(Killed):
        runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert shoppers(tmp_path / "out") == []

    cameras(store, monkeypatch, until_s=13, from_s=6.1)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages(renamed=10))
    receipts = json.loads((tmp_path / "out" / "receipts.json").read_text())["receipts"]
    assert [r["shopper_id"] for r in receipts] == ["anna", "ben"]
    assert [line["name"] for line in receipts[0]["lines"]] == ["Bread"]  # taken before; the cola went back


def test_what_was_under_way_at_an_orderly_end_is_on_the_bill_of_the_next_process(store, tmp_path, monkeypatch):
    """Ctrl-C while the shelf stage has not said yet that anna took the bread: it says so as the shop ends."""
    cameras(store, monkeypatch, until_s=ANNA.tap_s + 3.7)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    cameras(store, monkeypatch, until_s=13, from_s=ANNA.tap_s + 3.8)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages(renamed=10))
    receipts = json.loads((tmp_path / "out" / "receipts.json").read_text())["receipts"]
    assert "Bread" in [line["name"] for line in receipts[0]["lines"]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_shop_between_two_windows(store, tmp_path, monkeypatch, number):
    """It comes while what the gate has just said, anna's opening, is on its way into the log."""

    def append(self, events, at_ns):
        if any(e.type == "visit-opened" for e in events) and not sent:
            sent.append((os.kill(os.getpid(), number), at_ns))
        written(self, events, at_ns)

    sent, written, before = [], journal.Journal.append, signal.getsignal(number)
    monkeypatch.setattr(journal.Journal, "append", append)
    cameras(store, monkeypatch, until_s=13)
    summary = runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert sent and summary.windows < 20 and signal.getsignal(number) == before
    said = [json.loads(line) for line in (tmp_path / "out" / "events.jsonl").read_text().splitlines()]
    assert [e["shopper_id"] for e in said if e["type"] == "visit-opened"] == ["anna"]

    cameras(store, monkeypatch, until_s=13, from_s=1.5)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages(renamed=10))
    assert shoppers(tmp_path / "out") == ["anna", "ben"]


def test_killed_between_the_log_and_the_gates_memory_what_the_log_says_counts(store, tmp_path, monkeypatch):
    """Anna's bread is in the log and in no saved state when the process dies."""

    class Killed(BaseException):
        pass

    def follow(self, events, at_ns):
        if any(e.type == "shelf-event" and e.products[0].value == BREAD for e in events):
            raise Killed
        saved(self, events, at_ns)

    saved = LiveGate.follow
    monkeypatch.setattr(LiveGate, "follow", follow)
    cameras(store, monkeypatch, until_s=13)
    with pytest.raises(Killed):
        runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    monkeypatch.setattr(LiveGate, "follow", saved)

    cameras(store, monkeypatch, until_s=13, from_s=ANNA.tap_s + 3.6)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages(renamed=10))
    receipts = json.loads((tmp_path / "out" / "receipts.json").read_text())["receipts"]
    assert [r["shopper_id"] for r in receipts] == ["anna", "ben"]
    assert "Bread" in [line["name"] for line in receipts[0]["lines"]]


def test_a_tap_that_was_let_in_by_the_desk_opens_a_visit(store, tmp_path, monkeypatch):
    from calibration.layout import load_layout
    from pipeline.gate.desk import GateDesk
    from pipeline.gate.entry_settings import load_entry_settings
    from pipeline.passes import KeyRing, PassIssuer
    from pipeline.state import Database

    settings = load_entry_settings(store)
    database, ring = Database(settings.state_url), KeyRing.new(START_NS / S - 10)
    clock = {"ns": START_NS + round(ANNA.tap_s * S)}
    desk = GateDesk(
        load_layout(store / "layout.yaml"), database, settings, ring=lambda: ring, clock=lambda: clock["ns"]
    )

    def look(at_s):
        if at_s == 1.0:
            assert desk.tap("gate", "pass", PassIssuer(ring).issue("anna", "tiny", START_NS / S)).open

    cameras(store, monkeypatch, until_s=13, look=look, taps=[])
    summary = runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert shoppers(tmp_path / "out")[0] == "anna" and summary.without_pass == 1  # ben had none
    assert [e.kind for e in desk.entries.open_now()] == [] and desk.entries.waiting() == []
    assert len(shoppers(tmp_path / "out")) == 2 and shoppers(tmp_path / "out")[1] is None
    database.close()


def test_a_recording_that_is_interrupted_is_not_finished(tmp_path, monkeypatch):
    recording = write_recording(tmp_path / "rec")

    def interrupted(opened):
        made = stages()(opened)

        def update(_frame_set):
            raise KeyboardInterrupt

        made.perception.update = update
        return made

    with pytest.raises(KeyboardInterrupt):
        runtime.run(recording, tmp_path / "out", progress=False, stages=interrupted)
    left = {p.name for p in (tmp_path / "out").iterdir()}
    assert left <= {"log.sqlite", "log.sqlite-wal", "log.sqlite-shm", "state.sqlite", "bank.sqlite"}


def test_a_payment_provider_that_takes_its_time_does_not_stop_the_cameras(store, tmp_path, monkeypatch):
    """Three seconds for each capture; a window of the cameras takes milliseconds."""
    capture, gaps, before = Bank.capture, [], [time.monotonic()]

    def slow(self, *args):
        time.sleep(3)
        return capture(self, *args)

    def look(_at_s):
        now = time.monotonic()
        gaps.append(now - before[0])
        before[0] = now
        time.sleep(0.02)

    monkeypatch.setattr(Bank, "capture", slow)
    monkeypatch.setattr(journal, "_AGGREGATE_EVERY_S", 0.0)
    cameras(store, monkeypatch, until_s=13, look=look)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())
    assert max(gaps[1:]) < 2.9
    payments = json.loads((tmp_path / "out" / "payments.json").read_text())["payments"]
    assert sorted((p["shopper_id"], p["state"]) for p in payments) == [("anna", "paid"), ("ben", "paid")]


def test_payments_that_cannot_be_opened_end_a_live_shop_with_one_line(store, tmp_path, monkeypatch):
    (store / "settings.yaml").write_text("payment: {provider: nobody-knows}\n")
    cameras(store, monkeypatch, until_s=13)
    with pytest.raises(PaymentError, match="payment provider 'nobody-knows'"):
        runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages())


def test_health_and_metrics_are_served_while_it_runs(store, tmp_path, monkeypatch):
    port, seen = free_port("127.0.0.1", 18082), {}

    def look(at_s):
        if at_s == 5.0:
            for path in ("/healthz", "/metrics"):
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                    seen[path] = answer.status, answer.read().decode()

    cameras(store, monkeypatch, until_s=6, look=look)
    runtime.run(store, tmp_path / "out", video=False, progress=False, stages=stages(), port=port)
    assert seen["/healthz"][0] == 200 and "walkout_spooled_events" in seen["/metrics"][1]
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5)
