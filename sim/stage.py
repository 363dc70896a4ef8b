# SPDX-License-Identifier: AGPL-3.0-or-later
"""A scenario set up in its store: the stocked shop, the play, and what the cameras see of both at any instant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from calibration.catalogue import Catalogue, Planogram, load_catalogue, load_planogram
from calibration.layout import StoreLayout, load_layout
from pipeline.errors import ScenarioError
from sim.behaviour.play import Play, play, rng_for
from sim.behaviour.scenario import Scenario, load_scenario
from sim.behaviour.stock import Stock
from sim.cameras import Schedule, outage, schedule
from sim.people.crowd import Crowd
from sim.people.state import PersonState, PosedBody
from sim.render.engine import Renderer
from sim.render.mesh import Light, Mesh, merged
from sim.shop.products import product_mesh
from sim.shop.room_style import RoomStyle
from sim.shop.scene import item_mesh, shop_atlas, shop_scene
from sim.shop.stock import Item as ShelfItem
from sim.shop.stock import fill

STORES = Path(__file__).parent / "stores"


@dataclass(frozen=True)
class Store:
    """The three files of a store."""

    layout: StoreLayout
    catalogue: Catalogue
    planogram: Planogram


def load_store(name_or_path: str | Path) -> Store:
    """A shipped store by name, or any folder with `layout.yaml`, `catalogue.yaml` and `planogram.yaml`."""
    folder = Path(name_or_path)
    if not folder.is_dir():
        folder = STORES / str(name_or_path)
    if not folder.is_dir():
        known = ", ".join(sorted(p.name for p in STORES.iterdir() if p.is_dir()))
        raise ScenarioError(f"no store {str(name_or_path)!r}: give a folder or one of {known}")
    layout = load_layout(folder / "layout.yaml")
    catalogue = load_catalogue(folder / "catalogue.yaml")
    return Store(layout, catalogue, load_planogram(folder / "planogram.yaml", layout, catalogue))


class Stage:
    """One scenario and seed in a store. Cheap to make; renderers are made on request, one a process.

    Args:
        cameras: ids of the cameras that are kept, all by default.
    """

    def __init__(
        self, scenario: Scenario | str | Path, seed: int, store: Store | str | Path | None = None, cameras=None
    ) -> None:
        self.scenario = scenario if isinstance(scenario, Scenario) else load_scenario(scenario)
        self.seed = seed
        self.store = store if isinstance(store, Store) else load_store(store or self.scenario.store)
        self.layout = with_cameras(self.store.layout, cameras)
        self._items = fill(
            self.layout, self.store.catalogue, self.store.planogram, rng_for(self.scenario.name, seed, "stock")
        )
        rows: dict[str, tuple[str, list[np.ndarray]]] = {}
        for item in self._items:
            rows.setdefault(item.slot_id, (item.gtin, []))[1].append(item.pose)
        stock = Stock(rows, self._gone(rows))
        self.play: Play = play(self.scenario, seed, self.layout, self.store.catalogue, stock)
        self.crowd = Crowd(self.play.specs)
        self._products: dict[str, Mesh] = {}

    def _gone(self, rows: Mapping[str, tuple[str, list]]) -> dict[str, int]:
        """Slots whose first item somebody took before; one at least stays in each."""
        if self.scenario.gaps == 0:
            return {}
        rng = rng_for(self.scenario.name, self.seed, "gaps")
        return {s: 1 for s, (_, poses) in sorted(rows.items()) if rng.random() < self.scenario.gaps and len(poses) > 2}

    def schedules(self) -> list[Schedule]:
        """When each camera takes its pictures, in the order of the layout."""
        picks = [h.at_s for h in self.play.handlings if h.kind == "pick"]
        ids = [spec.id for spec in self.store.layout.cameras]
        dark = outage(self.scenario, self.seed, ids, picks[0] if picks else None)
        return [
            schedule(self.scenario, self.seed, spec, self.play.duration_s, dark.get(spec.id))
            for spec in self.layout.cameras
        ]

    def light_at(self, at_s: float) -> float:
        """Factor on the light at an instant: where it dims, it does so within half a second and comes back."""
        low = self.scenario.light.dims_to
        if low == 1:
            return 1.0
        rng = rng_for(self.scenario.name, self.seed, "dim")
        begin, end = self.play.duration_s * rng.uniform(0.2, 0.35), self.play.duration_s * rng.uniform(0.7, 0.85)
        return float(np.interp(at_s, [begin, begin + 0.5, end, end + 0.5], [1.0, low, low, 1.0]))

    def bodies(self, states: list[list[PersonState]]) -> list[dict[str, PosedBody]]:
        """Everybody's body, by person, at each of a list of instants."""
        flat = iter(self.crowd.pose([s for instant in states for s in instant]))
        return [{s.person_id: next(flat) for s in instant} for instant in states]

    def standing(self, person_id: str) -> PosedBody:
        """Somebody's body, upright at the origin."""
        return self.crowd.pose([PersonState(person_id, np.zeros(2), 0.0)])[0]

    @cached_property
    def _atlas(self):
        return shop_atlas(self.layout, self.store.catalogue, RoomStyle())

    def renderer(self) -> Renderer:
        """A renderer of the stocked shop; the shelves are as they were at time zero.

        It knows all cameras of the store, whichever are drawn: how finely it cuts the scene up depends on them, and
        pictures are to be the same however the cameras are shared out.
        """
        scene = shop_scene(self.layout, self.store.catalogue, self.store.planogram, [], atlas=self._atlas)
        slots: dict[str, list[Mesh]] = {}
        for found in self.play.timeline.shelf_items(0.0):
            slots.setdefault(found[2], []).append(self._item_mesh(*found))
        keyed = {slot_id: merged(meshes) for slot_id, meshes in slots.items()}
        scene = replace(scene, keyed=keyed, light=self._light(scene.light))
        return Renderer(scene, list(self.store.layout.camera_by_id.values()))

    def _light(self, usual: Light) -> Light:
        """The light of this seed."""
        rng, wanted = rng_for(self.scenario.name, self.seed, "light"), self.scenario.light
        brightness, directness = rng.uniform(*wanted.brightness), rng.uniform(*wanted.directness)
        warmth = rng.uniform(*wanted.warmth)
        red, green, blue = usual.tint
        return replace(
            usual,
            ambient=usual.ambient * brightness,
            direct=usual.direct * brightness * directness,
            tint=(red, green * (1 - 0.3 * max(warmth, 0)), blue * (1 - warmth)),
        )

    def slot_mesh(self, slot_id: str, at_s: float) -> Mesh | None:
        """What stands still in a slot at an instant; None if it is empty."""
        meshes = [self._item_mesh(*found) for found in self.play.timeline.shelf_items(at_s, slot_id)]
        return merged(meshes) if meshes else None

    def _item_mesh(self, item_id: str, gtin: str, slot_id: str, pose: np.ndarray) -> Mesh:
        return item_mesh(self.layout, self.store.catalogue, ShelfItem(item_id, gtin, slot_id, pose), self._atlas)

    def _product(self, gtin: str) -> Mesh:
        if gtin not in self._products:
            self._products[gtin] = product_mesh(self.store.catalogue.by_gtin[gtin], self._atlas)
        return self._products[gtin]

    def movers(
        self,
        at_s: float,
        bodies: Mapping[str, PosedBody],
        before: tuple[float, Mapping[str, PosedBody]] | None = None,
        shutter_s: float = 0.0,
    ) -> list[Mesh]:
        """Meshes of all bodies, in their order, then of the items in hands and arms.

        `before`: an earlier time and the bodies then; what moved since is blurred as by a shutter open for
        `shutter_s`.
        """
        meshes = []
        for person, b in bodies.items():
            was = before[1].get(person) if before is not None else None
            swept = None
            if was is not None and shutter_s > 0 and was.vertices_m.shape == b.vertices_m.shape:
                swept = (b.vertices_m - was.vertices_m) * np.float32(shutter_s / (at_s - before[0]))
            meshes.append(Mesh(b.vertices_m, b.normals, b.colours, b.faces, swept_m=swept))
        for _, gtin, pose in self.play.timeline.moving_items(at_s, bodies):
            meshes.append(self._product(gtin).moved(pose))
        return meshes


def with_cameras(layout: StoreLayout, cameras) -> StoreLayout:
    """The layout with some of its cameras, by id; None keeps all. `ScenarioError` for one that it has not."""
    if cameras is None:
        return layout
    known = [spec.id for spec in layout.cameras]
    unknown = [c for c in cameras if c not in known]
    if unknown:
        raise ScenarioError(f"store {layout.store_id} has no camera {unknown[0]!r}, only {', '.join(known)}")
    kept = [spec for spec in layout.cameras if spec.id in cameras]
    return StoreLayout.model_validate({**layout.model_dump(), "cameras": [spec.model_dump() for spec in kept]})
