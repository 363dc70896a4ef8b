# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who has come in and gone out: passes at the gate, bound to people on the floor, until they cross the exit line."""

from pipeline.gate.departures import Exit
from pipeline.gate.keeper import GateKeeper, GateUpdate
from pipeline.gate.settings import GateSettings

__all__ = ["Exit", "GateKeeper", "GateSettings", "GateUpdate"]
