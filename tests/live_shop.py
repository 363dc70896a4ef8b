# SPDX-License-Identifier: AGPL-3.0-or-later
"""The scripted shop as a store with live cameras."""

from __future__ import annotations

import contextlib
import json
import shutil
from pathlib import Path

import numpy as np

from pipeline import shop
from pipeline.messages import Frame, FrameSet
from tests import scripted_shop
from tests.scripted_shop import ANNA, BEN, S, write_recording

WINDOW_NS = S // 10


def write_store(folder: Path) -> Path:
    """A store's folder: what a recording has, without the recording."""
    store = write_recording(folder)
    for name in ("manifest.json", "gate.jsonl"):
        (store / name).unlink()
    shutil.rmtree(store / "video")
    return store


def cameras(store, monkeypatch, *args, **kwargs):
    """As `capture_of`, in place of real ones for this test."""
    monkeypatch.setattr(shop, "capture_store", capture_of(store, *args, **kwargs))


def capture_of(store, until_s, look=lambda at_s: None, from_s=0.0, taps=(ANNA, BEN), begun=lambda: None):
    """Cameras that work until somebody presses Ctrl-C; people show their passes at the reader meanwhile. They begin at
    `scripted_shop.START_NS`, as it is when the first picture is taken; `look`: called at each
    window's second; `begun`: before the first."""

    shown = []

    class Shown:
        def __iter__(self):
            return windows()

        def between(self, camera_id, t0_ns, t1_ns):
            return iter([f for f in shown if f.camera_id == camera_id and t0_ns <= f.captured_at_ns <= t1_ns])

    @contextlib.contextmanager
    def capture(_layout, _on_status, ring=None):
        assert ring is None or ring().bytes == 0
        yield Shown()

    def windows():
        waiting = [v for v in taps if v.tap_s >= from_s]
        begun()
        start_ns = scripted_shop.START_NS
        for k in range(round(from_s * 10), round(until_s * 10)):
            begin = start_ns + k * WINDOW_NS
            for visitor in [v for v in waiting if start_ns + v.tap_s * S < begin + WINDOW_NS]:
                waiting.remove(visitor)
                tap = {"at_ns": start_ns + round(visitor.tap_s * S), "gate_id": "gate", "shopper_id": visitor.name}
                with (store / "gate.jsonl").open("a") as file:
                    file.write(json.dumps(tap) + "\n")
            look(k / 10)
            frame = Frame("cam1", begin + WINDOW_NS // 2, np.zeros((48, 64, 3), np.uint8))
            shown.append(frame)
            yield FrameSet(k, begin, WINDOW_NS, {"cam1": frame})
        raise KeyboardInterrupt

    return capture
