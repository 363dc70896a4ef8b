# SPDX-License-Identifier: AGPL-3.0-or-later
"""Two gates with one PostgreSQL behind them decide together who comes in."""

import threading

import pytest

from pipeline.gate.desk import GateDesk
from pipeline.gate.entry_settings import EntrySettings
from pipeline.passes import KeyRing, PassIssuer
from pipeline.state import Database
from tests.integration.gate.conftest import START_NS, S, layout

__all__ = ["layout"]


@pytest.fixture
def database(state_url):
    database = Database(state_url)
    yield database
    database.close()


def test_of_two_good_passes_of_one_shopper_at_two_gates_at_once_one_opens(layout, database):
    ring = KeyRing.new(START_NS / S - 1000)
    issuer = PassIssuer(ring)
    gates = ("gate", "back")
    desks = {
        gate: GateDesk(layout, database, EntrySettings(), ring=lambda: ring, clock=lambda: START_NS) for gate in gates
    }
    for number in range(30):
        passes = {gate: issuer.issue(f"shopper-{number}", "shop", START_NS / S) for gate in gates}
        reasons, ready = [], threading.Barrier(len(gates))

        def show(gate, passes=passes, reasons=reasons, ready=ready):
            ready.wait()
            reasons.append(desks[gate].tap(gate, "pass", passes[gate]).reason)

        threads = [threading.Thread(target=show, args=(gate,)) for gate in gates]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(reasons) == ["already-inside", "open"]
