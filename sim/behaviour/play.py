# SPDX-License-Identifier: AGPL-3.0-or-later
"""Plays a scenario: everybody's steps together, and what came of it as a continuous function of time."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, replace

import numpy as np

from calibration.catalogue import Catalogue
from calibration.layout import StoreLayout
from pipeline.errors import ScenarioError
from sim.behaviour.body import DT_S
from sim.behaviour.scenario import Scenario
from sim.behaviour.shopper import Shopper, Stay
from sim.behaviour.space import FreeSpace, places_before
from sim.behaviour.stock import Item, Stock
from sim.behaviour.timeline import Motion, Timeline, Track
from sim.people.casting import person_from_dict, random_person
from sim.people.crowd import Crowd
from sim.people.state import Garment, PersonSpec, PersonState

AFTER_S = 1.0
"""How long a recording goes on after the last one has left."""
_ADULT_M = 1.5


@dataclass(frozen=True)
class Handling:
    """Something that happened to items: `kind` is `pick`, `put_back`, `hand_over` or `drop`.

    `began_s`, `at_s`, `ended_s`: the hand sets out, the item leaves or meets the shelf, the hand is back.
    """

    kind: str
    person: str
    side: int
    item_id: str
    gtin: str
    quantity: int
    began_s: float
    at_s: float
    ended_s: float
    slot_id: str | None
    to_person: str | None = None


@dataclass(frozen=True)
class Visit:
    """One person's time in the shop; the items are those they had when they left, or when the play ended.

    `pays`: whose pass they came in on (their own if they tapped), None without one. `role`: `shopper` or `staff`.
    """

    person: str
    pays: str | None
    role: str
    tapped_s: float | None
    entered_s: float | None
    left_s: float | None
    items: dict[str, int]


@dataclass(frozen=True)
class Play:
    """What happened. Times in seconds from the start of the recording."""

    scenario: Scenario
    seed: int
    specs: tuple[PersonSpec, ...]
    timeline: Timeline
    handlings: tuple[Handling, ...]
    visits: tuple[Visit, ...]
    duration_s: float


class World:
    """What the shoppers share while the play is worked out."""

    def __init__(self, scenario: Scenario, layout: StoreLayout, catalogue: Catalogue, stock: Stock) -> None:
        self.name, self.layout, self.stock = scenario.name, layout, stock
        self.space = FreeSpace(layout)
        self.faces_m = places_before(layout)
        self.now_s = 0.0
        self.shoppers: dict[str, Shopper] = {}
        self.handlings: list[Handling] = []
        self._sizes = {p.gtin: p.size_m for p in catalogue.products}

    def others(self, shopper: Shopper) -> list[Shopper]:
        """Everybody else who is there."""
        return [s for s in self.shoppers.values() if s is not shopper and s.present]

    def size_m(self, gtin: str) -> tuple[float, float, float]:
        return self._sizes[gtin]

    def crouch_for(self, shopper: Shopper, point_m: np.ndarray) -> float:
        """How low somebody goes to reach a point: not at all down to the height of the hip."""
        hip_m = 0.50 * shopper.body.height_m
        return float(np.clip((hip_m - point_m[2]) / 0.55, 0.0, 0.95))

    def tap(self, shopper: Shopper) -> None:
        shopper.tapped_s = self.now_s

    def event(
        self, kind: str, shopper: Shopper, side: int, item: Item, quantity: int, at_s: float, began_s: float,
        slot_id: str | None, to_person: str | None = None,
    ) -> None:  # fmt: skip
        self.handlings.append(
            Handling(
                kind, shopper.id, side, item.item_id, item.gtin, quantity, began_s, at_s, self.now_s, slot_id, to_person
            )
        )


def rng_for(scenario: str, seed: int, purpose: str) -> np.random.Generator:
    """A generator of its own for each purpose, so that one more draw here does not change everything else."""
    return np.random.default_rng([seed, zlib.crc32(scenario.encode()), zlib.crc32(purpose.encode())])


def cast(scenario: Scenario, seed: int) -> tuple[PersonSpec, ...]:
    """Who plays the shoppers: drawn from the seed within what the scenario settles."""
    specs: dict[str, PersonSpec] = {}
    for shopper in scenario.shoppers:
        rng = rng_for(scenario.name, seed, f"looks {shopper.id}")
        kind = {"as_child": shopper.child}
        if any(action.kind == "take_off_jacket" for action in shopper.do):
            kind["with_jacket"] = True
        base = random_person(rng, shopper.id, **kind)
        while base.shape.height_m < _ADULT_M and not shopper.child:
            base = random_person(rng, shopper.id, **kind)
        with_bag = shopper.carry == "bag" or (shopper.carry == "any" and rng.random() < 0.35)
        bag = base.outfit.bag
        if with_bag:
            bag = replace(bag or Garment("shoulder", (0.25, 0.2, 0.18)), kind="shoulder")
        elif bag is not None and bag.kind != "backpack":
            bag = None  # hands and arms are needed for what is taken
        base = replace(base, outfit=replace(base.outfit, bag=bag))
        specs[shopper.id] = person_from_dict(shopper.id, shopper.looks, base)
    for shopper in scenario.shoppers:
        if shopper.same_looks_as is not None:
            specs[shopper.id] = replace(specs[shopper.id], outfit=specs[shopper.same_looks_as].outfit)
    return tuple(specs.values())


def play(scenario: Scenario, seed: int, layout: StoreLayout, catalogue: Catalogue, stock: Stock) -> Play:
    """Work out everything that happens; the same arguments give the same play.

    `ScenarioError` if an action cannot be done or the play does not end.
    """
    specs = cast(scenario, seed)
    crowd = Crowd(specs)
    world = World(scenario, layout, catalogue, stock)
    for script, spec in zip(scenario.shoppers, specs, strict=True):
        rng = rng_for(scenario.name, seed, f"acts {script.id}")
        world.shoppers[script.id] = Shopper(world, script, spec, _carry_palms(crowd, spec), rng)
    tracks = {name: Track() for name in world.shoppers}
    over_s = None
    while over_s is None or world.now_s < over_s + AFTER_S:
        for name, shopper in world.shoppers.items():
            shopper.tick()
            if shopper.present:
                tracks[name].add(world.now_s, shopper.body)
        world.now_s += DT_S
        busy = [s.id for s in world.shoppers.values() if not s.done]
        if over_s is None and not busy:
            over_s = world.now_s
        if busy and world.now_s > scenario.longest_s:
            raise ScenarioError(
                f"{scenario.name}, seed {seed}: {', '.join(busy)} not done after {scenario.longest_s:g} s"
            )
    motions = {name: Motion.of(track) for name, track in tracks.items()}
    touched = tuple(i for i in stock.items.values() if len(i.history) > 1)
    timeline = Timeline(motions, touched, {i.item_id: i for i in stock.items.values()}, layout, world.size_m)
    visits = tuple(
        _visit(shopper, stay) for shopper in world.shoppers.values() for stay in (*shopper.stays, shopper.stay())
    )
    handlings = tuple(sorted(world.handlings, key=lambda h: h.at_s))
    return Play(scenario, seed, specs, timeline, handlings, visits, round(over_s + AFTER_S, 3))


def _visit(shopper: Shopper, stay: Stay) -> Visit:
    script = shopper.script
    pays = script.pass_of or (shopper.id if stay.tapped_s is not None else None)
    return Visit(shopper.id, pays, script.role, stay.tapped_s, stay.entered_s, stay.left_s, stay.items)


def _carry_palms(crowd: Crowd, spec: PersonSpec) -> np.ndarray:
    """(2, 3) in the body's own frame: the palms of raised forearms, left and right."""
    (body,) = crowd.pose([PersonState(spec.person_id, np.zeros(2), 0.0, carry=np.ones(2))])
    return body.palms[:, :3, 3].copy()
