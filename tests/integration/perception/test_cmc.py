# SPDX-License-Identifier: AGPL-3.0-or-later
"""The floor tracker on real people: recorded boxes of the CMC multi-view data set, four cameras, 4 frames a second.

No pictures and no key points come with it, so a person is their box. Scored inside the region that the data set's
truth covers (x from 2.03 to 6.3 m; outside it people stand whom the truth leaves out), with a gate of 1 m.
"""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from calibration.layout import StoreLayout
from pipeline.messages import CameraTracks, Detections
from pipeline.perception.camera_tracker import CameraTracker
from pipeline.perception.floor_tracker import FloorSettings, FloorTracker

DATA = Path(__file__).parents[4] / "shared" / "real" / "cmc"
LOW_M, HIGH_M = np.array([2.03, 0.0]), np.array([6.3, 3.41])
STEP_NS = 250_000_000

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not DATA.exists(), reason=f"the CMC recordings are not at {DATA}"),
]


def room() -> StoreLayout:
    calibration = json.loads((DATA / "cameras.json").read_text())
    cameras = []
    for camera_id, projection in calibration["projection"].items():
        matrix, rotation, position, *_ = cv2.decomposeProjectionMatrix(np.array(projection))
        signs = np.diag(np.sign(np.diag(matrix)))
        matrix, rotation = matrix @ signs / matrix[2, 2], signs @ rotation
        rotation = rotation * np.sign(np.linalg.det(rotation))
        cameras.append(
            {
                "id": camera_id,
                "size_px": calibration["image_size_px"],
                "fps": calibration["fps"],
                "focal_px": [abs(matrix[0, 0]), abs(matrix[1, 1])],
                "centre_px": [matrix[0, 2], matrix[1, 2]],
                "position_m": (position[:3, 0] / position[3, 0]).tolist(),
                "rotation_vector": cv2.Rodrigues(rotation)[0][:, 0].tolist(),
            }
        )
    (x0, y0), (x1, y1) = LOW_M, HIGH_M
    shelf = {"id": "s", "height_m": 0, "depth_m": 0.1, "clearance_m": 0.1, "slots": []}
    nowhere = {"origin_m": [-50, 0], "facing_deg": 0, "width_m": 0.1, "height_m": 0.1, "depth_m": 0.1}
    return StoreLayout.model_validate(
        {
            "store_id": "cmc",
            "floor_m": [[x0, y0], [x1, y0], [x1, y1], [x0, y1]],
            "cameras": cameras,
            "gondolas": [{"id": "g", "shelves": [shelf], **nowhere}],
            "gates": [{"id": "gate", "line_m": [[-50, 0], [-50, 1]], "inward": [1, 0], "tap_m": [-50, 0.5]}],
        }
    )


def follow(sequence: str):
    """(frame, tracks in the region, truth's names, truth's places) of every frame."""
    layout = room()
    boxes = {c: np.loadtxt(DATA / sequence / f"{c}.det.txt", delimiter=",") for c in layout.camera_by_id}
    truth = np.genfromtxt(DATA / sequence / "truth.csv", delimiter=",", names=True)
    # The recorded detector is sure of nearly everything: its 0.7 is what 0.4 is elsewhere. There is no gate in view.
    settings = FloorSettings(births="anywhere", sure_score=0.7, vanish_s=1.0, coast_s=3.0)
    tracker = FloorTracker(layout, settings)
    cameras = {c: CameraTracker(4) for c in boxes}
    for frame in range(1, int(truth["frame"].max()) + 1):
        at_ns = frame * STEP_NS
        looks = []
        for camera_id, rows in boxes.items():
            rows = rows[rows[:, 0] == frame]
            xyxy = np.column_stack([rows[:, 2:4], rows[:, 2:4] + rows[:, 4:6]]).astype(np.float32)
            people = Detections(xyxy, rows[:, 6].astype(np.float32), np.zeros((len(rows), 17, 3), np.float32))
            looks.append(CameraTracks(camera_id, at_ns, people, cameras[camera_id].update(people, at_ns)))
        tracks = [
            t for t in tracker.update(looks, at_ns) if (t.floor_xy_m >= LOW_M).all() and (t.floor_xy_m <= HIGH_M).all()
        ]
        now = truth[truth["frame"] == frame]
        yield frame, tracks, now["person"].astype(int), np.column_stack([now["x_m"], now["y_m"]])


@pytest.mark.parametrize(("sequence", "mota", "idf1", "error_m"), [("CMC1", 0.9, 0.94, 0.1), ("CMC2", 0.65, 0.4, 0.4)])
def test_real_people_are_followed(sequence, mota, idf1, error_m):
    mm = pytest.importorskip("motmetrics")
    accumulator = mm.MOTAccumulator()
    for frame, tracks, names, places in follow(sequence):
        ours = np.reshape([t.floor_xy_m for t in tracks], (-1, 2))
        distance = np.linalg.norm(places[:, None] - ours[None], axis=-1)
        distance[distance > 1.0] = np.nan
        accumulator.update(names.tolist(), [int(t.track_id[1:]) for t in tracks], distance, frameid=frame)
    figures = mm.metrics.create().compute(
        accumulator, metrics=["mota", "idf1", "motp", "num_switches", "num_misses", "num_false_positives"]
    )
    print(f"\n{sequence}\n{figures.to_string(index=False)}")
    assert figures["mota"].iloc[0] >= mota
    assert figures["idf1"].iloc[0] >= idf1
    assert figures["motp"].iloc[0] <= error_m
