# SPDX-License-Identifier: AGPL-3.0-or-later
"""Record, run and score many visits: the figures of a build."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from sim.score import Score, score_run

Recorder = Callable[[str, int, Path], None]
Runner = Callable[[Path, Path], None]


def run_suite(
    scenarios: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    *,
    record: Recorder,
    run: Runner,
    keep_video: bool = True,
    done: Callable[[Score], None] = lambda score: None,
) -> list[Score]:
    """Score every scenario with every seed; `done` is called after each.

    `record(scenario, seed, rec)` and `run(rec, out)` are handed in so that this module needs neither the renderer nor
    the pipeline. Recordings that are already in `folder` are used again; runs are always made anew.
    """
    scores = []
    for scenario in scenarios:
        for seed in seeds:
            recording, out = folder / "rec" / f"{scenario}-s{seed}", folder / "run" / f"{scenario}-s{seed}"
            if not (recording / "manifest.json").exists():
                record(scenario, seed, recording)
            shutil.rmtree(out, ignore_errors=True)
            run(recording, out)
            score = score_run(recording, out)
            (out / "score.json").write_text(json.dumps(score.as_dict(), indent=1), encoding="utf-8")
            if not keep_video:
                shutil.rmtree(recording / "video")
                (recording / "manifest.json").unlink()
            scores.append(score)
            done(score)
    return scores
