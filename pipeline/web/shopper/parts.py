# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the shopper's pages and API call: the rooms of one site, opened when somebody first asks."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

from pipeline.cart.live import LiveCarts
from pipeline.cart.records import Records
from pipeline.cart.wallet import Wallet
from pipeline.errors import PassKeyError
from pipeline.eventlog import open_log
from pipeline.gate.entry_settings import load_entry_settings
from pipeline.passes.issuing import PassDesk, following
from pipeline.passes.keys import KeyRing
from pipeline.payment.accounts import list_payments
from pipeline.site import Site
from pipeline.web.pictures import ProductPictures
from pipeline.web.shopper.hub import TOPICS, LiveHub
from pipeline.web.tail import LogTail

logger = logging.getLogger(__name__)

RUN_RING = "passes.json"
"""Keys of a recorded run, whose gates nobody stands at: made where they are missing, so that a pass can be seen."""
_KNOWN_WITHIN_S = 5.0


class Shopping:
    """Of one site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.records = Records(site.database, site.store_id)
        self.wallet = Wallet(site.database, site.desk, site.shop.prices, site.clock)
        self.pictures = ProductPictures(site.shop.folder, site.shop.catalogue)
        self.passes = _pass_desk(site)
        self._hub = LiveHub(
            LiveCarts(site.store_id, site.shop.prices, site.shop.settings.billing), site.database
        )  # fmt: skip
        self._tail: LogTail | None = None
        self._lock = threading.Lock()

    def hub(self) -> LiveHub:
        """The live carts; the log is followed from the first time that somebody asks."""
        with self._lock:
            if self._tail is None:
                self._tail = LogTail(
                    lambda: open_log(self.site.log_url), TOPICS, [self._hub.listen], idle=self._hub.idle
                )  # fmt: skip
                self._tail.start()
        if not self._tail.wait(_KNOWN_WITHIN_S):
            logger.warning("the log has not been read to its end yet: carts may come a moment later")
        return self._hub

    def close(self) -> None:
        with self._lock:
            if self._tail is not None:
                self._tail.stop()
                self._tail = None

    def payment(self, visit_id: str, shopper_id: str) -> dict | None:
        """What became of the payment of a visit of this shopper's."""
        found = list_payments(self.site.database, shopper_id=shopper_id)
        return next((p for p in found if p["visit_id"] == visit_id), None)


def _pass_desk(site: Site) -> PassDesk | None:
    """None where this store makes no passes, and the reason is logged."""
    try:
        return PassDesk(following(_ring(site)), site.store_id)
    except PassKeyError as error:
        logger.warning("no passes on shoppers' phones here: %s", error)
        return None


def _ring(site: Site) -> Path:
    settings = load_entry_settings(site.shop.folder)
    if (ring := settings.pass_ring or settings.key_ring) is not None:
        return ring
    if site.run is None:
        raise PassKeyError("entry.yaml names neither pass_ring nor key_ring")
    path = site.run / RUN_RING
    if not path.exists():
        KeyRing.new(site.clock() / 1e9).save(path)
    return path
