# SPDX-License-Identifier: AGPL-3.0-or-later
"""The live carts of a store, kept once a process, and streamed to any number of shoppers' browsers.

The carts are folded in the log tail's thread; each browser has a bounded queue in its own event loop. A browser that
does not keep up is let go: it connects again, says what it has seen last, and gets what it missed or the whole cart.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import uuid
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from fastapi.sse import KEEPALIVE_COMMENT, format_sse_event

from pipeline.cart import desk
from pipeline.cart.live import LiveCarts
from pipeline.cart.live_view import Change, LiveCart
from pipeline.errors import StateError
from pipeline.messages import Event
from pipeline.state import Database

logger = logging.getLogger(__name__)

TOPICS = ("walkout.visits", "walkout.shelf-events", "walkout.receipts")
_HISTORY = 64
"""Changes of a visit that a browser may have missed and still gets one by one."""
_QUEUE = 64
_HEARTBEAT_S = 15.0
_LIFETIME_S = 300.0
"""After so long a browser connects anew, and whether it still may is looked at again."""
_DESK_EVERY = 4
"""Idle calls between two looks at what the staff's desk noted: about a second."""
_RETRY_MS = 1500


@dataclass(eq=False)
class _Browser:
    """One stream. `dropped`: it did not keep up."""

    shopper_id: str
    loop: asyncio.AbstractEventLoop
    queue: asyncio.Queue[bytes] = field(default_factory=lambda: asyncio.Queue(_QUEUE))
    dropped: bool = False

    def put(self, messages: Sequence[bytes]) -> None:
        """In the browser's loop."""
        for message in messages:
            try:
                self.queue.put_nowait(message)
            except asyncio.QueueFull:
                self.dropped = True
                return


class LiveHub:
    """Feed it with a `LogTail`: `listen` and `idle`; read it from request handlers.

    `database`: where the staff's desk notes coupons and decisions, which are not in the log.
    """

    def __init__(self, carts: LiveCarts, database: Database | None = None) -> None:
        self._carts, self._database = carts, database
        self._lock = threading.Lock()
        self._browsers: dict[str, list[_Browser]] = defaultdict(list)
        self._history: dict[str, deque[tuple[int, bytes]]] = {}
        self._payers: dict[str, str | None] = {}
        self._epoch = uuid.uuid4().hex[:8]
        self._idled = 0

    # --- from the log ---

    def listen(self, events: Sequence[Event]) -> None:
        """Fold events in and send what changed."""
        with self._lock:
            out: dict[_Browser, list[bytes]] = defaultdict(list)
            for cart, change in self._carts.take(events):
                self._sort(cart, change, out)
            for browser, messages in out.items():
                browser.loop.call_soon_threadsafe(browser.put, messages)

    def idle(self) -> None:
        """See now and then what the desk noted for visits that are open."""
        self._idled += 1
        if self._idled % _DESK_EVERY == 0 and self.watching():
            self.look()

    def look(self) -> None:
        """See at once what the desk noted."""
        with self._lock:
            visits = self._carts.open_visits()
        if visits and self._database is not None:
            try:
                with self._database.transaction() as db:
                    noted = desk.noted(db, visits)
            except StateError as error:
                logger.warning("the desk's notes are not seen at the moment: %s", error)
                return
            if events := [event for found in noted.values() for event in found]:
                self.listen(events)

    # --- from pages ---

    def cart_of(self, shopper_id: str) -> LiveCart | None:
        """The shopper's open visit; None when they are not inside."""
        with self._lock:
            cart = self._carts.of_shopper(shopper_id)
        return cart if cart is not None and cart.state != "settled" else None

    def watching(self) -> int:
        """How many browsers are connected."""
        with self._lock:
            return sum(len(browsers) for browsers in self._browsers.values())

    async def stream(
        self,
        shopper_id: str,
        last_id: str = "",
        *,
        heartbeat_s: float = _HEARTBEAT_S,
        lifetime_s: float = _LIFETIME_S,
        may_go_on: Callable[[], Awaitable[bool]] | None = None,
    ) -> AsyncIterator[bytes]:
        """Server-sent events `cart` (all of it, or null) and `change`, until the browser goes or its time is over."""
        loop = asyncio.get_running_loop()
        browser = _Browser(shopper_id, loop)
        with self._lock:  # nothing is missed between the first message and the first change
            first = self._first(shopper_id, last_id)
            self._browsers[shopper_id].append(browser)
        try:
            yield format_sse_event(retry=_RETRY_MS, comment="walkout")
            for message in first:
                yield message
            ends = loop.time() + lifetime_s
            while not browser.dropped and loop.time() < ends:
                try:
                    yield await asyncio.wait_for(browser.queue.get(), min(heartbeat_s, ends - loop.time()))
                except TimeoutError:
                    if may_go_on is not None and not await may_go_on():
                        return
                    yield KEEPALIVE_COMMENT
        finally:
            with self._lock:
                self._browsers[shopper_id].remove(browser)
                if not self._browsers[shopper_id]:
                    del self._browsers[shopper_id]

    # --- messages ---

    def _sort(self, cart: LiveCart, change: Change | None, out: dict[_Browser, list[bytes]]) -> None:
        """Who is told what. A cart that goes to another payer leaves the one's page and appears on the other's."""
        visit_id = cart.visit_id
        before = self._payers.get(visit_id, cart.shopper_id)
        self._payers[visit_id] = cart.shopper_id
        if before != cart.shopper_id and before is not None:
            for browser in self._browsers.get(before, ()):
                out[browser].append(self._message("cart", None, None))
        history = self._history.setdefault(visit_id, deque(maxlen=_HISTORY))
        if change is None or before != cart.shopper_id:
            history.clear()  # what went before was another's
            message = self._message("cart", cart, cart.as_dict())
        else:
            message = self._message("change", cart, change.as_dict())
            history.append((cart.seq, message))
        for browser in self._browsers.get(cart.shopper_id or "", ()):
            out[browser].append(message)
        self._forget_old()

    def _first(self, shopper_id: str, last_id: str) -> list[bytes]:
        """What a browser that connects is told: what it missed, or all there is."""
        cart = self._carts.of_shopper(shopper_id)
        if cart is None:
            return [self._message("cart", None, None)]
        epoch, _, rest = last_id.partition(":")
        visit_id, _, seq = rest.rpartition(":")
        seen = int(seq) if seq.isascii() and seq.isdigit() and len(seq) < 12 else -1
        resumes = (epoch, visit_id) == (self._epoch, cart.visit_id)
        if not resumes:  # a bill that was made before this browser came is among the receipts
            return [self._message("cart", *((cart, cart.as_dict()) if cart.state != "settled" else (None, None)))]
        missed = [(n, message) for n, message in self._history.get(visit_id, ()) if n > seen]
        if seen == cart.seq or (missed and missed[0][0] == seen + 1):
            return [message for _, message in missed]
        return [self._message("cart", cart, cart.as_dict())]

    def _message(self, event: str, cart: LiveCart | None, data: dict | None) -> bytes:
        number = f"{self._epoch}:{cart.visit_id}:{cart.seq}" if cart is not None else f"{self._epoch}::0"
        return format_sse_event(event=event, id=number, data_str=json.dumps(data, separators=(",", ":")))

    def _forget_old(self) -> None:
        """Of visits that the carts have forgotten nothing stays here."""
        if len(self._history) > 2_000:
            for visit_id in [v for v in self._history if self._carts.cart(v) is None]:
                del self._history[visit_id]
                self._payers.pop(visit_id, None)
