# SPDX-License-Identifier: AGPL-3.0-or-later
"""A scenario: who comes into the shop, what they do there and what goes wrong; YAML, checked at the edge.

What a scenario leaves open (which gondola, which product, how long) is drawn from the seed when it is played. An
action is a word (`tap`) or a word with settings (`pick: {gondola: other, as: first}`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pipeline.errors import ScenarioError

SCENARIOS = Path(__file__).parent.parent / "scenarios"

Range = float | tuple[float, float]
"""A number, or two between which the seed draws one."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class _AtSlot(_Model):
    """Which slot an action is about: whatever is given must hold, the seed chooses among the slots that remain.

    `gondola`: an id, `any`, or one where this shopper has not been: `other`, or the `nearest` or `farthest` from where
    they are. `as`: a name for the place and the item for later actions. `same_as`: the place of that name. `beside`: a
    neighbour of it with another product. `near`: within arm's length of what another shopper is doing, so that arms
    cross. `level`: by the shelf's height.
    """

    slot: str | None = None
    product: str | None = Field(default=None, description="GTIN")
    gondola: str = "any"
    level: Literal["any", "low", "middle", "high"] = "any"
    same_as: str | None = None
    beside: str | None = None
    near: str | None = None
    together: str | None = Field(default=None, description="reach in when that shopper's reach begins too")
    name: str | None = Field(default=None, alias="as")
    pace: Range = Field(default=(0.9, 1.2), description="speed of the hand; 1 is brisk, 0.5 half as fast")


class Tap(_Model):
    kind: Literal["tap"] = "tap"


class Pick(_AtSlot):
    """Take `quantity` items of one slot at once."""

    kind: Literal["pick"] = "pick"
    quantity: int = Field(default=1, ge=1, le=4)
    hold_s: Range = Field(default=0.0, description="how long the item is held on the shelf before it is lifted")


class PutBack(_Model):
    """Return an item: `where` is its `own` place, a slot id, or `other`: any slot of another product with room."""

    kind: Literal["put_back"] = "put_back"
    item: str = "last"
    where: str = "own"
    pace: Range = (0.9, 1.2)


class Touch(_AtSlot):
    """Reach in, touch, and come back with an empty hand."""

    kind: Literal["touch"] = "touch"
    hold_s: Range = (0.2, 0.6)


class Look(_AtSlot):
    """Stand before a slot and look along the shelves."""

    kind: Literal["look"] = "look"
    for_s: Range = (1.5, 3.0)


class Wait(_Model):
    kind: Literal["wait"] = "wait"
    for_s: Range = (0.5, 1.5)


class HandOver(_Model):
    """Give an item to someone; waits until that one's `receive` is due."""

    kind: Literal["hand_over"] = "hand_over"
    to: str
    item: str = "last"


class Receive(_Model):
    kind: Literal["receive"] = "receive"
    from_: str = Field(alias="from")
    name: str | None = Field(default=None, alias="as")


class Leave(_Model):
    kind: Literal["leave"] = "leave"


Action = Annotated[Tap | Pick | PutBack | Touch | Look | Wait | HandOver | Receive | Leave, Field(discriminator="kind")]


class Shopper(_Model):
    """One person: when they come, what they wear, what they do.

    `looks`: what is settled about the appearance (see `sim.people.casting.person_from_dict`); the rest is drawn.
    `same_looks_as`: another shopper whose clothes they wear too. `carry`: what becomes of an item that was taken.
    """

    id: str = Field(min_length=1, pattern=r"^[a-z0-9-]+$")
    enter_s: Range = (0.2, 0.8)
    looks: dict[str, Any] = Field(default_factory=dict)
    same_looks_as: str | None = None
    carry: Literal["any", "arm", "bag"] = "any"
    walk_m_s: Range = (1.05, 1.35)
    do: tuple[Action, ...] = Field(min_length=1)

    @field_validator("do", mode="before")
    @classmethod
    def _words_to_actions(cls, value: Any) -> Any:
        if not isinstance(value, list | tuple):
            return value
        out = []
        for entry in value:
            if isinstance(entry, str):
                entry = {"kind": entry}
            elif isinstance(entry, dict) and "kind" not in entry:
                if len(entry) != 1:
                    raise ValueError(f"an action is one word with its settings, got {sorted(map(str, entry))}")
                ((word, settings),) = entry.items()
                if settings is not None and not isinstance(settings, dict):
                    raise ValueError(f"the settings of {word!r} must be a mapping, got {settings!r}")
                entry = {**(settings or {}), "kind": word}
            out.append(entry)
        return out

    @model_validator(mode="after")
    def _names_are_known(self) -> Shopper:
        known: set[str] = set()
        for i, action in enumerate(self.do):
            refers = [getattr(action, f, None) for f in ("same_as", "beside", "item")]
            for name in refers:
                if name is not None and name != "last" and name not in known:
                    raise ValueError(f"do.{i}.{action.kind}: nothing is called {name!r} before this action")
            if getattr(action, "name", None):
                known.add(action.name)
        return self


class CameraFaults(_Model):
    """What is wrong with the cameras. Ranges are drawn from once per camera."""

    offset_ms: tuple[float, float] = Field(default=(-15, 15), description="constant error of the camera's clock")
    jitter_ms: float = Field(default=1.5, ge=0, description="standard deviation of the instants of exposure")
    drop_rate: float = Field(default=0.002, ge=0, lt=1, description="share of the frames that are lost")
    exposure: tuple[float, float] = (0.85, 1.15)
    noise: tuple[float, float] = Field(default=(1.2, 2.8), description="standard deviation in grey levels")
    blur_px: tuple[float, float] = (0.0, 0.0)
    flicker: tuple[float, float] = (0.0, 0.0)
    white_balance: float = Field(default=0.04, ge=0, description="how far the gains of blue and red stray from 1")


class ShopLight(_Model):
    """The ceiling's light, drawn once: factors on how bright it is and on how much of it comes straight from the
    lamps, and how much warmer or colder than white (as a share of blue)."""

    brightness: tuple[float, float] = (0.85, 1.1)
    directness: tuple[float, float] = (0.85, 1.15)
    warmth: tuple[float, float] = (-0.03, 0.08)


class Scenario(_Model):
    schema_version: int = 1
    name: str = Field(pattern=r"^[a-z0-9-]+$")
    description: str = ""
    store: str = "nanostore"
    shoppers: tuple[Shopper, ...] = Field(min_length=1)
    camera: CameraFaults = CameraFaults()
    light: ShopLight = ShopLight()
    longest_s: float = Field(default=120, gt=0, description="a play that takes longer is a mistake in the scenario")

    @model_validator(mode="after")
    def _shoppers_are_known(self) -> Scenario:
        ids = [s.id for s in self.shoppers]
        for shopper in self.shoppers:
            if ids.count(shopper.id) > 1:
                raise ValueError(f"shoppers: id {shopper.id!r} is used more than once")
            others = [shopper.same_looks_as, *(getattr(a, "to", None) for a in shopper.do)]
            others += [getattr(a, field, None) for a in shopper.do for field in ("from_", "near", "together")]
            for other in others:
                if other is not None and (other not in ids or other == shopper.id):
                    raise ValueError(f"shopper {shopper.id!r}: {other!r} is not another shopper of this scenario")
        return self


def scenario_names() -> list[str]:
    """Names of the scenarios that are shipped."""
    return sorted(path.stem for path in SCENARIOS.glob("*.yaml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """A shipped scenario by name or any by path; `ScenarioError` names the file and the field."""
    path = Path(name_or_path)
    if not path.suffix:
        path = SCENARIOS / f"{name_or_path}.yaml"
        if not path.exists():
            raise ScenarioError(f"no scenario {name_or_path!r}; there are {', '.join(scenario_names())}")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ScenarioError(f"{path}: no such scenario file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScenarioError(f"{path}: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(data, dict):
        raise ScenarioError(f"{path}: expected a mapping of fields, got {type(data).__name__}")
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "file"
        raise ScenarioError(f"{path}: {where}: {first['msg']}") from None
