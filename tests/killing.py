# SPDX-License-Identifier: AGPL-3.0-or-later
"""Work in a process of its own that is killed with SIGKILL at one of its steps."""

from __future__ import annotations

import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path


class Steps:
    """Counts the steps of this process and kills it at one of them; 0: at none."""

    def __init__(self, kill_at: int) -> None:
        self.made, self._kill_at = 0, kill_at

    def __call__(self, *_) -> None:
        self.made += 1
        if self.made == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def in_a_process(work: Callable[[Path, Steps], None], folder: Path, kill_at: int = 0) -> tuple[int, int]:
    """How `work(folder, steps)` ended in a process of its own, and how many steps it made (0 where it was killed)."""
    count = folder / "steps"
    child = os.fork()
    if not child:
        code = 1
        try:
            step = Steps(kill_at)
            work(folder, step)
            count.write_text(str(step.made))
            code = 0
        except BaseException:
            traceback.print_exc()
        os._exit(code)
    _, status = os.waitpid(child, 0)
    ended = os.waitstatus_to_exitcode(status)
    return ended, int(count.read_text()) if ended == 0 else 0
