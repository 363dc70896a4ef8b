# SPDX-License-Identifier: AGPL-3.0-or-later
"""What stands on the shelves and what becomes of each item over time.

A slot holds a row of items from the front to the back. People take the front one; nothing slides forward; what is put
back goes to the place in front of the first one that is left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.errors import ScenarioError


@dataclass(frozen=True)
class Hold:
    """Where an item is from `from_s` on.

    `place`: `shelf`, `floor`, `hand`, `arm` (in the crook of the arm, `rank` counts what was there before) or `bag`
    (out of sight). `pose`: (4, 4) in the world on a shelf, there in `slot_id`, or the floor; relative to the palm in a
    hand; unused otherwise. The item glides from where it was during `glide_s`. `side`: 0 left, 1 right hand or arm.
    """

    from_s: float
    place: str
    pose: np.ndarray | None = None
    person: str | None = None
    side: int = 0
    rank: int = 0
    glide_s: float = 0.0
    slot_id: str | None = None


@dataclass
class Item:
    """One piece of a product. `slot_id`: where it stands or stood last, `home`: where it stood first. `history`: its
    holds in time order, the first on its shelf."""

    item_id: str
    gtin: str
    slot_id: str
    home: str
    history: list[Hold] = field(default_factory=list)


class Stock:
    """All items of the shop.

    Args:
        rows: slot id -> poses (4, 4) of its places from the front to the back, and the slot's product.
        gone: slot id -> how many items at its front somebody took before.
    """

    def __init__(
        self, rows: Mapping[str, tuple[str, Sequence[np.ndarray]]], gone: Mapping[str, int] | None = None
    ) -> None:
        self.items: dict[str, Item] = {}
        self.reserved: set[str] = set()
        self._places: dict[str, list[np.ndarray]] = {}
        self._standing: dict[str, list[Item | None]] = {}
        self.gtin_of = {slot_id: gtin for slot_id, (gtin, _) in rows.items()}
        for slot_id, (gtin, poses) in rows.items():
            standing: list[Item | None] = []
            for i, pose in enumerate(poses):
                if i < (gone or {}).get(slot_id, 0):
                    standing.append(None)
                    continue
                item = Item(
                    f"{slot_id}#{i}",
                    gtin,
                    slot_id,
                    slot_id,
                    [Hold(0.0, "shelf", np.asarray(pose, float), slot_id=slot_id)],
                )
                self.items[item.item_id] = item
                standing.append(item)
            self._standing[slot_id] = standing
            self._places[slot_id] = [np.asarray(p, float) for p in poses]

    def count(self, slot_id: str) -> int:
        """How many items of a slot can be taken."""
        return sum(i is not None and i.item_id not in self.reserved for i in self._standing.get(slot_id, ()))

    def front(self, slot_id: str, quantity: int = 1) -> list[Item]:
        """The first `quantity` items of a slot that nobody else is reaching for."""
        items = [i for i in self._standing[slot_id] if i is not None and i.item_id not in self.reserved]
        if len(items) < quantity:
            raise ScenarioError(f"slot {slot_id} holds {len(items)} items, {quantity} were to be taken")
        return items[:quantity]

    def take(self, item: Item, hold: Hold) -> None:
        """An item leaves its shelf."""
        self.reserved.discard(item.item_id)
        for row in self._standing.values():
            for i, there in enumerate(row):
                if there is item:
                    row[i] = None
        item.history.append(hold)

    def room(self, slot_id: str) -> int:
        """How many empty places there are before the first item of a slot."""
        free = 0
        for item in self._standing[slot_id]:
            if item is not None:
                break
            free += 1
        return free

    def free_place(self, slot_id: str) -> np.ndarray:
        """Pose (4, 4) of the place where the next item that is put there will stand."""
        free = self.room(slot_id)
        if free == 0:
            raise ScenarioError(f"slot {slot_id} is full: nothing can be put there")
        return self._places[slot_id][free - 1]

    def bring(self, slot_id: str, number: int, person: str) -> Item:
        """A new item of a slot's product, in somebody's crate."""
        item = Item(f"{slot_id}#new{number}", self.gtin_of[slot_id], slot_id, slot_id)
        item.history.append(Hold(0.0, "bag", self.free_place(slot_id), person))
        self.items[item.item_id] = item
        return item

    def put(self, item: Item, slot_id: str, at_s: float, glide_s: float) -> None:
        """An item meets a shelf at `at_s`; it glides there from the hand during the `glide_s` before."""
        pose = self.free_place(slot_id)
        self._standing[slot_id][self.room(slot_id) - 1] = item
        item.slot_id = slot_id
        item.history.append(Hold(at_s - glide_s, "shelf", pose, glide_s=glide_s, slot_id=slot_id))
