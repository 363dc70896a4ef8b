# SPDX-License-Identifier: AGPL-3.0-or-later
"""Where the network should look: which camera, which part of its picture, and what in it can only be furniture.

Shop cameras hang still, so whoever comes into view moves, and a picture tells where something moved for next to
nothing. A camera where nobody is and nothing moves is looked at twice a second; where somebody is, the network gets the
columns of the picture in which people and movement are, and now and then the whole of it. What the network takes for a
person from the first picture on, in a place where nothing has ever moved, is a poster or a bag of crisps.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from calibration.boxes import box_iou
from pipeline.messages import SMALL_SIDE_PX, Detections, Frame

NS = 1_000_000_000


@dataclass(frozen=True)
class AttentionSettings:
    idle_interval_s: float = 0.45
    """Longest pause of an empty, still camera. Below 2 looks a second identities break."""
    linger_s: float = 0.5
    """A camera goes on at full rate for so long after the last person or movement was seen in it, and where they were
    belongs for so long to the part that is looked at."""
    whole_interval_s: float = 3.9
    """Longest time for which only a part of the picture is looked at."""
    person_score: float = 0.25
    """A detection this sure counts as somebody in view."""
    cell_px: int = 16
    """Side of a cell of the motion picture, in pixels of `Frame.small`."""
    cell_change: float = 8.0
    """Grey levels by which a cell must differ from the window before; means over a cell have next to no noise."""
    margin: float = 0.03
    """Around them, as a share of the picture's width."""
    still_share: float = 0.05
    """Furniture: at most this share of the cells below its box has ever changed, ..."""
    furniture_score: float = 0.65
    """... and the network is not sure, ..."""
    furniture_s: float = 2.0
    """... for so long in the same place; from then on it is known, whatever passes in front of it, ..."""
    furniture_overlap: float = 0.7
    surprise: float = 0.15
    """... unless the network is surer than ever by so much: then somebody stands there."""


class Attention:
    """One camera's; `look` and then `saw`, window by window. Pixels are those of `Frame.small` unless they say native.

    `parts`: shares of the picture's width, ascending, that may be looked at instead of the whole.
    """

    def __init__(self, settings: AttentionSettings | None = None, parts: tuple[float, ...] = ()) -> None:
        self._settings = settings or AttentionSettings()
        self._parts = parts
        self._cells: np.ndarray | None = None
        self._cell_px = 1.0  # in native pixels
        self._changed_ns = np.zeros((1, 1), np.int64)
        self._looked_ns = self._whole_ns = self._alive_ns = None
        self._people: list[tuple[int, float, float]] = []  # when, left, right
        self._furniture: list[_Thing] = []

    def look(self, frame: Frame) -> slice | None:
        """The columns of `frame.small` to look at; None when the network need not look at all."""
        s = self._settings
        now_ns = frame.captured_at_ns
        if self._note_motion(frame):
            self._alive_ns = now_ns
        alive = self._alive_ns is not None and now_ns - self._alive_ns <= s.linger_s * NS
        due = self._looked_ns is None or now_ns - self._looked_ns >= s.idle_interval_s * NS
        if not (alive or due):
            return None
        self._looked_ns = now_ns
        whole = slice(0, frame.small.shape[1])
        if not self._parts or self._whole_ns is None or now_ns - self._whole_ns >= s.whole_interval_s * NS:
            self._whole_ns = now_ns
            return whole
        return self._part(now_ns, whole.stop, frame.size_px[0])

    def cut_off(self, frame: Frame, part: slice, people: Detections) -> bool:
        """Does a person reach an edge of the part that is not the picture's, so that the whole must be looked at?
        `people`: in native pixels."""
        width = frame.small.shape[1]
        scale = frame.size_px[0] / width
        x1, x2 = people.xyxy_px[people.score >= self._settings.person_score][:, [0, 2]].T
        near = 2 * scale
        reaches = (part.start > 0 and (x1 < part.start * scale + near).any()) or (
            part.stop < width and (x2 > part.stop * scale - near).any()
        )
        if reaches:
            self._whole_ns = frame.captured_at_ns
        return bool(reaches)

    def saw(self, frame: Frame, people: Detections) -> Detections:
        """The people without the furniture, in native pixels as they came."""
        now_ns = frame.captured_at_ns
        people = self._without_furniture(people, now_ns)
        scale = frame.small.shape[1] / frame.size_px[0]
        sure = people.score >= self._settings.person_score
        if sure.any():
            self._alive_ns = now_ns
        since_ns = now_ns - round(self._settings.linger_s * NS)
        self._people = [p for p in self._people if p[0] >= since_ns]
        self._people += [(now_ns, x1 * scale, x2 * scale) for x1, x2 in people.xyxy_px[sure][:, [0, 2]]]
        return people

    def _note_motion(self, frame: Frame) -> bool:
        s = self._settings
        cells, self._cell_px = _cells(frame, s.cell_px)
        if self._cells is None or self._cells.shape != cells.shape:
            self._changed_ns = np.zeros(cells.shape, np.int64)
            self._cells = cells
            return False
        changed = np.abs(cells - self._cells) > s.cell_change
        self._cells = cells
        self._changed_ns[changed] = frame.captured_at_ns
        return bool(changed.any())

    def _part(self, now_ns: int, width: int, native_width: int) -> slice:
        s = self._settings
        cell_px = self._cell_px * width / native_width
        moved = np.flatnonzero((self._changed_ns > now_ns - round(s.linger_s * NS)).any(0))
        lefts = [p[1] for p in self._people] + ([moved[0] * cell_px] if len(moved) else [])
        rights = [p[2] for p in self._people] + ([(moved[-1] + 1) * cell_px] if len(moved) else [])
        if not lefts:
            return slice(0, width)
        left, right = min(lefts) - s.margin * width, max(rights) + s.margin * width
        left, right = max(left, 0.0), min(right, float(width))
        for share in self._parts:
            part = round(share * width)
            if right - left <= part:
                # Starts lie on a raster of the network's own, so that a part gives it the numbers that the whole gives.
                raster = max(1, width // 16)
                start = min(max(round((left + right - part) / 2 / raster) * raster, 0), width - part)
                return slice(start, start + part)
        return slice(0, width)

    def _without_furniture(self, people: Detections, now_ns: int) -> Detections:
        if not len(people):
            return people
        s = self._settings
        keep = np.ones(len(people), bool)
        for row in np.flatnonzero(people.score < s.furniture_score):
            box, score = people.xyxy_px[row], float(people.score[row])
            known = self._thing_at(box)
            if self._ever_moved(box) <= s.still_share:
                if known is None:
                    known = _Thing(box, now_ns)
                    self._furniture.append(known)
                known.seen_ns, known.score = now_ns, max(known.score, score)
                keep[row] = False
            elif known is not None and known.seen_ns - known.since_ns >= s.furniture_s * NS:
                keep[row] = score > known.score + s.surprise
        if keep.all():
            return people
        return Detections(people.xyxy_px[keep], people.score[keep], people.keypoints_px[keep])

    def _thing_at(self, box_xyxy_px: np.ndarray) -> _Thing | None:
        if not self._furniture:
            return None
        overlap = box_iou(np.array([t.xyxy_px for t in self._furniture]), box_xyxy_px[None])[:, 0]
        best = int(overlap.argmax())
        return self._furniture[best] if overlap[best] >= self._settings.furniture_overlap else None

    def _ever_moved(self, box_xyxy_px: np.ndarray) -> float:
        """Share of the cells below a box (native pixels) that have ever changed."""
        rows, columns = self._changed_ns.shape
        cell = self._cell_px
        x1, y1 = np.maximum(np.floor(box_xyxy_px[:2] / cell).astype(int), 0)
        x2, y2 = np.ceil(box_xyxy_px[2:] / cell).astype(int)
        below = self._changed_ns[min(y1, rows - 1) : max(y2, y1 + 1), min(x1, columns - 1) : max(x2, x1 + 1)]
        return float((below > 0).mean())


@dataclass
class _Thing:
    """What is taken for a person where nothing had ever moved, from `since_ns` to `seen_ns`; `score`: the most."""

    xyxy_px: np.ndarray
    since_ns: int
    seen_ns: int = 0
    score: float = 0.0


def _cells(frame: Frame, cell_px: int) -> tuple[np.ndarray, float]:
    """Mean brightness of square cells, float32, from every other pixel of the small picture's size; and their side in
    native pixels."""
    step = max(1, round(max(frame.size_px) / SMALL_SIDE_PX)) * 2
    planar = frame.pixels.ndim == 2
    grey = np.ascontiguousarray((frame.planes[0] if planar else frame.pixels[..., 1])[::step, ::step])
    cell = max(1, cell_px // 2)
    height, width = max(grey.shape[0] // cell, 1), max(grey.shape[1] // cell, 1)
    # A whole number of pixels a cell is the resampler's fast path.
    cells = cv2.resize(grey[: height * cell, : width * cell], (width, height), interpolation=cv2.INTER_AREA)
    return cells.astype(np.float32), float(step * cell)
