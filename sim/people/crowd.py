# SPDX-License-Identifier: AGPL-3.0-or-later
"""The entry point: people in, posed and coloured surfaces out."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
from scipy.sparse import csr_array

from sim.people import motion
from sim.people.assets import body_assets
from sim.people.bodies import RestBody, rest_body
from sim.people.clothes import SOLE_M, Dressed, dress
from sim.people.state import PersonSpec, PersonState, PosedBody


class Crowd:
    """Everybody of a scene. Rest bodies and clothes are made once; ``pose`` is linear blend skinning in a batch.

    Args:
        specs: who is there; ids must be unique.
        detail: ``low`` (about 5,000 vertices a person) or ``high`` (about 13,000).
    """

    def __init__(self, specs: Sequence[PersonSpec], *, detail: str = "low") -> None:
        ids = [spec.person_id for spec in specs]
        if len(set(ids)) != len(ids):
            raise ValueError(f"person ids must be unique, got {ids}")
        assets = body_assets(detail)
        self._detail = detail
        self._rig = motion.Rig(assets.bones, assets.parents)
        self._bones = len(assets.bones)
        self._order = {person_id: i for i, person_id in enumerate(ids)}
        self._specs = list(specs)
        self._rest = [rest_body(spec.shape, detail) for spec in specs]
        self._skins: dict[tuple[int, int], Skin] = {}
        self._faces: dict[int, np.ndarray] = {}
        figures = [_figure(self._rig, spec, rest) for spec, rest in zip(specs, self._rest, strict=True)]
        if figures:
            names = figures[0].__dict__
            self._figures = motion.Figures(**{name: np.array([getattr(f, name) for f in figures]) for name in names})

    def pose(self, states: Sequence[PersonState], only: Mapping[str, np.ndarray] | None = None) -> list[PosedBody]:
        """Surfaces of any number of states, of one instant or of many, in their order.

        Args:
            only: person -> the vertices that are wanted (K,), where a few do; faces are then meaningless.

        Raises:
            KeyError: a state names a person that is not in the crowd.
        """
        if not states:
            return []
        missing = {s.person_id for s in states} - self._order.keys()
        if missing:
            known = sorted(self._order)
            raise KeyError(f"states of people who are not in the crowd: {sorted(missing)}; known: {known}")
        who = np.array([self._order[s.person_id] for s in states])
        heading = np.array([s.heading_rad for s in states], dtype=float)
        floor = np.array([s.floor_xy_m for s in states], dtype=float)
        figures = self._figures.take(who)
        turned, place = motion.bone_motion(self._rig, figures, _own_frame(states, heading, floor))
        palms = motion.palms(self._rig, figures, turned, place)
        # Into the world.
        world = motion.about("z", heading)
        turned = world[:, None] @ turned
        shift = np.concatenate([floor, np.zeros((len(floor), 1))], 1)
        place = place @ np.swapaxes(world, -1, -2) + shift[:, None]
        palms[..., :3, :] = world[:, None] @ palms[..., :3, :]
        palms[..., :3, 3] += shift[:, None]
        offset = place - motion.turn(turned, figures.heads_m)
        keypoints = self._keypoints(who, turned, offset)
        transforms = np.concatenate([turned, offset[..., None]], -1).astype(np.float32)

        bodies: list[PosedBody | None] = [None] * len(states)
        groups: dict[tuple[int, int], list[int]] = {}
        for i, state in enumerate(states):
            groups.setdefault((int(who[i]), min(int(state.outfit_phase), 1)), []).append(i)
        for (person, phase), members in groups.items():
            skin = self._clothed(person, phase)
            if only is not None:
                skin = skin.part(only[self._specs[person].person_id])
            # Small chunks stay in the processor's cache.
            for start in range(0, len(members), 8):
                chunk = members[start : start + 8]
                vertices, normals = skin.pose(transforms[chunk])
                for k, i in enumerate(chunk):
                    bodies[i] = PosedBody(
                        states[i].person_id,
                        vertices[k],
                        normals[k],
                        skin.dressed.colours,
                        self._faces[person],
                        keypoints[i],
                        palms[i],
                    )
        return bodies

    def _clothed(self, person: int, phase: int) -> Skin:
        if (person, phase) not in self._skins:
            spec = self._specs[person]
            dressed = dress(self._rest[person], spec.outfit, phase, self._detail, spec.style_seed)
            self._skins[person, phase] = Skin(dressed)
            self._faces.setdefault(person, dressed.faces)
        return self._skins[person, phase]

    def _keypoints(self, who: np.ndarray, turned: np.ndarray, offset: np.ndarray) -> np.ndarray:
        shares = self._rest[0].shares
        out = np.empty((len(who), 17, 3))
        for person in np.unique(who):
            mine = who == person
            moments = self._rest[person].moments_m + shares[..., None] * [0.0, 0.0, SOLE_M]
            # The bones that bags hang from come last and move no part of the body.
            own = turned[mine, : self._bones], offset[mine, : self._bones]
            out[mine] = np.einsum("bjik,pjk->bpi", own[0], moments) + shares @ own[1]
        return out


class Skin:
    """Linear blend skinning of one dressed body as two sparse products.

    A vertex is the sum over bones of weight times (rotation times rest position plus offset), so with the rest
    position multiplied into the weights once, posing is a product with the bones' transforms.
    """

    def __init__(self, dressed: Dressed) -> None:
        self.dressed = dressed
        weights = np.where(dressed.weights > 2e-3, dressed.weights, 0)
        weights = csr_array(weights / weights.sum(1, keepdims=True))
        rest = np.concatenate([dressed.vertices_m, np.ones((len(dressed.vertices_m), 1), np.float32)], 1)
        self._places = _spread(weights, rest)
        self._directions = _spread(weights, dressed.normals)

    def part(self, vertices: np.ndarray) -> Skin:
        """The skin of some vertices (K,) only; `dressed` stays whole."""
        out = copy.copy(self)
        out._places, out._directions = self._places[vertices], self._directions[vertices]
        return out

    def pose(self, transforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Vertices and unit normals (N, V, 3) float32 for transforms (N, J, 3, 4), rest to world."""
        n, j = transforms.shape[:2]
        columns = np.ascontiguousarray(transforms.transpose(1, 3, 0, 2), dtype=np.float32)  # (J, 4, N, 3)
        vertices = (self._places @ columns.reshape(j * 4, n * 3)).reshape(-1, n, 3).transpose(1, 0, 2)
        directions = np.ascontiguousarray(columns[:, :3]).reshape(j * 3, n * 3)
        normals = (self._directions @ directions).reshape(-1, n, 3).transpose(1, 0, 2)
        length = np.sqrt(np.einsum("nvi,nvi->nv", normals, normals))[..., None]
        return np.ascontiguousarray(vertices), normals / np.maximum(length, 1e-9)


def _spread(weights: csr_array, rest: np.ndarray) -> csr_array:
    """(V, J) weights and (V, C) rest values to the (V, J * C) matrix of their products."""
    c = rest.shape[1]
    rows = np.repeat(np.arange(len(rest)), np.diff(weights.indptr))
    data = (weights.data[:, None] * rest[rows]).astype(np.float32)
    indices = weights.indices[:, None] * c + np.arange(c)
    shape = (len(rest), weights.shape[1] * c)
    return csr_array((data.ravel(), indices.ravel(), weights.indptr * c), shape=shape)


def _own_frame(states: Sequence[PersonState], heading: np.ndarray, floor: np.ndarray) -> motion.States:
    """World points of the states in each person's frame."""
    back = motion.about("z", -heading)
    nowhere = np.full(3, np.nan)
    look = np.array([nowhere if s.look_at_m is None else s.look_at_m for s in states], dtype=float)
    target = np.array([s.hand_target_m for s in states], dtype=float)
    shift = np.concatenate([floor, np.zeros((len(floor), 1))], 1)
    return motion.States(
        speed_m_s=np.array([s.speed_m_s for s in states], dtype=float),
        phase=np.array([s.stride_phase for s in states], dtype=float) % 1.0,
        crouch=np.clip(np.array([s.crouch for s in states], dtype=float), 0, 1),
        look_at_m=motion.turn(back, look - shift),
        target_m=motion.turn(back[:, None], target - shift[:, None]),
        weight=np.clip(np.array([s.hand_weight for s in states], dtype=float), 0, 1),
        grip=np.clip(np.array([s.grip for s in states], dtype=float), 0, 1),
        carry=np.clip(np.array([s.carry for s in states], dtype=float), 0, 1),
    )


def _figure(rig: motion.Rig, spec: PersonSpec, rest: RestBody) -> motion.Figures:
    """Measures and habits of one person."""
    rng = np.random.default_rng(spec.style_seed)
    lift = np.array([0.0, 0.0, SOLE_M])
    heads = rest.heads_m + lift
    hip = heads[rig.thigh[0]]
    trunk = rest.vertices_m[np.abs(rest.vertices_m[:, 1]) < 0.24 * spec.shape.height_m / 1.72]
    waist = trunk[np.abs(trunk[:, 2] - hip[2]) < 0.12]
    half_width, belly = np.abs(waist[:, 1]).max(), waist[:, 0].max() - heads[rig.root][0]
    shoulder = abs(heads[rig.upper1[0]][1])
    arm = np.linalg.norm(heads[rig.lower1[0]] - heads[rig.upper1[0]])
    abduction = np.arctan2(max(half_width + 0.05 - shoulder, 0.0), arm * 1.5) + np.radians(rng.uniform(4, 9))
    old = np.clip((spec.shape.age_years - 50) / 30, 0, 1)
    return motion.Figures(
        heads_m=np.concatenate([heads, rest.palm_m + lift]),
        palm_m=rest.palm_m + lift,
        palm_frames=rest.palm_frames,
        heel_m=rest.heel_m,
        ball_m=rest.ball_m,
        height_m=np.float64(spec.shape.height_m),
        abduction_rad=np.float64(abduction),
        half_width_m=np.float64(abs(hip[1]) * rng.uniform(0.9, 1.25)),
        stoop_rad=np.float64(np.radians(rng.uniform(-1, 5) + 10 * old)),
        swing_rad=np.float64(np.radians(rng.uniform(16, 27))),
        stagger=np.float64(rng.uniform(-1, 1)),
        belly_m=np.float64(max(belly - 0.1, 0.0)),
    )
