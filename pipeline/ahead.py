# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two stages at a time: the next item is made while the one before is worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

ENDING_S = 10.0


def ahead(items: Iterable[T], depth: int = 1) -> Iterator[T]:
    """The same items in the same order, made by a thread of their own that is at most `depth` + 1 of them ahead.

    What the making raises is raised here, after the items before it. Ends the making when it is closed; an item that
    is being made then is finished first, or left to itself after `ENDING_S`.
    """
    made: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(depth)
    over = threading.Event()

    def put(item: T | None, error: BaseException | None) -> bool:
        while not over.is_set():
            try:
                made.put((item, error), timeout=0.2)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put(item, None):
                    return
        except BaseException as error:
            put(None, error)
        else:
            put(None, StopIteration())
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    maker = threading.Thread(target=make, name="ahead", daemon=True)
    maker.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, StopIteration):
                return
            if error is not None:
                raise error
            yield item
    finally:
        over.set()
        maker.join(ENDING_S)
