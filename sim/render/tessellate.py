# SPDX-License-Identifier: AGPL-3.0-or-later
"""Split large triangles, so that straight edges bend where a lens bends them and light varies within a wall."""

from __future__ import annotations

import numpy as np

from sim.render.mesh import Mesh

# Which corners and edge midpoints (3 = ab, 4 = bc, 5 = ca) make the pieces, by the bits of the edges to be split.
_PIECES = {
    0: [(0, 1, 2)],
    1: [(0, 3, 2), (3, 1, 2)],
    2: [(0, 1, 4), (0, 4, 2)],
    3: [(3, 1, 4), (0, 3, 4), (0, 4, 2)],
    4: [(0, 1, 5), (5, 1, 2)],
    5: [(0, 3, 5), (3, 1, 2), (3, 2, 5)],
    6: [(5, 4, 2), (0, 1, 4), (0, 4, 5)],
    7: [(0, 3, 5), (3, 1, 4), (5, 4, 2), (3, 4, 5)],
}


def tessellated(mesh: Mesh, eyes_m: np.ndarray, share: float = 0.12, least_m: float = 0.06) -> Mesh:
    """The same surface in pieces whose edges are at most `share` of the distance to the nearest eye, float (E, 3).

    Whether an edge is split depends on nothing but its end points, so neighbours that share an edge stay tight.
    """
    vertices = np.column_stack(
        [mesh.vertices_m, mesh.normals, mesh.colours, np.zeros((len(mesh.vertices_m), 2)) if mesh.uv is None else mesh.uv]
    ).astype(np.float32)
    faces, done = np.asarray(mesh.faces, np.int64), []
    for _ in range(12):
        ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1)  # (F, 3 edges, 2)
        a, b = vertices[ends[..., 0], :3], vertices[ends[..., 1], :3]
        middle, length = (a + b) / 2, np.linalg.norm(a - b, axis=-1)
        long = length > least_m
        if long.any():
            away = np.linalg.norm(middle[long][:, None] - eyes_m.astype(np.float32), axis=-1).min(axis=1)
            long[long] = length[long] > np.maximum(least_m, share * away)
        kinds = long @ np.array([1, 2, 4])
        done.append(faces[kinds == 0])
        if not long.any():
            break
        keys = np.sort(ends[long], axis=-1)
        unique, inverse = np.unique(keys[:, 0] * len(vertices) + keys[:, 1], return_inverse=True)
        midpoints = (vertices[unique // len(vertices)] + vertices[unique % len(vertices)]) / 2
        corners = np.concatenate([faces, np.zeros_like(faces)], axis=1)
        corners[:, 3:][long] = inverse + len(vertices)
        vertices = np.concatenate([vertices, midpoints])
        faces = np.concatenate([corners[kinds == k][:, _PIECES[k]].reshape(-1, 3) for k in range(1, 8)])
    else:
        done.append(faces)
    return Mesh(
        vertices[:, :3], vertices[:, 3:6], vertices[:, 6:9], np.concatenate(done).astype(np.int32),
        None if mesh.uv is None else vertices[:, 9:], mesh.gloss,
    )  # fmt: skip
