# SPDX-License-Identifier: AGPL-3.0-or-later
"""Split large triangles, so that straight edges bend where a lens bends them and light varies within a wall."""

from __future__ import annotations

import numpy as np

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
_GLOSS = 12  # column


def tessellated(
    rows: np.ndarray,
    faces: np.ndarray,
    eyes_m: np.ndarray,
    share: float = 0.15,
    glossy_share: float = 0.06,
    least_m: float = 0.06,
) -> tuple[np.ndarray, np.ndarray]:
    """The same surface in pieces whose edges are at most `share` of the distance to the nearest eye, float (E, 3).

    `rows`: float32 (V, 13) vertices as `upload.interleaved` makes them, `faces`: int (F, 3). What shines gets
    `glossy_share`, since mirrored lamps are worked out in the vertices. Whether an edge is split depends on nothing but
    its end points, so neighbours that share an edge stay tight.
    """
    faces, done = np.asarray(faces, np.int64), []
    eyes = eyes_m.astype(np.float32)
    for _ in range(12):
        ends = np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1)  # (F, 3 edges, 2)
        a, b = rows[ends[..., 0], :3], rows[ends[..., 1], :3]
        length2 = ((a - b) ** 2).sum(axis=-1)
        long = length2 > least_m**2
        if long.any():
            middle = (a[long] + b[long]) / 2
            away2 = np.min([((middle - eye) ** 2).sum(axis=-1) for eye in eyes], axis=0)
            glossy = rows[ends[..., 0][long], _GLOSS] > 0.01
            long[long] = length2[long] > np.where(glossy, glossy_share**2, share**2) * away2
        kinds = long @ np.array([1, 2, 4])
        done.append(faces[kinds == 0])
        if not long.any():
            break
        keys = np.sort(ends[long], axis=-1)
        unique, inverse = np.unique(keys[:, 0] * len(rows) + keys[:, 1], return_inverse=True)
        midpoints = (rows[unique // len(rows)] + rows[unique % len(rows)]) / 2
        corners = np.concatenate([faces, np.zeros_like(faces)], axis=1)
        corners[:, 3:][long] = inverse + len(rows)
        rows = np.concatenate([rows, midpoints])
        faces = np.concatenate([corners[kinds == k][:, _PIECES[k]].reshape(-1, 3) for k in range(1, 8)])
    else:
        done.append(faces)
    return rows, np.concatenate(done).astype(np.int32)


def split_by_place(rows: np.ndarray, faces: np.ndarray, cell_m: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same triangles in parts that lie close together: those whose centre is in the same cube of `cell_m`."""
    cell = np.floor(rows[faces, :3].mean(axis=1) / cell_m).astype(np.int64)
    cell -= cell.min(axis=0)
    key = (cell[:, 0] * 4096 + cell[:, 1]) * 4096 + cell[:, 2]
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.diff(key[order], prepend=-1))
    out = []
    for part in np.split(faces[order], starts[1:]):
        used, local = np.unique(part, return_inverse=True)
        out.append((rows[used], local.reshape(-1, 3).astype(np.int32)))
    return out
