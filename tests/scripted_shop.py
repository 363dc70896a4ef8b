# SPDX-License-Identifier: AGPL-3.0-or-later
"""A tiny recording of one grey camera, and stages that say what a script tells them instead of looking at it.

What is under test is everything around the stages: capture, gate, log, cart, files.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import yaml

from pipeline.messages import CameraTracks, Candidate, Detections, FloorTrack, FrameSet, ShelfEvent
from pipeline.shop import Shop, Stages

COLA, BREAD = "2000000000015", "2000000000022"
S = 1_000_000_000
START_NS = 1_700_000_000 * S
FPS = 10


@dataclass(frozen=True)
class Visitor:
    """Walks in along `y_m`, shows a pass at `tap_s`, stands inside, walks out `stay_s` later; `takes` events
    (seconds after the tap, kind, GTIN, probability of the GTIN)."""

    name: str
    tap_s: float
    y_m: float = 1.0
    stay_s: float = 5.0
    takes: tuple[tuple[float, str, str, float], ...] = ()

    @property
    def leaves_s(self) -> float:
        """When the line is crossed."""
        return self.tap_s + self.stay_s + 2.0

    def floor_xy_m(self, at_s: float) -> np.ndarray | None:
        t = self.tap_s
        times = [t - 0.5, t, t + 0.3, t + 2, t + self.stay_s, t + self.stay_s + 2.5]
        if not times[0] <= at_s <= times[-1]:
            return None
        return np.array([np.interp(at_s, times, [0.0, 0.5, 0.5, 3.0, 3.0, 0.5]), self.y_m])


ANNA = Visitor("anna", 1.0, takes=((3, "pick", COLA, 0.95), (3.5, "pick", BREAD, 0.9), (4, "put_back", COLA, 0.95)))
BEN = Visitor("ben", 3.0, 0.4, takes=((3, "pick", BREAD, 0.95), (3.2, "pick", COLA, 0.4)))


def write_recording(folder: Path, visitors=(ANNA, BEN), duration_s: float = 13.0) -> Path:
    """A recording that `pipeline.runtime` can run."""
    (folder / "video").mkdir(parents=True)
    camera = {
        "id": "cam1", "size_px": [64, 48], "fps": FPS, "focal_px": [50, 50], "position_m": [3, 1, 2.5],
        "look_at_m": [3, 1.2, 0],
    }  # fmt: skip
    slots = [{"id": f"g-{i}", "start_m": i / 2, "end_m": (i + 1) / 2} for i in range(2)]
    gondola = {
        "id": "g", "origin_m": [4, 1.9], "facing_deg": -90, "width_m": 1, "height_m": 1.8, "depth_m": 0.3,
        "shelves": [{"id": "g-a", "height_m": 1, "depth_m": 0.3, "clearance_m": 0.3, "slots": slots}],
    }  # fmt: skip
    gate = {"id": "gate", "line_m": [[1, 0], [1, 2]], "inward": [1, 0], "tap_m": [0.5, 1], "radius_m": 0.8}
    layout = {
        "store_id": "tiny", "floor_m": [[0, 0], [6, 0], [6, 2], [0, 2]], "cameras": [camera], "gondolas": [gondola],
        "gates": [gate],
    }  # fmt: skip
    products = [
        {
            "gtin": gtin, "name": name, "price_minor": price, "tax_class": tax_class, "shape": "can",
            "size_m": [0.06, 0.06, 0.12], "weight_g": 330,
        }
        for gtin, name, price, tax_class in ((COLA, "Cola", 149, "standard"), (BREAD, "Bread", 101, "reduced"))
    ]  # fmt: skip
    catalogue = {"currency": "EUR", "tax_classes": {"standard": 200, "reduced": 55}, "products": products}
    for name, value in (
        ("layout", layout), ("catalogue", catalogue), ("planogram", {"slots": {"g-0": COLA, "g-1": BREAD}}),
    ):  # fmt: skip
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(value))
    taps = [
        {"at_ns": START_NS + round(v.tap_s * S), "gate_id": "gate", "shopper_id": v.name, "kind": "entry"}
        for v in visitors
    ]
    (folder / "gate.jsonl").write_text("".join(json.dumps(t) + "\n" for t in taps))
    frames = round(duration_s * FPS)
    _write_video(folder / "video" / "cam1.mp4", frames)
    manifest = {
        "schema_version": 1, "recording_id": "tiny-1", "store_id": "tiny", "start_ns": START_NS,
        "duration_s": duration_s, "scenario": None, "seed": None,
        "cameras": [{"id": "cam1", "file": "video/cam1.mp4", "frames": frames}],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def _write_video(path: Path, frames: int) -> None:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "g": "10"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for k in range(frames):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90 + k % 20, np.uint8), "bgr24")
            picture.pts, picture.time_base = k, Fraction(1, FPS)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())


@dataclass(frozen=True)
class _Perceived:
    frame_set: FrameSet
    camera_tracks: dict[str, CameraTracks]
    floor_tracks: list[FloorTrack]


@dataclass
class ScriptedPerception:
    visitors: tuple[Visitor, ...]
    renamed: int = 0
    _last: dict = field(default_factory=dict)

    def update(self, frame_set: FrameSet) -> _Perceived:
        at_ns = frame_set.mid_ns
        tracks = []
        for number, visitor in enumerate(self.visitors):
            xy = visitor.floor_xy_m((at_ns - START_NS) / S)
            if xy is not None:
                velocity = (xy - self._last.get(number, xy)) * FPS
                self._last[number] = xy
                tracks.append(FloorTrack(f"t{number + self.renamed}", at_ns, xy, np.eye(2) * 0.01, velocity, at_ns))
        looks = {
            camera_id: CameraTracks(camera_id, frame.captured_at_ns, Detections.empty(), np.zeros(0, np.int64))
            for camera_id, frame in frame_set.frames.items()
        }
        return _Perceived(frame_set, looks, tracks)


@dataclass
class ScriptedShelf:
    """Reports what was taken half a second late, as a real stage does; `flush` reports what is left."""

    visitors: tuple[Visitor, ...]
    renamed: int = 0
    _said: set = field(default_factory=set)

    def update(self, perceived: _Perceived) -> list[ShelfEvent]:
        return self._until(perceived.frame_set.mid_ns - S // 2, None)

    def awaits(self, track_id: str, left_ns: int) -> bool:
        return False

    def flush(self, track_id: str | None = None) -> list[ShelfEvent]:
        return self._until(1 << 62, track_id)

    def _until(self, at_ns: int, track_id: str | None) -> list[ShelfEvent]:
        events = []
        for number, visitor in enumerate(self.visitors):
            for k, (after_s, kind, gtin, probability) in enumerate(visitor.takes):
                when = START_NS + round((visitor.tap_s + after_s) * S)
                if when > at_ns or (number, k) in self._said or track_id not in (None, f"t{number + self.renamed}"):
                    continue
                self._said.add((number, k))
                events.append(
                    ShelfEvent(
                        event_id=f"shelf-{number}-{k}", store_id="tiny", at_ns=when, kind=kind, kind_probability=0.95,
                        persons=(Candidate(value=f"t{number + self.renamed}", probability=0.95),),
                        products=(Candidate(value=gtin, probability=probability),),
                        quantities=(Candidate(value="1", probability=0.95),),
                        gondola_id="g", slot_id="g-0", t0_ns=when - 1, t1_ns=when + 1,
                    )
                )  # fmt: skip
        return sorted(events, key=lambda e: e.at_ns)


def stages(*visitors: Visitor, renamed: int = 0):
    """For `runtime.run(..., stages=...)`. `renamed`: added to the numbers of the tracks, as by another tracker."""

    def make(_shop: Shop) -> Stages:
        who = visitors or (ANNA, BEN)
        return Stages(ScriptedPerception(who, renamed), ScriptedShelf(who, renamed), {"scripted": True})

    return make
