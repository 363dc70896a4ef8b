# SPDX-License-Identifier: AGPL-3.0-or-later
"""Live carts from the log to browsers: a real log, its tail, and streams that are read as a browser reads them."""

import asyncio
import json
import threading
from contextlib import asynccontextmanager

import pytest

from pipeline.cart.fold import CartState, fold
from pipeline.cart.live import LiveCarts
from pipeline.cart.price_book import PriceBook
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.errors import EventLogError
from pipeline.eventlog import open_log
from pipeline.messages import StaffDecision
from pipeline.state import Database
from pipeline.web.shopper import hub as hub_module
from pipeline.web.shopper.hub import TOPICS, LiveHub
from pipeline.web.tail import LogTail
from tests.loops import in_a_loop
from tests.unit.cart.events import BREAD, COLA, T0, S, pick, put_back, small_catalogue, visit

BOOK, RULES = PriceBook.of(small_catalogue()), BillingRules()
ANNA = visit(pick(1), pick(2, BREAD), put_back(3))
BEN = visit(pick(4, person="t2", event_id="ben-1"), track="t2", shopper="ben", visit_id="v2", until_s=60)


def parsed(message: bytes):
    """(event, id, data) of one message, None of a comment."""
    fields = dict(line.split(": ", 1) for line in message.decode().strip().splitlines() if not line.startswith(":"))
    return (fields["event"], fields["id"], json.loads(fields["data"])) if "data" in fields else None


class Reader:
    """A browser that reads a stream."""

    def __init__(self, hub, shopper_id, last_id="", **kwargs):
        self._stream = hub.stream(shopper_id, last_id, **kwargs)

    async def next(self):
        while True:
            found = parsed(await asyncio.wait_for(anext(self._stream), 5))
            if found is not None:
                return found

    async def close(self):
        await self._stream.aclose()


@asynccontextmanager
async def reading(hub, shopper_id, last_id="", **kwargs):
    reader = Reader(hub, shopper_id, last_id, **kwargs)
    try:
        yield reader
    finally:
        await reader.close()


@pytest.fixture
def log(tmp_path):
    log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
    yield log
    log.close()


@pytest.fixture
def hub():
    return LiveHub(LiveCarts("shop", BOOK, RULES))


@pytest.fixture
def tail(tmp_path, log, hub):
    tail = LogTail(lambda: open_log(f"sqlite:///{tmp_path}/log.sqlite"), TOPICS, [hub.listen], idle=hub.idle)
    tail.start()
    assert tail.wait(5)
    yield tail
    tail.stop()


def test_what_is_appended_to_the_log_reaches_the_shopper_and_nobody_else(log, hub, tail):
    async def shop():
        async with reading(hub, "anna") as anna, reading(hub, "ben") as ben:
            assert await anna.next() == ("cart", anna_id := f"{hub._epoch}::0", None)
            await ben.next()
            log.append(ANNA[:2])
            event, _, cart = await anna.next()
            assert (event, cart["visit_id"], cart["items"], cart["state"]) == ("cart", "v1", [], "shopping")
            log.append(ANNA[2:3])
            event, number, change = await anna.next()
            assert event == "change" and number != anna_id and change["total_minor"] == 149
            assert [i["gtin"] for i in change["put"]] == [COLA]
            log.append(ANNA[3:5])
            assert [i["gtin"] for i in (await anna.next())[2]["put"]] == [BREAD]
            log.append([*BEN, ANNA[5], receipt_of(fold(CartState(), *ANNA), "v1", BOOK, RULES)])
            seen = []
            while not seen or seen[-1].get("state") != "settled":
                seen.append((await anna.next())[2])
            assert seen[-1]["receipt_id"].startswith("r-")
            assert "ben" not in json.dumps(seen) and "v2" not in json.dumps(seen)
            assert (await ben.next())[2]["visit_id"] == "v2"
        assert hub.watching() == 0

    in_a_loop(shop)


def test_a_browser_that_comes_back_misses_nothing(hub):
    async def shop():
        hub.listen(ANNA[:2])
        async with reading(hub, "anna") as first:
            _, number, _ = await first.next()
        hub.listen(ANNA[2:3])
        hub.listen(ANNA[3:4])
        async with reading(hub, "anna", number) as again:
            assert [(await again.next())[2]["seq"] for _ in range(2)] == [1, 2]
        for nonsense in (
            "",
            "x:v1:1",
            f"{hub._epoch}:v1:",
            f"{hub._epoch}:v2:1",
            f"{hub._epoch}:v1:{'9' * 50}",
            "::::",
        ):
            async with reading(hub, "anna", nonsense) as other:
                event, _, cart = await other.next()
                assert event == "cart" and len(cart["items"]) == 2, nonsense
        hub.listen([put_back(30 + k, event_id=f"r{k}") if k % 2 else pick(30 + k, event_id=f"r{k}") for k in range(2)])
        for k in range(100):  # longer away than changes are kept
            hub.listen([(put_back if k % 2 else pick)(40 + k / 10, BREAD, event_id=f"s{k}")])
        async with reading(hub, "anna", number) as late:
            assert (await late.next())[0] == "cart"

    in_a_loop(shop)


def test_a_receipt_is_told_to_who_was_there_and_not_to_who_comes_later(hub):
    async def shop():
        hub.listen(ANNA[:5])
        async with reading(hub, "anna") as there:
            _, number, _ = await there.next()
        hub.listen([*ANNA, receipt_of(fold(CartState(), *ANNA), "v1", BOOK, RULES)])
        assert hub.cart_of("anna") is None
        async with reading(hub, "anna", number) as back:
            states = [(await back.next())[2].get("state"), (await back.next())[2].get("state")]
            assert "settled" in states
        async with reading(hub, "anna") as later:
            assert (await later.next())[2] is None

    in_a_loop(shop)


def test_a_browser_that_does_not_keep_up_is_let_go(hub, monkeypatch):
    monkeypatch.setattr(hub_module, "_QUEUE", 8)

    async def shop():
        hub.listen(ANNA[:2])
        async with reading(hub, "anna") as slow:
            _, number, _ = await slow.next()
            for k in range(40):
                hub.listen([pick(10 + k, event_id=f"m{k}")])
            await asyncio.sleep(0.05)  # the changes have come into the loop
            with pytest.raises(StopAsyncIteration):
                await slow.next()
        async with reading(hub, "anna", number) as again:
            assert [(await again.next())[2]["seq"] for _ in range(40)] == list(range(1, 41))

    in_a_loop(shop)


def test_a_quiet_stream_beats_and_ends_when_it_may_not_go_on(hub):
    async def shop():
        stream = hub.stream("anna", heartbeat_s=0.02, lifetime_s=0.2)
        messages = [m async for m in stream]
        assert sum(m.startswith(b":") for m in messages) >= 3

        async def no() -> bool:
            return False

        signed_out = hub.stream("anna", heartbeat_s=0.02, may_go_on=no)
        assert len([m async for m in signed_out]) == 2
        assert hub.watching() == 0

    in_a_loop(shop)


def test_a_visit_that_staff_give_to_somebody_changes_hands(hub):
    async def shop():
        hub.listen([*ANNA[:3]])
        named = StaffDecision(
            event_id="n", store_id="shop", at_ns=T0 + 9 * S, visit_id="v1", decision="payer-named", staff_id="s",
            shopper_id="ben",
        )  # fmt: skip
        async with reading(hub, "anna") as anna, reading(hub, "ben") as ben:
            await anna.next()
            await ben.next()
            hub.listen([named])
            assert (await anna.next())[2] is None
            assert [i["gtin"] for i in (await ben.next())[2]["items"]] == [COLA]

    in_a_loop(shop)


def test_what_the_desk_notes_is_seen_without_the_log(tmp_path):
    from pipeline.cart.desk import Desk

    database = Database(f"sqlite:///{tmp_path}/state.sqlite")
    hub = LiveHub(LiveCarts("shop", BOOK, RULES), database)
    doubtful = pick(1, {COLA: 0.5, BREAD: 0.45})

    async def shop():
        hub.listen([*ANNA[:2], doubtful])
        async with reading(hub, "anna") as anna:
            assert (await anna.next())[2]["items"][0]["state"] == "checking"
            decision = StaffDecision(
                event_id="d", store_id="shop", at_ns=T0 + 9 * S, visit_id="v1", decision="bill", staff_id="s"
            )
            Desk(database, BOOK).decide(decision)
            for _ in range(4):
                hub.idle()
            assert [i["state"] for i in (await anna.next())[2]["put"]] == ["sure"]

    in_a_loop(shop)
    database.close()


def test_a_tail_that_starts_late_knows_who_is_inside(tmp_path, log, hub):
    log.append(ANNA[:4])
    tail = LogTail(lambda: open_log(f"sqlite:///{tmp_path}/log.sqlite"), TOPICS, [hub.listen])
    tail.start()
    assert tail.wait(5) and len(hub.cart_of("anna").items) == 2
    tail.stop()


def test_a_log_that_is_away_is_tried_again(tmp_path, log):
    tries, heard = [], threading.Event()

    def opening():
        tries.append(1)
        if len(tries) == 1:
            raise EventLogError("away")
        return open_log(f"sqlite:///{tmp_path}/log.sqlite")

    def broken(events):
        raise RuntimeError("a listener of ours fails; the others hear it all the same")

    log.append(ANNA[:1])
    tail = LogTail(opening, TOPICS, [broken, lambda events: heard.set()])
    tail.start()
    assert heard.wait(5) and len(tries) == 2
    tail.stop()
