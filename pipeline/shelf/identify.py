# SPDX-License-Identifier: AGPL-3.0-or-later
"""From evidence to probabilities: pick, put-back or nothing; which product; how many.

Every clue is a log-likelihood and clues add up. A slot's front that moved back is a pick, one that came forward a
put-back; the plane sweep and the network's boxes both measure that. The product is what the planogram says stands
there unless the network or what the person held says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.catalogue import Catalogue
from pipeline.shelf.change import DepthShift
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.sight import Front, InHand


@dataclass(frozen=True)
class CameraClue:
    """What one camera's two pictures of a slot say. `px_per_cm` is its sharpness there."""

    camera_id: str
    px_per_cm: float
    difference: float
    shift: DepthShift
    before: Front
    after: Front


@dataclass(frozen=True)
class Verdict:
    """Probabilities over what happened at a slot. `products`, `quantities`: best first, each adding up to 1."""

    pick: float
    put_back: float
    nothing: float
    products: tuple[tuple[str, float], ...]
    quantities: tuple[tuple[int, float], ...]

    @property
    def kind(self) -> str:
        return "pick" if self.pick >= self.put_back else "put_back"

    @property
    def kind_probability(self) -> float:
        return max(self.pick, self.put_back)


class Identifier:
    """Combines clues; pure, knows the catalogue and the settings only."""

    def __init__(self, catalogue: Catalogue, settings: ShelfSettings) -> None:
        self._gtins = catalogue.gtins
        self._catalogue = catalogue
        self._settings = settings

    def decide(
        self,
        clues: Sequence[CameraClue],
        planned_gtin: str | None,
        pitch_m: float,
        held: Mapping[str, float],
        reaches: int,
        hand_before: Sequence[InHand] = (),
        hand_after: Sequence[InHand] = (),
    ) -> Verdict:
        """What happened at a slot.

        Args:
            clues: one a camera that saw the slot clear before and after.
            planned_gtin: what the planogram (or the last put-back) says stands there.
            pitch_m: distance from one item's front to the next one's.
            held: what the person probably holds from the shop, GTIN -> expected number.
            reaches: how many reaches may have touched the slot in between.
            hand_before, hand_after: crops of the hand on its way in and out.
        """
        kinds = self._kinds(clues, held, hand_before, hand_after)
        kind = "pick" if kinds[0] >= kinds[1] else "put_back"
        products = self._products(kind, clues, planned_gtin, held, hand_before, hand_after)
        quantities = self._quantities(kind, clues, pitch_m, reaches)
        return Verdict(*kinds, products, quantities)

    def _kinds(self, clues, held, hand_before, hand_after) -> np.ndarray:
        """Probabilities (3,) of pick, put-back, nothing."""
        s = self._settings
        holds = min(sum(held.values()), 1.0)
        put_back = s.put_back_prior_empty_handed + (s.put_back_prior - s.put_back_prior_empty_handed) * holds
        log = np.log([1 - s.nothing_prior - put_back, put_back, s.nothing_prior])
        weights = sharpness(clues)
        for clue, weight in zip(clues, weights, strict=True):
            moved = s.sweep_gain * forward_or_back(clue.shift)
            moved += s.network_gain * moved_boxes(clue.before, clue.after)
            # Half to each side: the ratio pick to put-back is what the clue measures.
            log += weight * np.array([moved / 2, -moved / 2, 0])
            log[2] -= weight * s.change_gain * max(clue.difference - s.same_view, 0)
        if hand_before and hand_after:
            full = np.mean([h.score for h in hand_after]) - np.mean([h.score for h in hand_before])
            log += s.hand_gain * np.array([full / 2, -full / 2, 0])
        return softmax(log)

    def _products(self, kind, clues, planned_gtin, held, hand_before, hand_after) -> tuple[tuple[str, float], ...]:
        s = self._settings
        n = len(self._gtins)
        index = {g: i for i, g in enumerate(self._gtins)}
        prior = np.full(n, s.unplanned_share / n)
        if planned_gtin is not None:
            prior[index[planned_gtin]] += 1 - s.unplanned_share
        if kind == "put_back" and sum(held.values()) > 0.2:
            mine = np.full(n, s.unplanned_share / n)
            for gtin, count in held.items():
                mine[index[gtin]] += max(count, 0)
            # What is put back was held; that it also belongs here makes it likelier still.
            prior = mine * (prior + 0.15)
        log = np.log(prior / prior.sum())
        for clue, weight in zip(clues, sharpness(clues), strict=True):
            front = clue.before if kind == "pick" else clue.after
            log += weight * s.class_gain * class_log(front.class_scores)
        for hand in hand_after if kind == "pick" else hand_before:
            log += s.hand_class_gain * class_log(hand.class_scores)
        chance = softmax(log)
        order = np.argsort(-chance, kind="stable")[: s.max_candidates]
        return tuple((self._gtins[i], float(chance[i])) for i in order if chance[i] >= 0.005)

    def _quantities(self, kind, clues, pitch_m, reaches) -> tuple[tuple[int, float], ...]:
        s = self._settings
        counts = np.arange(1, 7)
        log = np.where(counts <= max(reaches, 1), np.log(0.5) * (counts - 1), np.log(s.extra_item_prior) * (counts - 1))
        if reaches > 1:
            log = np.where(counts <= reaches, np.log(0.7) * np.abs(counts - reaches) * 0.5, log)
        sign = 1 if kind == "pick" else -1
        for clue, weight in zip(clues, sharpness(clues), strict=True):
            for behind, trust in measured_moves(clue):
                if behind * sign > 0:
                    off = (abs(behind) - counts * pitch_m) / (s.depth_sigma_m + 0.05 * counts * pitch_m)
                    # A wrong match says nothing: mix with a flat chance.
                    log += weight * np.log(trust * np.exp(-0.5 * off**2) + (1 - trust) * 0.2 + 1e-3)
        chance = softmax(log)
        order = np.argsort(-chance, kind="stable")
        return tuple((int(counts[i]), float(chance[i])) for i in order if chance[i] >= 0.005)


def softmax(log: np.ndarray) -> np.ndarray:
    out = np.exp(log - log.max())
    return out / out.sum()


def sharpness(clues: Sequence[CameraClue]) -> np.ndarray:
    """Weights (N,) of cameras: the sharpest counts fully, the others less, as they err together with it."""
    if not clues:
        return np.zeros(0)
    px = np.array([c.px_per_cm for c in clues])
    weight = np.clip(px / 3.0, 0, 1) ** 2
    order = np.argsort(-weight, kind="stable")
    weight[order] *= 1 / np.sqrt(1 + np.arange(len(px)))
    return weight


def forward_or_back(shift: DepthShift) -> float:
    """-1 (came forward, surely) to 1 (went back, surely): how much better a move explains the pictures than none."""
    gain = max(shift.match - max(shift.still, 0.3), 0.0)
    return float(np.sign(shift.behind_m) * min(gain / 0.4, 1.0))


def moved_boxes(before: Front, after: Front) -> float:
    """-1 to 1: the network's foremost item came forward or appeared, or went back or vanished."""
    if before.found and after.found:
        move = np.clip((after.behind_m - before.behind_m) / 0.05, -1, 1)
        return float(move * min(before.score, after.score))
    return float(before.score - after.score)


def measured_moves(clue: CameraClue) -> list[tuple[float, float]]:
    """(metres back, trust in [0, 1]) by the plane sweep and by the network's boxes."""
    out = [(clue.shift.behind_m, 0.9 * abs(forward_or_back(clue.shift)))]
    if clue.before.found and clue.after.found:
        out.append((clue.after.behind_m - clue.before.behind_m, 0.7 * min(clue.before.score, clue.after.score)))
    return out


def class_log(class_scores: np.ndarray) -> np.ndarray:
    """Log-likelihood (C,) of each class; flat where the network found nothing."""
    return np.log(np.clip(class_scores, 0, 1) + 0.03) - np.log(0.03 + class_scores.max(initial=0.0))
