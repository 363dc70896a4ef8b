# SPDX-License-Identifier: AGPL-3.0-or-later
"""A service's cycle collector looks rarely, and still looks."""

import gc
import weakref

import pytest

from pipeline.observe.service import Service


@pytest.fixture
def collector():
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)
    gc.unfreeze()


def test_a_service_looks_for_cycles_rarely_and_finds_them(collector):
    class Node:
        pass

    with Service("test"):
        assert gc.get_threshold()[0] >= 10_000 and gc.isenabled()
        node = Node()
        node.itself = node
        gone = weakref.ref(node)
        del node
        kept = [[n] for n in range(2 * gc.get_threshold()[0])]
        assert gone() is None and kept
