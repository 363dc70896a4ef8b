# SPDX-License-Identifier: AGPL-3.0-or-later
"""How many of the simulated people does a person network find? The simulator's own figure of merit: weights that were
trained on photographs and never saw a simulated person should find them too."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from models.backend import PoseNetwork
from models.evaluate import greedy_matches
from pipeline.errors import RecordingError


@dataclass(frozen=True)
class Recall:
    people: int
    found: int

    @property
    def share(self) -> float:
        return self.found / self.people if self.people else float("nan")


def people_recall(
    network: PoseNetwork,
    recordings: Iterable[Path],
    every: int = 5,
    visible_at_least: float = 0.5,
    iou: float = 0.5,
    min_score: float = 0.25,
) -> Recall:
    """Over every `every`-th picture of every camera: people of whom at least the share `visible_at_least` is seen."""
    people = found = 0
    for recording in recordings:
        truth_file = recording / "truth" / "boxes.npz"
        if not truth_file.exists():
            raise RecordingError(f"{truth_file}: no such file; this figure needs a recording with truth")
        with np.load(truth_file, allow_pickle=False) as file:
            truth = dict(file)
        files = {c["id"]: c["file"] for c in json.loads((recording / "manifest.json").read_text())["cameras"]}
        for index, camera in enumerate(truth["cameras"]):
            mine = (truth["camera"] == index) & (truth["visible"] >= visible_at_least)
            with av.open(str(recording / files[str(camera)])) as container:
                for number, frame in enumerate(container.decode(video=0)):
                    wanted = truth["xyxy_px"][mine & (truth["frame"] == number)]
                    if number % every or not len(wanted):
                        continue
                    (got,) = network.infer([frame.to_ndarray(format="bgr24")])
                    people += len(wanted)
                    found += int((greedy_matches(wanted, got.xyxy_px[got.score >= min_score], iou) >= 0).sum())
    return Recall(people, found)
