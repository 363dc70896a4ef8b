# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a network makes of what is to be seen: misses, wrong scores, displaced, merged, doubled and false boxes.

Errors last: what belongs to one person in one camera follows a first-order autoregressive process in time, and a false
box stays for a while. The numbers are fitted by `sim.sightings.fit` and kept in `noise.yaml`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from calibration.boxes import box_iou
from calibration.layout import parse_model
from pipeline.errors import ScenarioError
from pipeline.messages import Detections
from sim.sightings.views import View

_LOGISTIC = 1.702
"""A logistic curve is nearly the normal one with this deviation (Haley, 1952)."""
SETTINGS = Path(__file__).parent / "noise.yaml"

Share = Annotated[float, Field(ge=0, le=1)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Found(_Model):
    """Logistic: log-odds of being found = `base` + `visible` * share visible + `size` * log2(box height / 200 px)."""

    base: float
    visible: float
    size: float
    lasts_s: float = Field(gt=0, description="time in which luck is forgotten by a factor e")


class Score(_Model):
    """Log-odds of the score = `base` + `visible` * share visible + `spread` * the person's luck."""

    base: float
    visible: float
    spread: float = Field(ge=0)


class Box(_Model):
    """Sides (left, top, right, bottom) in shares of the visible box's width or height: `bias` + noise of deviation
    `spread` + `hidden` * share hidden. `whole`: how far each side goes on towards the whole body, if part is hidden."""

    bias: tuple[float, float, float, float]
    spread: float = Field(ge=0)
    hidden: float = Field(ge=0)
    whole: tuple[Share, Share, Share, Share]
    lasts_s: float = Field(gt=0)


class Overlap(_Model):
    """Two people whose boxes overlap by more than `iou`: with `lost` the one behind is not found, with `merged` of
    those the other one's box goes round both. `doubled`: share of people found twice, the second a part of them."""

    iou: float
    lost: Share
    merged: Share
    doubled: Share


class FalseBoxes(_Model):
    """`a_second`: how many begin, a camera and second. Their score's log-odds and height, mean and deviation."""

    a_second: float = Field(ge=0)
    lasts_s: float = Field(gt=0)
    score: tuple[float, float]
    log2_height_px: tuple[float, float]


class KeyPoints(_Model):
    """Deviation in shares of the whole box's height, and mean and deviation of the confidence's log-odds, for points
    that are to be seen and for hidden ones."""

    seen: float
    hidden: float
    seen_confidence: tuple[float, float]
    hidden_confidence: tuple[float, float]
    outside_confidence: tuple[float, float]


class Noise(_Model):
    """What is wrong with a network's detections. `fitted`: the command that these numbers come from, and on what."""

    fitted: str
    min_score: Share
    found: Found
    score: Score
    box: Box
    overlap: Overlap
    false_boxes: FalseBoxes
    keypoints: KeyPoints


def load_noise(path: Path | str = SETTINGS) -> Noise:
    """Read the settings; `ScenarioError` names the file and the field."""
    return parse_model(Noise, path, ScenarioError)


class _Luck:
    """A standard normal number for every key that changes slowly: correlation exp(-dt / lasts)."""

    def __init__(self, lasts_s: float, size: int, rng: np.random.Generator) -> None:
        self._lasts_s, self._size, self._rng = lasts_s, size, rng
        self._state: dict[str, tuple[float, np.ndarray]] = {}

    def at(self, key: str, at_s: float) -> np.ndarray:
        fresh = self._rng.standard_normal(self._size)
        known = self._state.get(key)
        if known is not None:
            keep = float(np.exp(-max(at_s - known[0], 0.0) / self._lasts_s))
            fresh = keep * known[1] + np.sqrt(1 - keep * keep) * fresh
        self._state[key] = (at_s, fresh)
        return fresh


class Observer:
    """One camera's network. Pictures have to come in time order."""

    def __init__(self, noise: Noise, size_px: tuple[int, int], rng: np.random.Generator) -> None:
        self._noise, self._size_px, self._rng = noise, size_px, rng
        self._luck = _Luck(noise.found.lasts_s, 1, rng)
        self._shift = _Luck(noise.box.lasts_s, 4, rng)
        self._points = _Luck(noise.box.lasts_s, 34, rng)
        self._false: list[tuple[float, np.ndarray, float]] = []  # until when, box, score's log-odds
        self._last_s: float | None = None

    def look(self, at_s: float, persons: list[str], view: View, rows: np.ndarray) -> Detections:
        """Detections in the picture at an instant, of people of a `View`; `persons[i]` names row `rows[i]`."""
        found = [self._person(at_s, name, view, int(row)) for name, row in zip(persons, rows, strict=True)]
        found = self._overlapping(view, rows, found)
        found = [f for f in found if f is not None]
        found += [self._second(f) for f in found if self._rng.random() < self._noise.overlap.doubled]
        found += self._false_boxes(at_s)
        boxes = np.array([f[0] for f in found], np.float32).reshape(-1, 4)
        limit = np.array([*self._size_px, *self._size_px], np.float32) - 1
        boxes = np.clip(boxes, 0, limit)
        score = np.array([f[1] for f in found], np.float32)
        points = np.array([f[2] for f in found], np.float32).reshape(-1, 17, 3)
        keep = (score >= self._noise.min_score) & (boxes[:, 2:] - boxes[:, :2] > 4).all(1)
        order = np.argsort(-score[keep], kind="stable")
        return Detections(boxes[keep][order], score[keep][order], points[keep][order])

    def _person(self, at_s: float, name: str, view: View, row: int):
        """(box, score, key points) of somebody, None if missed."""
        n = self._noise
        visible = float(view.visible[row])
        luck = float(self._luck.at(name, at_s)[0])
        shift, point_luck = self._shift.at(name, at_s), self._points.at(name, at_s).reshape(17, 2)
        seen, full = view.xyxy_px[row], view.full_xyxy_px[row]
        height = max(full[3] - full[1], 1.0)
        odds = n.found.base + n.found.visible * visible + n.found.size * np.log2(height / 200)
        if visible <= 0 or luck > odds / _LOGISTIC:
            return None
        score = _share(n.score.base + n.score.visible * visible - n.score.spread * luck)
        size = np.tile([max(seen[2] - seen[0], 1.0), max(seen[3] - seen[1], 1.0)], 2)
        box = seen + np.array(n.box.whole) * (full - seen)
        box = box + size * (np.array(n.box.bias) + (n.box.spread + n.box.hidden * (1 - visible)) * shift)
        return box, score, self._key_points(view, row, height, point_luck)

    def _key_points(self, view: View, row: int, height: float, luck: np.ndarray) -> np.ndarray:
        k, flags = self._noise.keypoints, view.keypoints_visible[row]
        spread = np.where(flags == 2, k.seen, k.hidden) * height
        out = np.zeros((17, 3))
        out[:, :2] = np.where(flags[:, None] > 0, view.keypoints_px[row] + spread[:, None] * luck, 0.0)
        table = np.array([k.outside_confidence, k.hidden_confidence, k.seen_confidence])
        mean, deviation = table[flags].T
        out[:, 2] = _share(mean + deviation * self._rng.standard_normal(17))
        return out

    def _overlapping(self, view: View, rows: np.ndarray, found: list) -> list:
        """Who is behind somebody in much the same place may be lost, or taken for one with them."""
        o = self._noise.overlap
        here = [i for i, f in enumerate(found) if f is not None]
        if len(here) < 2:
            return found
        boxes = view.xyxy_px[rows[here]]
        overlap = box_iou(boxes, boxes)
        for a, b in zip(*np.where(np.triu(overlap > o.iou, 1)), strict=True):
            far, near = (here[a], here[b]) if view.depth_m[rows[here[a]]] > view.depth_m[rows[here[b]]] else (
                here[b], here[a],
            )  # fmt: skip
            if found[far] is None or found[near] is None or self._rng.random() >= o.lost:
                continue
            if self._rng.random() < o.merged:
                one, other = found[near][0], found[far][0]
                both = np.array([*np.minimum(one[:2], other[:2]), *np.maximum(one[2:], other[2:])])
                found[near] = (both, found[near][1], found[near][2])
            found[far] = None
        return found

    def _second(self, first):
        """A second box on somebody: the upper or the lower part of them."""
        box, score, points = first
        cut = box[1] + self._rng.uniform(0.35, 0.65) * (box[3] - box[1])
        part = [box[0], box[1], box[2], cut] if self._rng.random() < 0.5 else [box[0], cut, box[2], box[3]]
        return np.array(part), score * self._rng.uniform(0.2, 0.8), points

    def _false_boxes(self, at_s: float) -> list:
        n = self._noise.false_boxes
        gone_s = 0.0 if self._last_s is None else at_s - self._last_s
        self._last_s = at_s
        self._false = [f for f in self._false if f[0] > at_s]
        for _ in range(self._rng.poisson(n.a_second * gone_s)):
            height = float(np.exp2(self._rng.normal(*n.log2_height_px)))
            width = height * self._rng.uniform(0.3, 0.9)
            x, y = self._rng.uniform(0, 1, 2) * self._size_px
            box = np.array([x - width / 2, y - height / 2, x + width / 2, y + height / 2])
            self._false.append((at_s + self._rng.exponential(n.lasts_s), box, float(self._rng.normal(*n.score))))
        out = []
        for _, box, odds in self._false:
            shaken = box + 0.02 * (box[3] - box[1]) * self._rng.standard_normal(4)
            points = np.zeros((17, 3))
            points[:, :2] = self._rng.uniform(shaken[:2], np.maximum(shaken[2:], shaken[:2] + 1), (17, 2))
            points[:, 2] = _share(self._rng.normal(*self._noise.keypoints.hidden_confidence, 17))
            out.append((shaken, float(_share(odds + 0.3 * self._rng.standard_normal())), points))
        return out


def _share(odds):
    """Log-odds to a share."""
    return 1 / (1 + np.exp(-odds))
