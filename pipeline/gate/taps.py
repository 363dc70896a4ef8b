# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where taps come from: a recording's, or a file to which a live gate's reader appends."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from calibration.layout import StoreLayout
from pipeline.capture.recording import GateTap

logger = logging.getLogger(__name__)

FILE = "gate.jsonl"


class Taps(Protocol):
    def until(self, at_ns: int) -> list[GateTap]:
        """The taps before `at_ns` that have not been given yet, in time order."""


class RecordedTaps:
    def __init__(self, taps: Sequence[GateTap]) -> None:
        self._waiting = sorted(taps, key=lambda t: t.at_ns)

    def until(self, at_ns: int) -> list[GateTap]:
        due = [t for t in self._waiting if t.at_ns < at_ns]
        self._waiting = self._waiting[len(due) :]
        return due


class GateFile:
    """Follows `gate.jsonl` in a store's folder: what is appended after the start is a tap. A line that is none, or
    names a gate that the layout does not have, is logged and skipped: a gate must not stop the shop."""

    def __init__(self, folder: Path, layout: StoreLayout) -> None:
        self._path = folder / FILE
        self._gates = {gate.id for gate in layout.gates}
        self._read_to = self._path.stat().st_size if self._path.exists() else 0
        self._waiting: list[GateTap] = []

    def until(self, at_ns: int) -> list[GateTap]:
        self._follow()
        self._waiting.sort(key=lambda t: t.at_ns)
        due = [t for t in self._waiting if t.at_ns < at_ns]
        self._waiting = self._waiting[len(due) :]
        return due

    def _follow(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read_to)
                new = file.read()
        except FileNotFoundError:
            return
        whole, found, _ = new.rpartition(b"\n")  # a line still being written waits
        if not found:
            return
        self._read_to += len(whole) + 1
        for line in whole.splitlines():
            if line.strip():
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            tap = GateTap(**json.loads(line))
            if tap.gate_id not in self._gates or type(tap.at_ns) is not int:
                raise ValueError(f"gate {tap.gate_id!r} at {tap.at_ns!r}")
        except (ValueError, TypeError) as error:
            logger.warning("%s: not a gate tap, skipped: %s", self._path, error)
            return
        self._waiting.append(tap)
