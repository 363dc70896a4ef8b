# SPDX-License-Identifier: AGPL-3.0-or-later
"""`python -m tests.slow_run RECORDING RUN GO`: a run of the scripted shop at about the pace of its footage, so that
there is something to watch. It begins when the file GO is there."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from pipeline import runtime
from pipeline.shop import Shop, Stages
from tests.scripted_shop import stages

_WINDOW_S = 0.1


def at_pace(shop: Shop) -> Stages:
    made = stages()(shop)
    look = made.perception.update

    def update(frame_set):
        while not Path(sys.argv[3]).exists():
            time.sleep(_WINDOW_S)
        time.sleep(_WINDOW_S)
        return look(frame_set)

    made.perception.update = update
    return made


if __name__ == "__main__":
    runtime.run(Path(sys.argv[1]), Path(sys.argv[2]), video=False, progress=False, stages=at_pace)
