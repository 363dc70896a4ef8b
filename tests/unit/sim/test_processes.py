# SPDX-License-Identifier: AGPL-3.0-or-later
"""Workers of a process that was killed."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import until

PARENT = """
import multiprocessing, os, sys, time
from sim.processes import end_with_parent, worker_context

def work(own_id):
    end_with_parent()
    own_id.put(os.getpid())
    time.sleep(600)

if __name__ == "__main__":
    context = worker_context() if sys.argv[1] == "forkserver" else multiprocessing.get_context(sys.argv[1])
    own_id = context.Queue()
    context.Process(target=work, args=(own_id,), daemon=True).start()
    print(own_id.get(), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_ends_with_a_parent_that_is_killed(tmp_path, method):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = Path(__file__).parents[3]
    parent = subprocess.Popen(
        [sys.executable, str(script), method], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    try:
        worker = int(parent.stdout.readline())
        assert _runs(worker)
    finally:
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until(lambda: not _runs(worker), "the worker goes on", 20)


def _runs(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
