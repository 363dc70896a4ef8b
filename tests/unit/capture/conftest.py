# SPDX-License-Identifier: AGPL-3.0-or-later
"""Small recordings made on the spot."""

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import yaml

START_NS = 1_700_000_000_000_000_000
SIZE_PX = (160, 96)
MILLISECOND = Fraction(1, 1000)


def write_video(path: Path, times_s, size_px=SIZE_PX, **container_options) -> Path:
    """One grey picture for each time, 4 grey levels brighter than the one before, from 40."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options) as out:
        stream = out.add_stream("libx264", rate=10)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p"
        stream.time_base = stream.codec_context.time_base = MILLISECOND
        stream.options = {"preset": "ultrafast", "g": "5", "bf": "0"}
        for k, t in enumerate(times_s):
            noise = np.random.default_rng(k).integers(0, 3, (size_px[1], size_px[0], 3))
            picture = av.VideoFrame.from_ndarray((40 + 4 * (k % 50) + noise).astype(np.uint8), "bgr24")
            picture.pts, picture.time_base = round(t * 1000), MILLISECOND
            out.mux(stream.encode(picture))
        out.mux(stream.encode())
    return path


@pytest.fixture
def make_recording(tmp_path):
    """Function that writes a recording: camera id -> capture times in seconds; returns its folder."""

    def make(times_s: dict[str, list[float]], size_px=SIZE_PX, duration_s=None, **container_options) -> Path:
        root = tmp_path / "rec"
        for camera_id, times in times_s.items():
            write_video(root / "video" / f"{camera_id}.mp4", times, size_px, **container_options)
        manifest = {
            "schema_version": 1,
            "recording_id": "tiny-s0",
            "store_id": "tiny",
            "start_ns": START_NS,
            "duration_s": duration_s or max(t for times in times_s.values() for t in times) + 0.1,
            "cameras": [{"id": c, "file": f"video/{c}.mp4", "frames": len(times)} for c, times in times_s.items()],
            "scenario": None,
            "seed": None,
        }
        (root / "manifest.json").write_text(json.dumps(manifest))
        (root / "layout.yaml").write_text(yaml.safe_dump(layout_dict(len(times_s))))
        (root / "catalogue.yaml").write_text(yaml.safe_dump(CATALOGUE))
        (root / "planogram.yaml").write_text(yaml.safe_dump({"slots": {"g1-s1-1": "96385074"}}))
        (root / "gate.jsonl").write_text(
            json.dumps({"at_ns": START_NS + 5, "gate_id": "gate", "shopper_id": "ann", "kind": "entry"}) + "\n"
        )
        return root

    return make


def layout_dict(cameras: int) -> dict:
    shelf = {
        "id": "g1-s1", "height_m": 0.5, "depth_m": 0.4, "clearance_m": 0.3,
        "slots": [{"id": "g1-s1-1", "start_m": 0, "end_m": 0.1}],
    }  # fmt: skip
    return {
        "store_id": "tiny",
        "floor_m": [[0, 0], [4, 0], [4, 3], [0, 3]],
        "cameras": [
            {
                "id": f"cam{i + 1}", "size_px": list(SIZE_PX), "fps": 10, "focal_px": [90, 90],
                "position_m": [0.1 + i, 0.1, 2.5], "look_at_m": [2, 1.5, 0.5],
            }
            for i in range(cameras)
        ],
        "gondolas": [
            {
                "id": "g1", "origin_m": [1, 2.5], "facing_deg": -90, "width_m": 1, "height_m": 1.8, "depth_m": 0.4,
                "shelves": [shelf],
            }
        ],
        "gates": [{"id": "gate", "line_m": [[0, 1], [0, 2]], "inward": [1, 0], "tap_m": [0.2, 1.5]}],
    }  # fmt: skip


CATALOGUE = {
    "currency": "EUR",
    "tax_classes": {"standard": 200},
    "products": [
        {
            "gtin": "96385074", "name": "Tea", "price_minor": 250, "tax_class": "standard", "shape": "box",
            "size_m": [0.08, 0.08, 0.12], "weight_g": 100,
        }
    ],
}  # fmt: skip
