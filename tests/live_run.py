# SPDX-License-Identifier: AGPL-3.0-or-later
"""`python -m tests.live_run STORE OUT GO [LOG_URL]`: the scripted shop with live cameras, now and at their own pace.
They begin when the file GO is there, and end when the file GO.end is."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pipeline import runtime, shop
from tests import scripted_shop
from tests.live_shop import capture_of


def begun() -> None:
    while not Path(sys.argv[3]).exists():
        time.sleep(0.05)
    scripted_shop.START_NS = time.time_ns()


def look(at_s: float) -> None:
    late_s = at_s + 0.1 - (time.time_ns() - scripted_shop.START_NS) / 1e9
    time.sleep(max(late_s, 0.0))
    if Path(f"{sys.argv[3]}.end").exists():
        raise KeyboardInterrupt


if __name__ == "__main__":
    shop.capture_store = capture_of(Path(sys.argv[1]), 600, look, begun=begun)
    log_url = sys.argv[4] if len(sys.argv) > 4 else None
    runtime.run(Path(sys.argv[1]), Path(sys.argv[2]), log_url=log_url, progress=False, stages=scripted_shop.stages())
