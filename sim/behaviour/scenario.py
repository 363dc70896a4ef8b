# SPDX-License-Identifier: AGPL-3.0-or-later
"""A scenario: who comes into the shop, what they do there and what goes wrong; YAML, checked at the edge.

What a scenario leaves open (which gondola, which product, how long) is drawn from the seed when it is played. An
action (`sim.behaviour.actions`) is a word (`tap`) or a word with settings (`pick: {gondola: other, as: first}`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from calibration.layout import parse_model
from pipeline.errors import ScenarioError
from sim.behaviour.actions import Action, Model, Range

SCENARIOS = Path(__file__).parent.parent / "scenarios"


class Shopper(Model):
    """One person: when they come, what they wear, what they do.

    `looks`: what is settled about the appearance (see `sim.people.casting.person_from_dict`); the rest is drawn.
    `same_looks_as`: another shopper whose clothes they wear too. `carry`: what becomes of an item that was taken.
    `child`: 6 to 10 years old. `role`: staff fill shelves and are billed for nothing. `pass_of`: who pays for them and
    lets them in; whoever neither taps nor comes in on a pass has none. `apart_m`: how far they like to stand from
    others at a shelf. `count`: that many shoppers of this kind, `ID-1`, `ID-2` and so on.
    """

    id: str = Field(min_length=1, pattern=r"^[a-z0-9-]+$")
    enter_s: Range = (0.2, 0.8)
    looks: dict[str, Any] = Field(default_factory=dict)
    same_looks_as: str | None = None
    carry: Literal["any", "arm", "bag"] = "any"
    child: bool = False
    role: Literal["shopper", "staff"] = "shopper"
    pass_of: str | None = None
    apart_m: float = Field(default=0.6, ge=0.45, le=1.5)
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
            refers = [getattr(action, f, None) for f in ("same_as", "beside", "facing_of", "item")]
            for name in refers:
                if name is not None and name != "last" and name not in known:
                    raise ValueError(f"do.{i}.{action.kind}: nothing is called {name!r} before this action")
            if getattr(action, "name", None):
                known.add(action.name)
        return self


class Outage(Model):
    """A camera gives no pictures for a while: `camera` by id or drawn (`any`), `from_s` by default such that the
    first pick is in the middle of it."""

    camera: str = "any"
    from_s: Range | None = None
    for_s: Range = 10.0


class CameraFaults(Model):
    """What is wrong with the cameras. Ranges are drawn from once per camera."""

    offset_ms: tuple[float, float] = Field(default=(-15, 15), description="constant error of the camera's clock")
    drift_ms: tuple[float, float] = Field(default=(0, 0), description="by how much the clock runs away until the end")
    outage: Outage | None = None
    jitter_ms: float = Field(default=1.5, ge=0, description="standard deviation of the instants of exposure")
    drop_rate: float = Field(default=0.002, ge=0, lt=1, description="share of the frames that are lost")
    exposure: tuple[float, float] = (0.85, 1.15)
    noise: tuple[float, float] = Field(default=(1.2, 2.8), description="standard deviation in grey levels")
    blur_px: tuple[float, float] = (0.0, 0.0)
    flicker: tuple[float, float] = (0.0, 0.0)
    white_balance: float = Field(default=0.04, ge=0, description="how far the gains of blue and red stray from 1")


class ShopLight(Model):
    """The ceiling's light, drawn once: factors on how bright it is and on how much of it comes straight from the
    lamps, and how much warmer or colder than white (as a share of blue). `dims_to`: the share of it that is left in
    the middle part of the recording."""

    brightness: tuple[float, float] = (0.85, 1.1)
    directness: tuple[float, float] = (0.85, 1.15)
    warmth: tuple[float, float] = (-0.03, 0.08)
    dims_to: float = Field(default=1.0, gt=0, le=1)


class Scenario(Model):
    schema_version: int = 1
    name: str = Field(pattern=r"^[a-z0-9-]+$")
    description: str = ""
    store: str = "nanostore"
    shoppers: tuple[Shopper, ...] = Field(min_length=1)
    camera: CameraFaults = CameraFaults()
    light: ShopLight = ShopLight()
    gaps: float = Field(default=0, ge=0, le=1, description="share of the slots whose first item is gone already")
    longest_s: float = Field(default=120, gt=0, description="a play that takes longer is a mistake in the scenario")

    @model_validator(mode="before")
    @classmethod
    def _counted_out(cls, data: Any) -> Any:
        """`count` of a shopper written out."""
        if not isinstance(data, dict) or not isinstance(data.get("shoppers"), list | tuple):
            return data
        out = []
        for entry in data["shoppers"]:
            count = entry.get("count") if isinstance(entry, dict) else None
            if count is None:
                out.append(entry)
            elif not isinstance(count, int) or not 1 <= count <= 500:
                raise ValueError(f"shoppers: count must be a whole number from 1 to 500, got {count!r}")
            else:
                one = {key: value for key, value in entry.items() if key != "count"}
                out += [one | {"id": f"{entry.get('id')}-{i + 1}"} for i in range(count)]
        return {**data, "shoppers": out}

    @model_validator(mode="after")
    def _shoppers_are_known(self) -> Scenario:
        ids = [s.id for s in self.shoppers]
        for shopper in self.shoppers:
            if ids.count(shopper.id) > 1:
                raise ValueError(f"shoppers: id {shopper.id!r} is used more than once")
            others = [shopper.same_looks_as, shopper.pass_of]
            fields = ("to", "from_", "near", "with_", "moved_by", "together", "behind")
            others += [getattr(a, field, None) for a in shopper.do for field in fields]
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
    return parse_model(Scenario, path, ScenarioError)
