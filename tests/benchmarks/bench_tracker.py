# SPDX-License-Identifier: AGPL-3.0-or-later
"""Steps a second of the floor tracker on one core, and the cost against the number of boxes.

`OMP_NUM_THREADS=1 python tests/benchmarks/bench_tracker.py [--plot FILE.png] [--steps 20] [--repeats 3]`; the time is
processor time, the least of the repetitions.

People walk at random in a hall of 25 x 20 m with 20 cameras on its walls; boxes come from the body model with noise, so
nothing but the tracker is measured.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from shapely.geometry import box

from calibration.camera import Camera, look_at
from pipeline.messages import CameraTracks, Detections
from pipeline.perception.floor.bodies import CameraBank, outlines
from pipeline.perception.floor.tracker import FloorTracker
from pipeline.perception.recorded import NS, Room

HALL_M = np.array([25.0, 20.0])
FPS = 10.0
WARM_UP = 8
"""The first second is births."""
SIZE_PX = (1280, 720)


def hall(cameras: int) -> Room:
    """Cameras evenly along the walls at 3 m, each looking at the middle of the hall."""
    bank = {}
    around = np.linspace(0, 2 * HALL_M.sum(), cameras, endpoint=False)
    matrix = np.array([[700.0, 0, 639.5], [0, 700.0, 359.5], [0, 0, 1]])
    for k, way in enumerate(around):
        w, d = HALL_M
        place = [(way, 0), (w, way - w), (2 * w + d - way, d), (0, 2 * w + 2 * d - way)][
            int(np.searchsorted([w, w + d, 2 * w + d], way, side="right"))
        ]
        position = np.array([*place, 3.0])
        rotation = look_at(position, np.array([*(HALL_M / 2), 0.8]))
        bank[f"cam{k:02d}"] = Camera(f"cam{k:02d}", SIZE_PX, matrix, np.zeros(5), rotation, position)
    floor = box(0, 0, *HALL_M)
    return Room(bank, floor, FPS, floor)


def windows(room: Room, people: int, steps: int, seed: int = 0):
    """What the cameras report of people who walk about; the steps one after the other."""
    random = np.random.default_rng(seed)
    bank = CameraBank.of(room.camera_by_id)
    place = random.uniform(1, HALL_M - 1, (people, 2))
    heading = random.uniform(0, 2 * np.pi, people)
    for step in range(steps):
        heading += random.normal(0, 0.2, people)
        place = place + 1.0 / FPS * np.column_stack([np.cos(heading), np.sin(heading)])
        turn = (place < 0.5) | (place > HALL_M - 0.5)
        heading[turn.any(1)] += np.pi
        place = np.clip(place, 0.5, HALL_M - 0.5)
        state = np.column_stack([place, np.full(people, 1.7), np.full(people, 0.3)])[:, None]
        out = outlines(bank, state)
        looks = []
        for c, camera_id in enumerate(bank.ids):
            edges = out.edges_px[:, c].T + random.normal(0, 3, (people, 4))
            low, high = np.clip(edges[:, :2], 0, SIZE_PX), np.clip(edges[:, 2:], 0, SIZE_PX)
            shown = out.ahead[c] & ((high - low) > 15).all(1) & (random.random(people) < 0.95)
            xyxy = np.column_stack([low, high])[shown].astype(np.float32)
            n = len(xyxy)
            found = Detections(xyxy, np.full(n, 0.9, np.float32), np.zeros((n, 17, 3), np.float32))
            looks.append(CameraTracks(camera_id, NS + round(step * NS / FPS), found, np.full(n, -1)))
        yield NS + round(step * NS / FPS), looks


def measure(people: int, cameras: int, steps: int, repeats: int) -> tuple[float, float, int]:
    """(steps a second once everybody is known, boxes a step, tracks at the end). Of each step the least of all
    repetitions counts: what other programs take from the processor and its cache is not the tracker's."""
    room = hall(cameras)
    given = list(windows(room, people, steps + WARM_UP))
    spent = np.full((repeats, len(given)), np.inf)
    for run in spent:
        tracker = FloorTracker(room)
        for k, (at_ns, looks) in enumerate(given):
            begin = time.process_time()
            tracks = tracker.update(looks, at_ns)
            run[k] = time.process_time() - begin
    boxes = sum(len(look.detections) for _, looks in given[WARM_UP:] for look in looks)
    return steps / spent.min(0)[WARM_UP:].sum(), boxes / steps, len(tracks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3, help="of the whole; the least time of each step counts")
    parser.add_argument("--plot", help="PNG of the cost against the number of boxes")
    parser.add_argument("--sizes", default="10x4,25x8,50x10,50x20,100x20", help="PEOPLExCAMERAS, comma-separated")
    args = parser.parse_args()
    rows = []
    print("people  cameras  boxes/step  tracks  steps/s (one core, CPU time)  ms/step")
    for size in args.sizes.split(","):
        people, cameras = (int(v) for v in size.split("x"))
        rate, boxes, tracks = measure(people, cameras, args.steps, args.repeats)
        rows.append((boxes, 1000 / rate, size))
        print(f"{people:6}  {cameras:7}  {boxes:10.0f}  {tracks:6}  {rate:28.1f}  {1000 / rate:7.1f}", flush=True)
    if args.plot:
        plot(rows, args.plot)


def plot(rows: list[tuple[float, float, str]], path: str) -> None:
    import cv2

    picture = np.full((480, 720, 3), 255, np.uint8)
    x_end, y_end = 1.15 * max(r[0] for r in rows), 1.15 * max(r[1] for r in rows)

    def at(x: float, y: float) -> tuple[int, int]:
        return int(70 + x / x_end * 620), int(430 - y / y_end * 400)

    for start, end in (((0, 0), (x_end, 0)), ((0, 0), (0, y_end))):
        cv2.line(picture, at(*start), at(*end), (0, 0, 0), 1, cv2.LINE_AA)
    slope = float(np.polyfit([r[0] for r in rows], [r[1] for r in rows], 1)[0])
    offset = float(np.mean([r[1] - slope * r[0] for r in rows]))
    cv2.line(picture, at(0, max(offset, 0)), at(x_end, offset + slope * x_end), (200, 160, 80), 1, cv2.LINE_AA)
    text = {"fontFace": cv2.FONT_HERSHEY_SIMPLEX, "fontScale": 0.45, "color": (0, 0, 0), "lineType": cv2.LINE_AA}
    for boxes in range(500, int(x_end), 500):
        cv2.line(picture, at(boxes, 0), (at(boxes, 0)[0], 435), (0, 0, 0), 1)
        cv2.putText(picture, str(boxes), (at(boxes, 0)[0] - 16, 449), **text)
    for ms in range(10, int(y_end), 10):
        cv2.line(picture, at(0, ms), (65, at(0, ms)[1]), (0, 0, 0), 1)
        cv2.putText(picture, str(ms), (40, at(0, ms)[1] + 5), **text)
    for boxes, ms, size in rows:
        cv2.circle(picture, at(boxes, ms), 4, (60, 60, 200), -1, cv2.LINE_AA)
        cv2.putText(picture, f"{size}: {ms:.0f} ms", (max(at(boxes, ms)[0] - 90, 75), at(boxes, ms)[1] - 10), **text)
    cv2.putText(picture, "boxes a step", (330, 465), **text)
    cv2.putText(picture, f"ms a step; line: {slope * 1000:.0f} us a box", (10, 20), **text)
    cv2.imwrite(path, picture)


if __name__ == "__main__":
    main()
