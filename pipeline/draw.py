# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pictures for people: the plan of the floor with everybody's way. The film is in `film.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from calibration.layout import StoreLayout
from pipeline.errors import OutputError
from pipeline.messages import FloorTrack

Colour = tuple[int, int, int]

INK: Colour = (48, 40, 36)
PAPER: Colour = (250, 249, 247)
FLOOR: Colour = (238, 236, 232)
SHELF: Colour = (190, 182, 172)
SHELF_FRONT: Colour = (120, 96, 72)
WALL: Colour = (150, 146, 142)
GATE: Colour = (96, 160, 60)
QUIET: Colour = (140, 134, 130)
FONT = cv2.FONT_HERSHEY_SIMPLEX


def colour_of(track_id: str) -> Colour:
    """BGR; neighbours in number are far apart in hue (golden ratio)."""
    number = int("".join(c for c in track_id if c.isdigit()) or 0)
    hue = (0.58 + number * 0.61803398875) % 1.0
    hsv = np.uint8([[[round(hue * 179), 200 - 40 * (number % 2), 205]]])
    return tuple(int(v) for v in cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0])


@dataclass(frozen=True)
class Mark:
    """Something that happened at a place: a pick or a put-back. `track_id` gives the colour."""

    xy_m: tuple[float, float]
    text: str
    track_id: str
    kind: str = "pick"


class FloorPlan:
    """The store from above, +y up; draws what stands still once. `also_m`: (N, 2), what else must be in the picture."""

    def __init__(
        self, layout: StoreLayout, size_px: tuple[int, int], names: bool = True, also_m: Sequence = ()
    ) -> None:  # fmt: skip
        points = np.concatenate(
            [
                np.array(layout.floor_m),
                *(np.array(g.footprint.exterior.coords) for g in layout.gondolas),
                *(np.array([*g.line_m, g.tap_m]) for g in layout.gates),
                np.array([c.position_m[:2] for c in layout.cameras]),
                np.reshape(np.asarray(also_m, float), (-1, 2)),
            ]
        )
        low, high = points.min(0) - 0.25, points.max(0) + 0.25
        self.scale = float(min(size_px[0] / (high[0] - low[0]), size_px[1] / (high[1] - low[1])))
        used = (high - low) * self.scale
        self._origin = np.array([(size_px[0] - used[0]) / 2, (size_px[1] + used[1]) / 2])
        self._low = low
        self.base = np.full((size_px[1], size_px[0], 3), PAPER, np.uint8)
        self._draw_store(layout, names)

    def to_px(self, xy_m) -> np.ndarray:
        """float64 (..., 2) pixels."""
        relative = (np.asarray(xy_m, float) - self._low) * self.scale
        return self._origin + relative * (1, -1)

    def _draw_store(self, layout: StoreLayout, names: bool) -> None:
        self._fill(self.base, layout.floor_m, FLOOR)
        self._outline(self.base, layout.floor_m, WALL, 2, closed=True)
        for obstacle in layout.obstacles_m:
            self._fill(self.base, obstacle, WALL)
        for gondola in layout.gondolas:
            self._fill(self.base, np.array(gondola.footprint.exterior.coords)[:-1], SHELF)
        for gondola in layout.gondolas:
            ends = gondola.to_world(np.array([0, gondola.width_m]), 0.0, 0.0)[:, :2]
            self._outline(self.base, ends, SHELF_FRONT, 3)
            if names:
                centre = np.array(gondola.footprint.centroid.coords[0])
                put_text(self.base, gondola.id, self.to_px(centre), INK, 0.42, centred=True)
        for gate in layout.gates:
            self._outline(self.base, gate.line_m, GATE, 4)
            middle = np.mean(gate.line_m, axis=0)
            inward = np.array(gate.inward) / np.linalg.norm(gate.inward)
            a, b = self.to_px(middle - 0.15 * inward), self.to_px(middle + 0.3 * inward)
            cv2.arrowedLine(self.base, to_int(a), to_int(b), GATE, 2, cv2.LINE_AA, tipLength=0.35)
        names_at = []
        for spec in layout.cameras:
            camera = layout.camera_by_id[spec.id]
            at = self.to_px(camera.position_m[:2])
            ahead = camera.rotation[2, :2] * (1, -1)
            ahead = ahead / max(np.linalg.norm(ahead), 1e-9)
            side = np.array([-ahead[1], ahead[0]])
            size = max(5.0, 0.07 * self.scale)
            corners = np.array([at, at + size * (1.6 * ahead + side), at + size * (1.6 * ahead - side)])
            cv2.fillPoly(self.base, [np.round(corners).astype(np.int32)], QUIET, cv2.LINE_AA)
            names_at.append(at - 12 * ahead)
        if names:
            for spec, at in zip(layout.cameras, _spread(names_at, 16.0), strict=True):
                put_text(self.base, spec.id, at, QUIET, 0.36, centred=True)

    def _fill(self, image: np.ndarray, polygon_m, colour: Colour) -> None:
        cv2.fillPoly(image, [np.round(self.to_px(polygon_m)).astype(np.int32)], colour, cv2.LINE_AA)

    def _outline(self, image: np.ndarray, line_m, colour: Colour, width: int, closed: bool = False) -> None:
        points = np.round(self.to_px(line_m)).astype(np.int32)
        cv2.polylines(image, [points], closed, colour, width, cv2.LINE_AA)

    def path(self, image: np.ndarray, xy_m: np.ndarray, colour: Colour, width: int = 2) -> None:
        if len(xy_m) > 1:
            self._outline(image, xy_m, colour, width)

    def person(self, image: np.ndarray, track: FloorTrack, label: str) -> None:
        """A disc; hollow while nobody sees the person."""
        colour, at = colour_of(track.track_id), to_int(self.to_px(track.floor_xy_m))
        radius = max(5, round(0.12 * self.scale))
        cv2.circle(image, at, radius, colour, -1 if track.sources else 2, cv2.LINE_AA)
        put_text(image, label, np.array(at) + (radius + 3, 4), INK, 0.4)


def write_floor_plan(
    path: Path,
    layout: StoreLayout,
    paths: Mapping[str, np.ndarray],
    marks: Sequence[Mark] = (),
    labels: Mapping[str, str] | None = None,
    title: str = "",
) -> None:
    """A PNG: shelves, gate and cameras, each track's way (`paths`: track id -> float (T, 2) metres) with a disc where
    it begins and a square where it ends, `marks` with numbers that the legend explains. `OutputError` when it cannot
    be written."""
    labels = labels or {}
    plan = FloorPlan(layout, (1160, 820), also_m=np.concatenate([np.zeros((0, 2)), *paths.values()]))
    image = plan.base.copy()
    for track_id, xy in paths.items():
        if not len(xy):
            continue
        plan.path(image, _smooth(xy), colour_of(track_id), 3)
        first, last = to_int(plan.to_px(xy[0])), to_int(plan.to_px(xy[-1]))
        cv2.circle(image, first, 8, colour_of(track_id), -1, cv2.LINE_AA)
        cv2.rectangle(image, (last[0] - 7, last[1] - 7), (last[0] + 7, last[1] + 7), colour_of(track_id), -1)
    places = _spread([plan.to_px(mark.xy_m) for mark in marks], 26.0)
    for number, (mark, at) in enumerate(zip(marks, places, strict=True), 1):
        fill = colour_of(mark.track_id) if mark.kind == "pick" else PAPER
        text = PAPER if mark.kind == "pick" else colour_of(mark.track_id)
        cv2.line(image, to_int(plan.to_px(mark.xy_m)), to_int(at), INK, 1, cv2.LINE_AA)
        cv2.circle(image, to_int(at), 13, fill, -1, cv2.LINE_AA)
        cv2.circle(image, to_int(at), 13, colour_of(mark.track_id), 2, cv2.LINE_AA)
        put_text(image, str(number), at, text, 0.45, centred=True, bold=True)
    legend = _legend(image.shape[0], paths, marks, labels)
    image = np.hstack([image, legend])
    if title:
        put_text(image, title, np.array([18, 28]), INK, 0.65, bold=True)
    try:
        path.write_bytes(cv2.imencode(".png", image)[1].tobytes())
    except OSError as error:
        raise OutputError(f"{path}: the floor plan cannot be written: {error.strerror}") from None


def _legend(
    height: int, paths: Mapping[str, np.ndarray], marks: Sequence[Mark], labels: Mapping[str, str]
) -> np.ndarray:
    image = np.full((height, 380, 3), PAPER, np.uint8)
    y = 60
    for track_id in paths:
        cv2.line(image, (16, y - 5), (46, y - 5), colour_of(track_id), 5, cv2.LINE_AA)
        name = labels.get(track_id, "")
        put_text(image, f"{track_id}  {name}".rstrip(), np.array([58, y]), INK, 0.5, bold=True)
        y += 26
        for number, mark in enumerate(marks, 1):
            if mark.track_id == track_id and y < height - 20:
                sign = "+" if mark.kind == "pick" else "-"
                put_text(image, plain(f"{number}  {sign} {mark.text}")[:42], np.array([58, y]), INK, 0.44)
                y += 22
        y += 8
        if y > height - 30:
            put_text(image, "...", np.array([58, height - 14]), INK, 0.5)
            break
    put_text(image, "disc: begins   square: ends   + taken   - put back", np.array([16, height - 12]), QUIET, 0.36)
    return image


def _smooth(xy_m: np.ndarray, span: int = 5) -> np.ndarray:
    """Moving average for the eye; the files keep what was measured."""
    xy_m = np.asarray(xy_m, float)
    if len(xy_m) < span:
        return xy_m
    padded = np.pad(xy_m, ((span // 2, span // 2), (0, 0)), mode="edge")
    return np.stack([np.convolve(padded[:, k], np.full(span, 1 / span), "valid") for k in range(2)], 1)


def _spread(places: list[np.ndarray], least_px: float) -> list[np.ndarray]:
    """Push labels apart that lie on each other; a few rounds are enough for the eye."""
    places = [np.array(p, float) for p in places]
    for _ in range(30):
        moved = False
        for i in range(len(places)):
            for j in range(i):
                gap = places[i] - places[j]
                distance = float(np.linalg.norm(gap))
                if distance < least_px:
                    push = gap / distance if distance > 1e-6 else np.array([np.cos(i), np.sin(i)])
                    places[i] += push * (least_px - distance) / 2
                    places[j] -= push * (least_px - distance) / 2
                    moved = True
        if not moved:
            break
    return places


def put_text(
    image: np.ndarray,
    text: str,
    at_px: np.ndarray,
    colour: Colour,
    size: float,
    centred: bool = False,
    bold: bool = False,
) -> None:
    weight = 2 if bold else 1
    if centred:
        (width, height), _ = cv2.getTextSize(text, FONT, size, weight)
        at_px = np.asarray(at_px) + (-width / 2, height / 2)
    cv2.putText(image, text, to_int(at_px), FONT, size, colour, weight, cv2.LINE_AA)


def put_label(image: np.ndarray, text: str, at_px: tuple[int, int], colour: Colour) -> None:
    """Light text on a filled box whose top left corner is `at_px`."""
    (width, height), _ = cv2.getTextSize(text, FONT, 0.38, 1)
    x, y = at_px
    cv2.rectangle(image, (x, y), (x + width + 6, y + height + 6), colour, -1)
    cv2.putText(image, text, (x + 3, y + height + 2), FONT, 0.38, PAPER, 1, cv2.LINE_AA)


def plain(text: str) -> str:
    """OpenCV's built-in fonts have no other letters."""
    return text.encode("ascii", "replace").decode()


def to_int(point) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))
