# SPDX-License-Identifier: AGPL-3.0-or-later
"""Live carts of a chain: the log is a real broker's, and every web process reads all of it."""

import pytest

from pipeline.cart.live import LiveCarts
from pipeline.cart.price_book import PriceBook
from pipeline.cart.rules import BillingRules
from pipeline.eventlog import open_log
from pipeline.web.shopper.hub import TOPICS, LiveHub
from pipeline.web.tail import LogTail
from tests.unit.cart.events import BREAD, COLA, pick, small_catalogue, visit
from tests.waiting import until

pytestmark = pytest.mark.kafka


def test_two_web_processes_show_the_same_cart(shared_broker):
    url = f"kafka://{shared_broker.address}?timeout_s=30"
    log = open_log(url)
    opened, bound, first, second, _ = visit(pick(1), pick(2, BREAD))
    log.append([opened, bound, first])
    hubs = [LiveHub(LiveCarts("shop", PriceBook.of(small_catalogue()), BillingRules())) for _ in range(2)]
    tails = [LogTail(lambda: open_log(url), TOPICS, [hub.listen]) for hub in hubs]
    try:
        for tail, hub in zip(tails, hubs, strict=True):
            tail.start()
            assert tail.wait(60)
            assert [i.gtin for i in hub.cart_of("anna").items] == [COLA]
        log.append([second])
        until(lambda: all(len(hub.cart_of("anna").items) == 2 for hub in hubs))
    finally:
        for tail in tails:
            tail.stop()
        log.close()
