# SPDX-License-Identifier: AGPL-3.0-or-later
"""How much of the bare network's speed the whole path keeps.

    python tests/benchmarks/bench_path.py REC [--person-weights NAME_OR_PATH] [--product-weights none] [--json]

Runs the network alone on pictures of the recording that are already decoded and small, then the whole path on the
recording (`walkout run` with video: decoding, network, tracking, shelf, event log, carts, film), then the network alone
again, and prints camera-frames a second of each, their ratio and the share of real time. Cameras where nobody is and
nothing moves are looked at less often, and of the others mostly the part where people are: the shares of pictures that
were looked at, and of their area, are printed too.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

from models.backend import PoseNetwork
from pipeline import runtime
from pipeline.capture.recording import Recording
from pipeline.capture.window import capture_recording
from pipeline.frames import SMALL_SIDE_PX
from pipeline.settings import load_settings
from pipeline.shop import Shop, Stages, load_stages

PICTURES = 200


def bare_network(network: PoseNetwork, pictures: list, batch: int) -> float:
    """Pictures a second, given a window's worth at a time."""
    network.infer(pictures[:batch])
    begin = time.perf_counter()
    for k in range(0, len(pictures), batch):
        network.infer(pictures[k : k + batch])
    return len(pictures) / (time.perf_counter() - begin)


def some_pictures(recording: Recording) -> list:
    """`PICTURES` small pictures from all over the recording, all cameras."""
    pictures = []
    windows = max(1, round(recording.duration_s * 10))
    every = max(1, windows * len(recording.videos) // PICTURES)
    with capture_recording(recording) as capture:
        for frame_set in capture:
            if frame_set.index % every == 0:
                pictures += [frame.small for frame in frame_set.frames.values()]
    return pictures[:PICTURES]


class Counting:
    """Counts the pictures that reach the network, and how much of their cameras' width."""

    def __init__(self, network: PoseNetwork) -> None:
        self._network, self.pictures, self.widths = network, 0, 0.0
        self.weights, self.parts = network.weights, network.parts

    def infer(self, images):
        self.pictures += len(images)
        self.widths += sum(image.shape[1] / SMALL_SIDE_PX for image in images)
        return self._network.infer(images)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", type=Path)
    parser.add_argument("--person-weights")
    parser.add_argument("--product-weights")
    parser.add_argument("--no-video", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    recording = Recording.open(options.recording)
    weights = options.person_weights or load_settings(options.recording).person_weights
    network = PoseNetwork(weights)
    pictures = some_pictures(recording)
    cameras = len(recording.videos)
    counting = Counting(network)

    def stages(shop: Shop) -> Stages:
        settings = shop.settings.model_copy(
            update={
                "person_weights": weights,
                "product_weights": options.product_weights or shop.settings.product_weights,
            }
        )
        return load_stages(shop, settings, people=counting)

    before = bare_network(network, pictures, cameras)
    with tempfile.TemporaryDirectory() as out:
        summary = runtime.run(options.recording, out, video=not options.no_video, progress=False, stages=stages)
    after = bare_network(network, pictures, cameras)
    bare = (before + after) / 2
    figures = {
        "bare_network_per_s": round(bare, 1),
        "bare_network_before_after_per_s": [round(before, 1), round(after, 1)],
        "path_camera_frames_per_s": summary.camera_frames_per_s,
        "ratio": round(summary.camera_frames_per_s / bare, 2),
        "looked_at": round(counting.pictures / summary.camera_frames, 2),
        "looked_at_area": round(counting.widths / summary.camera_frames, 2),
        "realtime_factor": summary.realtime_factor,
        "stages_s": summary.stages_s,
    }
    if options.json:
        print(json.dumps(figures))
        return
    for key, value in figures.items():
        print(f"{key:32} {value}")


if __name__ == "__main__":
    main()
