# SPDX-License-Identifier: AGPL-3.0-or-later
"""Fits the noise of `sim.sightings.noise` to a network: `walkout sim fit-noise REC=RUN...`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from scipy.optimize import minimize

from sim.sightings.matches import Matches
from sim.sightings.noise import Noise

_LEAST = 30
"""With fewer examples a number stays as it was."""
_GAP_S = 0.35
_CUT = 0.4
_ROBUST = 1.4826  # of a normal distribution: deviation over median absolute deviation


def fit(matches: Matches, before: Noise, how: str) -> tuple[Noise, list[str]]:
    """The noise that describes the matches best, and the names of what had too few examples and stays as `before`.

    Least squares and maximum likelihood part by part: being found, its score, the box, overlaps, false boxes, key
    points.
    """
    parts, kept = before.model_dump(), []
    for name, fitted in (
        ("found", _found), ("score", _score), ("box", _box), ("overlap", _overlap), ("false_boxes", _false_boxes),
        ("keypoints", _keypoints),
    ):  # fmt: skip
        values = fitted(matches, before)
        if values is None:
            kept.append(name)
        else:
            parts[name] |= values
    return Noise.model_validate(parts | {"fitted": how}), kept


def save(noise: Noise, path: Path, comment: str) -> None:
    """Write the settings, rounded, with a comment on top."""
    text = yaml.safe_dump(_rounded(noise.model_dump(mode="json")), sort_keys=False, default_flow_style=None, width=110)
    path.write_text(f"# {comment}\n{text}", encoding="utf-8")


def _rounded(value):
    if isinstance(value, dict):
        return {k: _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _alone(m: Matches, iou: float) -> np.ndarray:
    """Rows of people whom nobody else's box overlaps much: overlaps are fitted apart."""
    return m.overlap < 0.5 * iou


def _odds(m: Matches, numbers: np.ndarray) -> np.ndarray:
    height = np.maximum(m.full[:, 3] - m.full[:, 1], 1)
    return numbers[0] + numbers[1] * m.visible + numbers[2] * np.log2(height / 200)


def _found(m: Matches, before: Noise) -> dict | None:
    use = _alone(m, before.overlap.iou)
    if use.sum() < _LEAST:
        return None
    start = np.array([before.found.base, before.found.visible, before.found.size])

    def loss(numbers: np.ndarray) -> float:
        odds = _odds(m, numbers)[use]
        likelihood = np.where(m.found[use], -np.logaddexp(0, -odds), -np.logaddexp(0, odds))
        return float(-likelihood.sum() + 0.01 * ((numbers - start) ** 2).sum())

    numbers = minimize(loss, start, method="BFGS").x
    left = m.found - 1 / (1 + np.exp(-_odds(m, numbers)))
    lasts_s = _lasting(m.series[use], m.at_s[use], left[use])
    return dict(zip(("base", "visible", "size", "lasts_s"), map(float, (*numbers, lasts_s)), strict=True))


def _score(m: Matches, _before: Noise) -> dict | None:
    use = m.found & (m.overlap < 0.3)
    if use.sum() < _LEAST:
        return None
    share = np.clip(m.score[use], 1e-3, 1 - 1e-3)
    odds = np.log(share / (1 - share))
    (base, slope), left = _line(m.visible[use], odds)
    return {"base": base, "visible": slope, "spread": _deviation(left)}


def _box(m: Matches, before: Noise) -> dict | None:
    use = m.found & _alone(m, before.overlap.iou)
    if use.sum() < _LEAST:
        return None
    size = np.tile(np.maximum(m.seen[use, 2:] - m.seen[use, :2], 1), 2)
    error, further = (m.box[use] - m.seen[use]) / size, (m.full[use] - m.seen[use]) / size
    bias, whole, left = np.zeros(4), np.zeros(4), np.zeros_like(error)
    for side in range(4):
        good = np.abs(error[:, side]) < _CUT
        (bias[side], slope), _ = _line(further[good, side], error[good, side])
        whole[side] = np.clip(slope, 0, 1)
        left[:, side] = error[:, side] - bias[side] - whole[side] * further[:, side]
    visible = m.visible[use]
    spread = _deviation(left[visible > 0.8]) if (visible > 0.8).sum() >= _LEAST else _deviation(left)
    dim = visible < 0.5
    hidden = 0.0
    if dim.sum() >= _LEAST:
        hidden = max(0.0, (_deviation(left[dim]) - spread) / float(1 - visible[dim].mean()))
    lasts_s = np.mean([_lasting(m.series[use], m.at_s[use], np.clip(left[:, s], -_CUT, _CUT)) for s in range(4)])
    return {
        "bias": tuple(map(float, bias)), "spread": spread, "hidden": hidden, "whole": tuple(map(float, whole)),
        "lasts_s": float(lasts_s),
    }  # fmt: skip


def _overlap(m: Matches, before: Noise) -> dict | None:
    iou = before.overlap.iou
    close = np.flatnonzero((m.overlap > iou) & (m.rival >= 0))
    close = close[m.found[m.rival[close]] | m.found[close]]
    doubled = float((m.second & m.found).sum() / max(m.found.sum(), 1))
    if len(close) < _LEAST:
        return {"doubled": doubled} if m.found.sum() >= _LEAST else None
    lost = close[~m.found[close] & m.found[m.rival[close]]]
    one, other, box = m.seen[lost], m.seen[m.rival[lost]], m.box[m.rival[lost]]
    area = (np.maximum(one[:, 2:], other[:, 2:]) - np.minimum(one[:, :2], other[:, :2])).prod(1)
    near = (other[:, 2:] - other[:, :2]).prod(1)
    # Nearer to both together than to the nearer one alone.
    merged = np.abs((box[:, 2:] - box[:, :2]).prod(1) - area) < 0.5 * np.abs(area - near)
    return {
        "lost": float(len(lost) / len(close)), "merged": float(merged.mean()) if len(lost) else 0.0, "doubled": doubled,
    }  # fmt: skip


def _false_boxes(m: Matches, _before: Noise) -> dict | None:
    if m.looked_s < 60:
        return None
    begun, ends = 0, []
    open_: list[tuple[int, float, float, np.ndarray]] = []  # series, began, last, box
    for i in np.lexsort((m.false_at_s, m.false_series)):
        now, box = float(m.false_at_s[i]), m.false_box[i]
        goes_on = [
            k for k, (s, _, last, old) in enumerate(open_)
            if s == m.false_series[i] and 0 < now - last < _GAP_S and _close(old, box)
        ]  # fmt: skip
        if goes_on:
            s, began, _, _ = open_.pop(goes_on[0])
            open_.append((s, began, now, box))
        else:
            begun += 1
            open_.append((int(m.false_series[i]), now, now, box))
    ends = [last - began + 0.1 for _, began, last, _ in open_]
    out = {"a_second": begun / m.looked_s, "lasts_s": float(max(np.mean(ends), 0.05)) if ends else 0.1}
    if len(m.false_score) >= _LEAST:
        share = np.clip(m.false_score, 1e-3, 1 - 1e-3)
        odds = np.log(share / (1 - share))
        height = np.log2(np.maximum(m.false_box[:, 3] - m.false_box[:, 1], 4))
        out |= {
            "score": (float(odds.mean()), float(odds.std())),
            "log2_height_px": (float(height.mean()), float(height.std())),
        }
    return out


def _close(a: np.ndarray, b: np.ndarray) -> bool:
    return float(np.abs(a - b).max()) < 0.5 * float((a[2:] - a[:2]).max())


def _keypoints(m: Matches, _before: Noise) -> dict | None:
    use = m.found & (np.abs(m.keypoints).sum((1, 2)) > 0) & (m.overlap < 0.3)
    if use.sum() < _LEAST:
        return None
    height = np.maximum(m.full[use, 3] - m.full[use, 1], 1)[:, None, None]
    error = (m.keypoints[use, :, :2] - m.true_points[use]) / height
    share = np.clip(m.keypoints[use, :, 2], 1e-3, 1 - 1e-3)
    odds, flags, out = np.log(share / (1 - share)), m.flags[use], {}
    for flag, name in ((2, "seen"), (1, "hidden")):
        if (flags == flag).sum() >= _LEAST:
            out[name] = _deviation(error[flags == flag])
            out[f"{name}_confidence"] = (float(odds[flags == flag].mean()), float(odds[flags == flag].std()))
    if (flags == 0).sum() >= _LEAST:
        out["outside_confidence"] = (float(odds[flags == 0].mean()), float(odds[flags == 0].std()))
    return out


def _line(x: np.ndarray, y: np.ndarray) -> tuple[tuple[float, float], np.ndarray]:
    """(intercept, slope) by least squares, slope 0 where x does not vary; and what is left (N,)."""
    if len(x) < 2 or np.ptp(x) < 1e-6:
        middle = float(np.median(y)) if len(y) else 0.0
        return (middle, 0.0), y - middle
    slope, base = np.polyfit(x, y, 1)
    return (float(base), float(slope)), y - base - slope * x


def _deviation(left: np.ndarray) -> float:
    return float(_ROBUST * np.median(np.abs(left - np.median(left))))


def _lasting(series: np.ndarray, at_s: np.ndarray, left: np.ndarray) -> float:
    """Time constant in seconds of what is left, from its correlation between neighbouring pictures of a series."""
    order = np.lexsort((at_s, series))
    series, at_s, left = series[order], at_s[order], left[order] - left.mean()
    next_ = (np.diff(series) == 0) & (np.diff(at_s) < _GAP_S)
    if next_.sum() < _LEAST or left.std() < 1e-9:
        return 0.2
    together = float((left[:-1][next_] * left[1:][next_]).mean() / left.var())
    gap_s = float(np.diff(at_s)[next_].mean())
    return float(np.clip(-gap_s / np.log(np.clip(together, 1e-3, 0.99)), 0.02, 5.0))
