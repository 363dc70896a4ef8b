# SPDX-License-Identifier: AGPL-3.0-or-later
"""Reaches: from when to when a hand was in which shelf face, and which slots it may have touched."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.special import ndtr

from calibration.layout import Gondola, StoreLayout
from pipeline.messages import Reach
from pipeline.shelf.hands import Hand
from pipeline.shelf.settings import ShelfSettings


@dataclass(frozen=True)
class FaceSlots:
    """The slots of one face as arrays, so that a hand's path meets all of them at once.

    `slot_ids`: length S. `along_m`, `up_m`: float64 (S, 2), from and to.
    """

    slot_ids: tuple[str, ...]
    along_m: np.ndarray
    up_m: np.ndarray

    @classmethod
    def of(cls, gondola: Gondola) -> FaceSlots:
        rows = [(shelf, slot) for shelf in gondola.shelves for slot in shelf.slots]
        return cls(
            tuple(slot.id for _, slot in rows),
            np.array([(slot.start_m, slot.end_m) for _, slot in rows]).reshape(-1, 2),
            np.array([(sh.height_m, sh.height_m + sh.clearance_m) for sh, _ in rows]).reshape(-1, 2),
        )

    def probabilities(self, touch_m: np.ndarray, sigma_m: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Probability (S,) that the touched point lay in each slot; adds up to at most 1.

        Args:
            touch_m: (T, 2), along and up, where the palm seemed to be. sigma_m: (T, 2), its spread.
            weight: (T,), how telling each instant is; normalised here.
        """

        def inside(column: int, span: np.ndarray) -> np.ndarray:
            z = (span[None] - touch_m[:, column, None, None]) / sigma_m[:, column, None, None]
            return ndtr(z[..., 1]) - ndtr(z[..., 0])

        weight = weight / weight.sum()
        return (weight[:, None] * inside(0, self.along_m) * inside(1, self.up_m)).sum(0)


@dataclass
class _Open:
    """A reach that goes on."""

    gondola_id: str
    t0_ns: int
    last_ns: int
    hands: list[Hand] = field(default_factory=list)


class ReachDetector:
    """Hands over time to reaches. A reach begins when a palm comes within `reach_enter_m` of a face's front plane or
    behind it, beside a slot, and ends when it is `reach_leave_m` away, leaves the face sideways, or is lost."""

    def __init__(self, layout: StoreLayout, settings: ShelfSettings) -> None:
        self._layout = layout
        self._settings = settings
        self._faces = {g.id: FaceSlots.of(g) for g in layout.gondolas}
        self._open: dict[tuple[str, str], _Open] = {}

    def update(self, track_id: str, side: str, at_ns: int, hand: Hand | None) -> list[Reach]:
        """The reaches of this hand that ended; `hand` is None when nobody sees it at `at_ns`."""
        key = (track_id, side)
        current = self._open.get(key)
        if hand is None:
            if current and at_ns - current.last_ns > self._settings.reach_gap_s * 1e9:
                return [self._close(key)]
            return []
        done = []
        if current and self._distance(self._layout.gondola_by_id[current.gondola_id], hand) is None:
            done.append(self._close(key))
            current = None
        if current and current.last_ns - current.t0_ns > self._settings.reach_path_limit_s * 1e9:
            done.append(self._close(key))
            current = None
        if current is None:
            gondola_id = self._entered(hand)
            if gondola_id is None:
                return done
            current = self._open[key] = _Open(gondola_id, at_ns, at_ns)
        current.last_ns = at_ns
        current.hands.append(hand)
        return done

    def open_gondolas(self, track_id: str | None = None) -> set[str]:
        """Faces in which a hand (of this track) is now."""
        return {o.gondola_id for (t, _), o in self._open.items() if track_id in (None, t)}

    def current(self, track_id: str | None = None) -> list[Reach]:
        """Reaches that go on, as they would be if they ended now."""
        return [self._reach(key, o) for key, o in sorted(self._open.items()) if track_id in (None, key[0])]

    def flush(self, track_id: str | None = None) -> list[Reach]:
        """End what is open of this track, or of all."""
        return [self._close(key) for key in sorted(self._open) if track_id in (None, key[0])]

    def _entered(self, hand: Hand) -> str | None:
        best, best_out = None, self._settings.reach_enter_m
        for gondola in self._layout.gondolas:
            out = self._distance(gondola, hand)
            if out is not None and abs(out) < best_out + (0.5 if out < 0 else 0):
                best, best_out = gondola.id, min(abs(out), best_out)
        return best

    def _distance(self, gondola: Gondola, hand: Hand) -> float | None:
        """Metres the palm is in front of the face (negative: inside); None where the hand is not at this face."""
        along, out, up = gondola.to_face(hand.palm_m)
        margin = self._settings.reach_margin_m
        beside = -margin <= along <= gondola.width_m + margin and 0 <= up <= gondola.height_m + margin
        # Far behind the front plane is the next aisle, not a deep reach: a shopper's arm ends before.
        return out if beside and -gondola.depth_m * 0.7 <= out <= self._settings.reach_leave_m else None

    def _close(self, key: tuple[str, str]) -> Reach:
        return self._reach(key, self._open.pop(key))

    def _reach(self, key: tuple[str, str], reach: _Open) -> Reach:
        track_id, side = key
        gondola, face = self._layout.gondola_by_id[reach.gondola_id], self._faces[reach.gondola_id]
        path = np.array([h.palm_m for h in reach.hands])
        at_ns = np.array([h.at_ns for h in reach.hands], np.int64)
        axes = np.stack([gondola.right, gondola.normal, [0.0, 0.0, 1.0]])
        spread = np.array([np.diag(axes @ h.covariance_m2 @ axes.T) for h in reach.hands])
        where = gondola.to_face(path)
        beside = self._settings.grasp_beside_m * (1 if side == "left" else -1)
        chance = face.probabilities(
            where[:, [0, 2]] + [beside, 0.0],
            np.sqrt(spread[:, [0, 2]] + self._settings.slot_sigma_floor_m**2),
            touch_weights(where, at_ns, spread),
        )
        order = [i for i in np.argsort(-chance, kind="stable") if chance[i] >= 0.005]
        return Reach(
            f"{track_id}/{side}/{reach.t0_ns}", track_id, side, gondola.id, reach.t0_ns, reach.last_ns,
            tuple((face.slot_ids[i], float(chance[i])) for i in order), path, at_ns,
        )  # fmt: skip


def touch_weights(where_m: np.ndarray, at_ns: np.ndarray, variance_m2: np.ndarray) -> np.ndarray:
    """How telling each instant of a reach is, (T,): the deep, slow and well measured ones.

    Args:
        where_m: (T, 3), along, out, up. variance_m2: (T, 3) of the same.
    """
    depth = where_m[:, 1] - where_m[:, 1].min()
    if len(where_m) > 1:
        dt = np.maximum(np.gradient(at_ns / 1e9), 1e-3)
        speed = np.linalg.norm(np.gradient(where_m, axis=0) / dt[:, None], axis=1)
    else:
        speed = np.zeros(1)
    sure = 1 / (0.03**2 + variance_m2.sum(1))
    return np.exp(-0.5 * (depth / 0.04) ** 2) * np.exp(-0.5 * (speed / 0.4) ** 2) * sure + 1e-9
