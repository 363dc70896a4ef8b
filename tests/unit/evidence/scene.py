# SPDX-License-Identifier: AGPL-3.0-or-later
"""A real video of two patterned people who walk past each other, and what perception would have said of them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from calibration.layout import StoreLayout
from pipeline.capture.sources import FileSource
from pipeline.evidence.people import People
from pipeline.messages import CameraTracks, Candidate, Detections, EvidenceRef, FloorTrack, ShelfEvent, TrackBound

S = 10**9
START_NS = 1_700_000_000 * S
SIZE_PX = (640, 360)
FPS, FRAMES = 10, 80
ANNA, BEN = "t1", "t2"
VISITS = {ANNA: "v-anna", BEN: "v-ben"}
FAR_AWAY = np.array([50.0, 50.0])
"""On no camera's picture: what is blurred is then what the boxes say."""

LAYOUT = StoreLayout.model_validate(
    {
        "store_id": "tiny",
        "floor_m": [[0, 0], [6, 0], [6, 4], [0, 4]],
        "cameras": [
            {
                "id": camera_id, "size_px": SIZE_PX, "fps": FPS, "focal_px": [400, 400], "position_m": [3, 0.2, 2.4],
                "look_at_m": [3, 3.5, 1.0],
            }
            for camera_id in ("cam1", "cam2")
        ],
        "gondolas": [
            {
                "id": "g", "origin_m": [4, 3.6], "facing_deg": -90, "width_m": 2, "height_m": 1.8, "depth_m": 0.3,
                "shelves": [
                    {
                        "id": "g-a", "height_m": 1, "depth_m": 0.3, "clearance_m": 0.3,
                        "slots": [{"id": "g-1", "start_m": 0.5, "end_m": 0.8}],
                    }
                ],
            }
        ],
        "gates": [
            {"id": "gate", "line_m": [[1, 0], [1, 4]], "inward": [1, 0], "tap_m": [0.5, 1], "radius_m": 0.8}
        ],
    }
)  # fmt: skip


def captured_ns(k: int) -> int:
    """Of frame `k`: not quite even, as cameras are."""
    return START_NS + round((k / FPS + 0.013 * (k % 3)) * S)


def box_of(who: str, k: int) -> np.ndarray:
    """Where somebody is in frame `k`: Anna walks to the right, Ben to the left, in other rows of the picture."""
    x, y = (40 + 2 * k, 60) if who == ANNA else (500 - 2 * k, 150)
    return np.array([x, y, x + 90, y + 150], float)


def picture(k: int) -> np.ndarray:
    """uint8 (H, W, 3) BGR: a patterned shop; both people in patterns of their own, strong enough to be measured."""
    rng = np.random.default_rng(7)
    image = np.kron(rng.integers(60, 200, (SIZE_PX[1] // 8, SIZE_PX[0] // 8)), np.ones((8, 8))).astype(np.uint8)
    image = np.repeat(image[:, :, None], 3, 2)
    for who, seed in ((ANNA, 1), (BEN, 2)):
        x1, y1, x2, y2 = box_of(who, k).astype(int)
        pattern = np.random.default_rng(seed).integers(0, 2, (150 // 6, 90 // 6)) * 200 + 25
        image[y1:y2, x1:x2] = np.kron(pattern, np.ones((6, 6)))[: y2 - y1, : x2 - x1, None]
    return image


def write_video(path: Path, frames: int = FRAMES) -> Path:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "8", "g": "10", "bf": "2"})
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        stream.time_base = stream.codec_context.time_base = Fraction(1, 1000)
        for k in range(frames):
            shown = av.VideoFrame.from_ndarray(picture(k), "bgr24")
            shown.pts, shown.time_base = round((captured_ns(k) - START_NS) / 1e6), Fraction(1, 1000)
            out.mux(stream.encode(shown))
        out.mux(stream.encode())
    return path


class Films:
    """The footage of cameras from files."""

    def __init__(self, paths: dict[str, Path]) -> None:
        self._sources = {c: FileSource(c, path, SIZE_PX, START_NS) for c, path in paths.items()}

    def between(self, camera_id, t0_ns, t1_ns):
        return self._sources[camera_id].between(t0_ns, t1_ns)


def people(
    found: Callable[[str, int], bool] = lambda who, k: True,
    on_floor: Callable[[str, int], bool] = lambda who, k: True,
    labelled: Callable[[str, int], bool] = lambda who, k: True,
    exchanged: Callable[[int], bool] = lambda k: False,
    place=FAR_AWAY, cameras=("cam1",), extra: Callable[[int], list] = lambda k: [],
) -> People:  # fmt: skip
    """What perception would have said. `found`: is somebody's box there in frame k; `on_floor`: does their floor track
    live; `labelled`: does it claim the box; `exchanged`: do both
    claim the other's box; `extra`: (box, score, camera track) of further boxes."""
    seen = People()
    for k in range(FRAMES):
        here = [who for who in (ANNA, BEN) if found(who, k)]
        rows = [(box_of(who, k), 0.9, {ANNA: 1, BEN: 2}[who]) for who in here] + extra(k)
        boxes = np.array([box for box, _, _ in rows], np.float32).reshape(-1, 4)
        points = np.zeros((len(rows), 17, 3), np.float32)
        for row, (box, _, _) in enumerate(rows):
            points[row, 9] = (*box[2:], 0.9)  # the left wrist, at the lower right corner
        scores = np.array([score for _, score, _ in rows], np.float32)
        tracks = np.array([track for _, _, track in rows], np.int64)
        looks = {c: CameraTracks(c, captured_ns(k), Detections(boxes, scores, points), tracks) for c in cameras}
        floor = []
        for who in (ANNA, BEN):
            if on_floor(who, k):
                whose = {ANNA: BEN, BEN: ANNA}[who] if exchanged(k) else who
                sources = {c: here.index(whose) for c in cameras} if whose in here and labelled(who, k) else {}
                at = captured_ns(k)
                floor.append(FloorTrack(who, at, np.asarray(place), np.eye(2) * 0.01, np.zeros(2), at, sources))
        seen.note(captured_ns(k), looks, floor)
    return seen


def bound(who: str = ANNA, at_ns: int = START_NS) -> TrackBound:
    return TrackBound(event_id=f"b-{who}", store_id="tiny", at_ns=at_ns, visit_id=VISITS[who], track_id=who)


def taken(who: str = ANNA, others=(), cameras=("cam1",), event_id="shelf-1", at_s=4.0) -> ShelfEvent:
    """Somebody took something at `at_s`, seen by these cameras."""
    t0, t1 = START_NS + round((at_s - 0.5) * S), START_NS + round((at_s + 0.5) * S)
    share = 0.8 if others else 1.0
    persons = [Candidate(value=who, probability=share), *(Candidate(value=o, probability=0.2) for o in others)]
    return ShelfEvent(
        event_id=event_id, store_id="tiny", at_ns=START_NS + round(at_s * S), kind="pick", kind_probability=1.0,
        persons=tuple(persons), products=(Candidate(value="2000000000015", probability=1.0),),
        quantities=(Candidate(value="1", probability=1.0),), gondola_id="g", slot_id="g-1", t0_ns=t0, t1_ns=t1,
        evidence=tuple(
            EvidenceRef(camera_id=c, t0_ns=t0 - S, t1_ns=t1 + S, box_xyxy_px=(1, 1, 9, 9)) for c in cameras
        ),
    )  # fmt: skip
