# SPDX-License-Identifier: AGPL-3.0-or-later
import threading
import time

import pytest

from pipeline.ahead import ahead
from tests.waiting import until


def test_the_same_items_in_the_same_order():
    assert list(ahead(iter(range(100)))) == list(range(100))
    assert list(ahead([])) == []


def test_the_next_one_is_made_meanwhile_and_not_more():
    made = []

    def items():
        for k in range(6):
            made.append(k)
            yield k

    windows = ahead(items())
    next(windows)
    until(lambda: len(made) == 3)  # one in hand, one waiting, one in the maker's hands
    time.sleep(0.1)
    assert made == [0, 1, 2]
    windows.close()


def test_what_fails_in_the_making_is_raised_after_what_was_made_before():
    def items():
        yield 1
        raise OSError("the camera is gone")

    windows = ahead(items())
    assert next(windows) == 1
    with pytest.raises(OSError, match="camera is gone"):
        next(windows)


def test_closing_ends_the_making():
    ended = threading.Event()

    def items():
        try:
            while True:
                yield 1
        finally:
            ended.set()

    windows = ahead(items())
    next(windows)
    windows.close()
    assert ended.wait(5)
    assert not [t for t in threading.enumerate() if t.name == "ahead"]
