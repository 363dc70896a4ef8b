# SPDX-License-Identifier: AGPL-3.0-or-later
"""From evidence to probabilities: pick, put-back or nothing; which product; how many.

A slot is a row of places from the front to the back. A hypothesis says which place was the first taken one before (a)
and which one is afterwards (b): a pick of b - a items, a put-back of a - b, or nothing. Every clue is a log-likelihood
and clues add up: the plane sweep compares the pictures for every (a, b), the network's boxes say where the foremost
item stood. The product is what the planogram says stands there unless the network or what the person held says
otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.catalogue import Catalogue
from pipeline.shelf.rows import MOST_PLACES, RowMatch
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.sight import Front, InHand

PLACES = MOST_PLACES + 1
"""Places that are told apart; the last one stands for all deeper ones, which cannot be seen, and for an empty row."""


@dataclass(frozen=True)
class CameraClue:
    """What one camera's two pictures of a slot say. `px_per_cm` is its sharpness there.

    `places`: float64 (PLACES,), where the row began when the first picture was taken, if that is before the last
    decision about the slot; None when it shows the row as the decision left it.
    """

    camera_id: str
    px_per_cm: float
    difference: float
    rows: RowMatch
    before: Front
    after: Front
    places: np.ndarray | None = None


@dataclass(frozen=True)
class Verdict:
    """Probabilities over what happened at a slot. `products`, `quantities`: best first, each adding up to 1 at most.

    `places`: float64 (PLACES,), where the row begins now.
    """

    pick: float
    put_back: float
    nothing: float
    products: tuple[tuple[str, float], ...]
    quantities: tuple[tuple[int, float], ...]
    places: np.ndarray

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
        self._index = {g: i for i, g in enumerate(self._gtins)}
        self._settings = settings

    def decide(
        self,
        clues: Sequence[CameraClue],
        planned_gtin: str | None,
        pitch_m: float,
        places: np.ndarray,
        held: Mapping[str, float],
        reaches: int,
        hand_before: Sequence[InHand] = (),
        hand_after: Sequence[InHand] = (),
    ) -> Verdict:
        """What happened at a slot.

        Args:
            clues: one a camera that saw the slot clear before and after.
            planned_gtin: what the planogram says stands there.
            pitch_m: distance from one item's front to the next one's.
            places: (PLACES,), probabilities of where the row began before.
            held: what the person probably holds from the shop, GTIN -> expected number.
            reaches: how many reaches may have touched the slot in between, or people are seen with its product since.
            hand_before, hand_after: crops of the hand on its way in and out.
        """
        moves = softmax(
            self._prior(places, held, reaches)
            + self._sweep(clues)
            + self._boxes(clues, pitch_m)
            + self._hands(hand_before, hand_after)
        )
        taken = np.arange(PLACES)[None] - np.arange(PLACES)[:, None]
        pick, put_back = float(moves[taken > 0].sum()), float(moves[taken < 0].sum())
        sign = 1 if pick >= put_back else -1
        share = np.array([moves[taken == sign * q].sum() for q in range(1, PLACES)])
        share /= max(share.sum(), 1e-12)
        order = np.argsort(-share, kind="stable")
        return Verdict(
            pick,
            put_back,
            1 - pick - put_back,
            self._products("pick" if sign > 0 else "put_back", clues, planned_gtin, held, hand_before, hand_after),
            tuple((int(i) + 1, float(share[i])) for i in order if share[i] >= 0.005),
            moves.sum(0),
        )

    def _prior(self, places: np.ndarray, held: Mapping[str, float], reaches: int) -> np.ndarray:
        """Log-probabilities (PLACES, PLACES) of (a, b) before anything is compared."""
        s = self._settings
        holds = min(sum(held.values()), 1.0)
        put_back = s.put_back_prior_empty_handed + (s.put_back_prior - s.put_back_prior_empty_handed) * holds
        counts = np.arange(1, PLACES)
        # Each reach takes one item or none; more than one a reach is rare.
        most = max(reaches, 1)
        share = np.where(counts <= most, 1.0, s.extra_item_prior ** (counts - most))
        share /= share.sum()
        out = np.zeros((PLACES, PLACES))
        for a in range(PLACES):
            out[a, a] = s.nothing_prior
            out[a, a + 1 :] = (1 - s.nothing_prior - put_back) * share[: PLACES - 1 - a]
            out[a, :a] = put_back * share[:a][::-1]
            out[a] *= places[a]
        return np.log(out + 1e-9)

    def _sweep(self, clues: Sequence[CameraClue]) -> np.ndarray:
        """Log-likelihood (PLACES, PLACES): how alike the first item before is to the first one after."""
        s = self._settings
        total, weight = np.zeros((PLACES, PLACES)), np.zeros((PLACES, PLACES))
        for clue, sharp in zip(clues, sharpness(clues), strict=True):
            n = len(clue.rows.match)
            w, match = sharp * clue.rows.seen, clue.rows.match
            if clue.places is not None:
                # Its first picture is of another row than (a) tells of: only (b) can be asked, whatever (a) is.
                told = clue.places[:n, None] * w
                match = np.tile((told * match).sum(0) / np.maximum(told.sum(0), 1e-9), (n, 1))
                w = np.tile(told.sum(0), (n, 1))
            total[:n, :n] += w * match
            weight[:n, :n] += w
        mean = total / np.maximum(weight, 1e-9)
        # What cannot be compared, or is another item than expected, is as likely as a poor match.
        trust = np.clip(weight / 0.5, 0, 1)
        alike = trust * mean + (1 - trust) * s.unseen_match
        moved = ~np.eye(PLACES, dtype=bool)
        alike[moved] = np.maximum(alike[moved], s.unseen_match)
        return s.sweep_gain * alike

    def _boxes(self, clues: Sequence[CameraClue], pitch_m: float) -> np.ndarray:
        """Log-likelihood (PLACES, PLACES): where the network's foremost box puts the front before and after."""
        s = self._settings
        out = np.zeros((PLACES, PLACES))
        for clue, sharp in zip(clues, sharpness(clues), strict=True):
            for front, axis in ((clue.before, 1), (clue.after, 0)):
                if front.found and not (axis == 1 and clue.places is not None):
                    off = (front.behind_m / pitch_m - np.arange(PLACES)) / s.box_place_sigma
                    fits = front.score * np.exp(-0.5 * np.minimum(off**2, 50))
                    out += sharp * s.network_gain * np.expand_dims(fits, axis)
        return out

    def _hands(self, hand_before: Sequence[InHand], hand_after: Sequence[InHand]) -> np.ndarray:
        """Log-likelihood: a hand that comes out fuller than it went in took something."""
        out = np.zeros((PLACES, PLACES))
        if hand_before and hand_after:
            fuller = np.mean([h.score for h in hand_after]) - np.mean([h.score for h in hand_before])
            taken = np.sign(np.arange(PLACES)[None] - np.arange(PLACES)[:, None])
            out = self._settings.hand_gain * fuller / 2 * taken
        return out

    def _products(self, kind, clues, planned_gtin, held, hand_before, hand_after) -> tuple[tuple[str, float], ...]:
        s = self._settings
        n = len(self._gtins)
        prior = np.full(n, s.unplanned_share / n)
        if planned_gtin is not None:
            prior[self._index[planned_gtin]] += 1 - s.unplanned_share
        if kind == "put_back" and sum(held.values()) > 0.2:
            mine = np.full(n, s.unplanned_share / n)
            for gtin, count in held.items():
                mine[self._index[gtin]] += max(count, 0)
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


class RowHistory:
    """Where the row of each slot began after every decision about it, so that a camera that was blind meanwhile can be
    asked about the whole of it."""

    def __init__(self) -> None:
        self._known: dict[str, list[tuple[int, np.ndarray]]] = {}

    def now(self, slot_id: str) -> np.ndarray:
        known = self._known.get(slot_id)
        return known[-1][1] if known else fresh_places()

    def add(self, slot_id: str, at_ns: int, places: np.ndarray) -> None:
        self._known.setdefault(slot_id, []).append((at_ns, places))
        del self._known[slot_id][:-20]

    def before(self, slot_id: str, at_ns: int) -> np.ndarray | None:
        """Places as they were at an instant before the last decision; None after it."""
        known = self._known.get(slot_id, [])
        if not known or at_ns >= known[-1][0]:
            return None
        return next((p for t, p in reversed(known) if t <= at_ns), fresh_places())


def softmax(log: np.ndarray) -> np.ndarray:
    out = np.exp(log - log.max())
    return out / out.sum()


def sharpness(clues: Sequence[CameraClue]) -> np.ndarray:
    """Weights (N,) of cameras: the sharpest counts fully, the others less, as they err together with it."""
    if not clues:
        return np.zeros(0)
    weight = np.clip(np.array([c.px_per_cm for c in clues]) / 3.0, 0, 1.2) ** 2
    order = np.argsort(-weight, kind="stable")
    weight[order] *= 1 / np.sqrt(1 + np.arange(len(weight)))
    return weight


def class_log(class_scores: np.ndarray) -> np.ndarray:
    """Log-likelihood (C,) of each class; flat where the network found nothing."""
    return np.log(np.clip(class_scores, 0, 1) + 0.03) - np.log(0.03 + class_scores.max(initial=0.0))


def fresh_places() -> np.ndarray:
    """(PLACES,): where rows begin in a shop that was stocked: nearly all at the front."""
    out = np.full(PLACES, 0.05 / (PLACES - 1))
    out[0] = 0.95
    return out
