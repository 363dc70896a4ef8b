# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a shopper of a scenario can do, as data: one class an action, its `kind` the word in the file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Range = float | tuple[float, float]
"""A number, or two between which the seed draws one."""


class Model(BaseModel):
    """Frozen, and a field it does not know is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _AtSlot(Model):
    """Which slot an action is about: whatever is given must hold, the seed chooses among the slots that remain.

    `gondola`: an id, `any`, or one where this shopper has not been: `other`, or the `nearest` or `farthest` from where
    they are. `as`: a name for the place and the item for later actions. `same_as`: the place of that name. `beside`: a
    neighbour of it with another product. `facing_of`: the slot next to it with the same product. `near`: within arm's
    length of what another shopper is doing, so that arms cross. `with`: the very slot another shopper is busy with.
    `moved_by`: where another shopper has put something back; waits until they have. `level`: by the shelf's height.
    """

    slot: str | None = None
    product: str | None = Field(default=None, description="GTIN")
    gondola: str = "any"
    level: Literal["any", "low", "middle", "high"] = "any"
    same_as: str | None = None
    beside: str | None = None
    facing_of: str | None = None
    near: str | None = None
    with_: str | None = Field(default=None, alias="with")
    moved_by: str | None = None
    together: str | None = Field(default=None, description="reach in when that shopper's reach begins too")
    name: str | None = Field(default=None, alias="as")
    pace: Range = Field(default=(0.9, 1.2), description="speed of the hand; 1 is brisk, 0.5 half as fast")


class Tap(Model):
    kind: Literal["tap"] = "tap"


class Pick(_AtSlot):
    """Take `quantity` items of one slot at once."""

    kind: Literal["pick"] = "pick"
    quantity: int = Field(default=1, ge=1, le=4)
    hold_s: Range = Field(default=0.0, description="how long the item is held on the shelf before it is lifted")


class PutBack(Model):
    """Return an item: `where` is its `own` place, a named place, a slot id, `other` (any slot of another product with
    room) or `beside` (the nearest such slot on the shelf where it stood)."""

    kind: Literal["put_back"] = "put_back"
    item: str = "last"
    where: str = "own"
    name: str | None = Field(default=None, alias="as")
    pace: Range = (0.9, 1.2)


class Touch(_AtSlot):
    """Reach in, touch, and come back with an empty hand."""

    kind: Literal["touch"] = "touch"
    hold_s: Range = (0.2, 0.6)


class Look(_AtSlot):
    """Stand before a slot and look along the shelves."""

    kind: Literal["look"] = "look"
    for_s: Range = (1.5, 3.0)


class Wait(Model):
    kind: Literal["wait"] = "wait"
    for_s: Range = (0.5, 1.5)


class HandOver(Model):
    """Give an item to someone; waits until that one's `receive` is due."""

    kind: Literal["hand_over"] = "hand_over"
    to: str
    item: str = "last"


class Receive(Model):
    kind: Literal["receive"] = "receive"
    from_: str = Field(alias="from")
    name: str | None = Field(default=None, alias="as")


class Drop(Model):
    """Set an item down on the floor and leave it there."""

    kind: Literal["drop"] = "drop"
    item: str = "last"


class TakeOffJacket(Model):
    """Take the jacket off and put it out of sight."""

    kind: Literal["take_off_jacket"] = "take_off_jacket"


class Follow(Model):
    """Wait outside until another shopper goes in, then walk in close behind, without showing a pass."""

    kind: Literal["follow"] = "follow"
    behind: str


class Restock(_AtSlot):
    """Put `quantity` items of a slot's product into its empty places."""

    kind: Literal["restock"] = "restock"
    quantity: int = Field(default=1, ge=1, le=4)


class Leave(Model):
    kind: Literal["leave"] = "leave"


class ComeBack(Model):
    """After leaving: stay away for a while, then come in again as a new visit."""

    kind: Literal["come_back"] = "come_back"
    after_s: Range = 20.0


Action = Annotated[
    Tap
    | Follow
    | Pick
    | PutBack
    | Restock
    | Touch
    | Look
    | Wait
    | HandOver
    | Receive
    | Drop
    | TakeOffJacket
    | Leave
    | ComeBack,
    Field(discriminator="kind"),
]
