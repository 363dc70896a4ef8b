# SPDX-License-Identifier: AGPL-3.0-or-later
"""Runs of a visit on today's build, in the background of the process that serves the pages: one at a time, because
each loads the networks. They are gone with the process; what is worth keeping becomes a regression case."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.errors import WalkoutError
from pipeline.reasons import RUN_BROKE

logger = logging.getLogger(__name__)

_KEPT = 50


@dataclass
class ReplayJob:
    """`result`: what the run returned, once it is done. `error`: what a person can read, when it failed."""

    replay_id: str
    case_id: str
    by: str
    state: Literal["waiting", "running", "done", "failed"] = "waiting"
    result: Any = None
    error: str = ""
    started: float = field(default_factory=time.monotonic)
    ended: float | None = None

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.started

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed")


class Replays:
    """`run`: from case id and who asked to what is shown; may take a minute."""

    def __init__(self, run: Callable[[str, str], Any]) -> None:
        self._run = run
        self._jobs: dict[str, ReplayJob] = {}
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="replay")

    def start(self, case_id: str, by: str) -> ReplayJob:
        """A run of this case's visit; the one that is on already, where there is one."""
        with self._lock:
            for job in self._jobs.values():
                if job.case_id == case_id and not job.over:
                    return job
            job = ReplayJob(secrets.token_urlsafe(12), case_id, by)
            self._jobs[job.replay_id] = job
            for old in [j for j in self._jobs.values() if j.over][: max(0, len(self._jobs) - _KEPT)]:
                del self._jobs[old.replay_id]
        self._worker.submit(self._work, job)
        return job

    def find(self, replay_id: str) -> ReplayJob | None:
        return self._jobs.get(replay_id)

    def close(self, wait: bool = False) -> None:
        """No more runs; those that wait are forgotten, unless they are waited for."""
        self._worker.shutdown(wait=wait, cancel_futures=not wait)

    def _work(self, job: ReplayJob) -> None:
        job.state = "running"
        try:
            job.result = self._run(job.case_id, job.by)
            job.state = "done"
        except WalkoutError as error:
            job.error, job.state = str(error), "failed"
        except Exception:
            number = secrets.token_hex(6)
            logger.exception("replay %s of case %s: error %s", job.replay_id, job.case_id, number)
            job.error, job.state = RUN_BROKE.format(number=number), "failed"
        finally:
            job.ended = time.monotonic()
