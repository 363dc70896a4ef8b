# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the renderer draws: triangle meshes, one shared texture atlas, the light."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh.

    `vertices_m`: float32 (V, 3). `normals`: float32 (V, 3), unit. `colours`: float32 (V, 3) RGB in [0, 1].
    `faces`: int32 (F, 3), counter-clockwise seen from outside. `uv`: float32 (V, 2) into the scene's atlas, (0, 0) its
    bottom left; None means no texture. A texture multiplies the colour. `gloss`: 0 matt .. 1 mirror-like highlight.
    `swept_m`: float32 (V, 3), how far each vertex of a mover goes while the shutter is open, for motion blur, or None.
    """

    vertices_m: np.ndarray
    normals: np.ndarray
    colours: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    gloss: float = 0.0
    swept_m: np.ndarray | None = None

    def __post_init__(self) -> None:
        n = len(self.vertices_m)
        for name, array, shape in (
            ("vertices_m", self.vertices_m, (n, 3)),
            ("normals", self.normals, (n, 3)),
            ("colours", self.colours, (n, 3)),
            ("uv", self.uv, (n, 2)),
            ("swept_m", self.swept_m, (n, 3)),
        ):
            if array is not None and array.shape != shape:
                raise ValueError(f"Mesh.{name} must have shape {shape}, got {array.shape}")

    def moved(self, transform: np.ndarray) -> Mesh:
        """The same mesh under a rigid transform, float (4, 4)."""
        rotation, shift = transform[:3, :3].astype(np.float32), transform[:3, 3].astype(np.float32)
        return Mesh(
            self.vertices_m @ rotation.T + shift,
            self.normals @ rotation.T,
            self.colours,
            self.faces,
            self.uv,
            self.gloss,
        )


def merged(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of many; gloss is the first one's, a missing `uv` becomes (0, 0), where an atlas keeps a white texel."""
    offsets = np.cumsum([0] + [len(m.vertices_m) for m in meshes[:-1]])
    return Mesh(
        np.concatenate([m.vertices_m for m in meshes]).astype(np.float32),
        np.concatenate([m.normals for m in meshes]).astype(np.float32),
        np.concatenate([m.colours for m in meshes]).astype(np.float32),
        np.concatenate([m.faces + o for m, o in zip(meshes, offsets, strict=True)]).astype(np.int32),
        np.concatenate([m.uv if m.uv is not None else np.zeros((len(m.vertices_m), 2)) for m in meshes]).astype(
            np.float32
        ),
        meshes[0].gloss,
    )


@dataclass(frozen=True)
class Light:
    """Ceiling light. `ambient` and `direct` scale radiance; `lamps_m`: float (L, 3) positions of the lamps."""

    ambient: float = 0.55
    direct: float = 0.6
    tint: tuple[float, float, float] = (1.0, 0.98, 0.94)
    lamps_m: np.ndarray = field(default_factory=lambda: np.array([[2.0, 1.5, 2.7]]))


@dataclass(frozen=True)
class Scene:
    """What stands still. `atlas`: uint8 (H, W, 3) BGR; its texel at uv (0, 0) is white.

    `keyed`: what stands still but may be replaced cheaply later, such as the content of a shelf slot by its slot id.
    """

    static: tuple[Mesh, ...]
    atlas: np.ndarray
    light: Light = field(default_factory=Light)
    keyed: Mapping[Hashable, Mesh] = field(default_factory=dict)
