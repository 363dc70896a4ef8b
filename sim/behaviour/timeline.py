# SPDX-License-Identifier: AGPL-3.0-or-later
"""What was played as a continuous function of time: states of people, poses of items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from calibration.layout import StoreLayout
from sim.behaviour.body import DT_S, Body, minimum_jerk
from sim.behaviour.grasp import face_rotation
from sim.behaviour.stock import Hold, Item
from sim.people.state import PersonState, PosedBody

_CHANNELS = {
    "xy": 2, "heading": 1, "speed": 1, "phase": 1, "crouch": 1, "look": 3, "targets": 6, "weight": 2, "grip": 2,
    "carry": 2, "outfit": 1,
}  # fmt: skip
_COLUMNS = {
    name: slice(sum(list(_CHANNELS.values())[:i]), sum(list(_CHANNELS.values())[: i + 1]))
    for i, name in enumerate(_CHANNELS)
}


@dataclass
class Track:
    """One body's channels, written tick by tick. Heading and stride phase are not wrapped."""

    at_s: list[float] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)

    def add(self, at_s: float, body: Body) -> None:
        self.at_s.append(at_s)
        self.rows.append(
            np.concatenate(
                [
                    body.xy,
                    [body.heading, body.speed, body.phase, body.crouch],
                    body.look,
                    body.hand_targets().ravel(),
                    body.weight,
                    body.grip,
                    body.carry,
                    [float(body.outfit_phase)],
                ]
            )
        )


@dataclass(frozen=True)
class Motion:
    """One person's channels over time. `at_s`: (T,). `rows`: (T, C) in the order of the channels."""

    at_s: np.ndarray
    rows: np.ndarray

    @classmethod
    def of(cls, track: Track) -> Motion:
        return cls(np.array(track.at_s), np.array(track.rows))

    def channel(self, name: str) -> np.ndarray:
        return self.rows[:, _COLUMNS[name]]

    def present(self, at_s: np.ndarray) -> np.ndarray:
        """bool (N,): they are there at instants (N,). Somebody who comes back is away in between."""
        at_s = np.asarray(at_s, float)
        right = np.clip(np.searchsorted(self.at_s, at_s), 1, len(self.at_s) - 1)
        steady = self.at_s[right] - self.at_s[right - 1] < 2 * DT_S
        return (at_s >= self.at_s[0]) & (at_s <= self.at_s[-1]) & steady

    def at(self, at_s: np.ndarray) -> np.ndarray:
        """Channels (N, C) at instants (N,), linear between the steps."""
        right = np.clip(np.searchsorted(self.at_s, at_s), 1, len(self.at_s) - 1)
        before, after = self.at_s[right - 1], self.at_s[right]
        t = np.clip((at_s - before) / (after - before), 0.0, 1.0)[:, None]
        return self.rows[right - 1] * (1 - t) + self.rows[right] * t


class Timeline:
    """People and items at any instant.

    Args:
        motions: by person. touched: the items that ever left their place. everything: all items by id.
        size_m: width, depth, height of a GTIN.
    """

    def __init__(
        self,
        motions: Mapping[str, Motion],
        touched: Sequence[Item],
        everything: Mapping[str, Item],
        layout: StoreLayout,
        size_m: Callable[[str], tuple[float, float, float]],
    ) -> None:
        self.motions, self.touched, self.everything = dict(motions), tuple(touched), dict(everything)
        self._size_m = size_m
        self._from_face = {
            i.item_id: face_rotation(layout.slot_by_id[i.home][0]).T @ i.history[0].pose[:3, :3] for i in touched
        }

    def states(self, at_s: Sequence[float]) -> list[list[PersonState]]:
        """Who is there at each instant, in the order of the scenario."""
        instants = np.asarray(at_s, float)
        out: list[list[PersonState]] = [[] for _ in instants]
        for person, motion in self.motions.items():
            there = np.flatnonzero(motion.present(instants))
            for i, row in zip(there, motion.at(instants[there]), strict=True):
                get = {name: row[columns] for name, columns in _COLUMNS.items()}
                out[i].append(
                    PersonState(
                        person,
                        get["xy"],
                        float(get["heading"][0]),
                        float(get["speed"][0]),
                        float(get["phase"][0] % 1.0),
                        float(get["crouch"][0]),
                        get["look"],
                        get["targets"].reshape(2, 3),
                        get["weight"],
                        get["grip"],
                        get["carry"],
                        int(get["outfit"][0] > 0.5),
                    )
                )
        return out

    def shelf_changes(self) -> list[tuple[float, str]]:
        """(when, slot id): a slot's still content changes, an item leaves it or comes to rest in it; in time order."""
        changes = []
        for item in self.touched:
            for before, after in zip(item.history, item.history[1:], strict=False):
                if before.place == "shelf":
                    changes.append((after.from_s, before.slot_id))
                if after.place == "shelf":
                    changes.append((after.from_s + after.glide_s, after.slot_id))
        return sorted(changes)

    def shelf_items(self, at_s: float, slot_id: str | None = None) -> list[tuple[str, str, str, np.ndarray]]:
        """(item id, GTIN, slot id, pose (4, 4)) of what stands still on the shelves at an instant, or in one slot."""
        out = []
        for item in self.everything.values():
            hold = _hold_at(item.history, at_s)[-1]
            if hold.place == "shelf" and at_s >= hold.from_s + hold.glide_s - 1e-9 and slot_id in (None, hold.slot_id):
                out.append((item.item_id, item.gtin, hold.slot_id, hold.pose))
        return out

    def moving_items(self, at_s: float, bodies: Mapping[str, PosedBody]) -> list[tuple[str, str, np.ndarray]]:
        """(item id, GTIN, pose (4, 4)) of what is in hands and arms, given everybody's body at that instant."""
        out = []
        for item in self.touched:
            holds = _hold_at(item.history, at_s)
            hold = holds[-1]
            if hold.place == "bag" or (hold.place == "shelf" and at_s >= hold.from_s + hold.glide_s - 1e-9):
                continue
            pose = self._pose(item, hold, bodies)
            if pose is None:  # the person is not there any more
                continue
            if hold.glide_s > 0 and at_s < hold.from_s + hold.glide_s and len(holds) > 1:
                before = self._pose(item, holds[-2], bodies)
                if before is not None:
                    pose = _between(before, pose, minimum_jerk((at_s - hold.from_s) / hold.glide_s))
            out.append((item.item_id, item.gtin, pose))
        return out

    def _pose(self, item: Item, hold: Hold, bodies: Mapping[str, PosedBody]) -> np.ndarray | None:
        if hold.place in ("shelf", "floor"):
            return hold.pose
        body = bodies.get(hold.person)
        if body is None:
            return None
        if hold.place == "hand":
            return body.palms[hold.side] @ hold.pose
        return self._in_arm(item, hold, body)

    def _in_arm(self, item: Item, hold: Hold, body: PosedBody) -> np.ndarray:
        """Upright before the body, side by side above the forearm, two to a layer."""
        left = body.keypoints_m[5] - body.keypoints_m[6]
        left = np.array([left[0], left[1], 0.0]) / max(float(np.hypot(*left[:2])), 1e-9)
        up = np.array([0.0, 0.0, 1.0])
        ahead = np.cross(left, up)
        inwards = -left if hold.side == 0 else left
        width, _, height = self._size_m(item.gtin)
        column, layer = hold.rank % 2, hold.rank // 2
        base = body.palms[hold.side][:3, 3]
        pose = np.eye(4)
        pose[:3, :3] = np.stack([ahead, left, up], -1) @ self._from_face[item.item_id]
        pose[:3, 3] = (
            base
            + inwards * (0.01 + width / 2 + 0.085 * column)
            + ahead * (0.015 + 0.045 * layer)
            + up * (-0.35 * height + 0.05 * layer)
        )
        return pose


def _hold_at(history: Sequence[Hold], at_s: float) -> list[Hold]:
    """The holds up to an instant; the last one is the present one."""
    return [h for h in history if h.from_s <= at_s + 1e-9] or [history[0]]


def _between(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Rigid pose (4, 4) a share `t` of the way from one to another."""
    out = np.eye(4)
    turn, _ = cv2.Rodrigues(a[:3, :3].T @ b[:3, :3])
    out[:3, :3] = a[:3, :3] @ cv2.Rodrigues(t * turn)[0]
    out[:3, 3] = (1 - t) * a[:3, 3] + t * b[:3, 3]
    return out
