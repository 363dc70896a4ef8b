# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cutting a mesh along level lines and taking it apart at the seams."""

from __future__ import annotations

import numpy as np


def cut(
    rows: np.ndarray, faces: np.ndarray, level: np.ndarray, only: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Split triangles where ``level`` passes zero, so that afterwards each lies on one side.

    Args:
        rows: (V, C) everything there is to know about a vertex; new vertices are interpolated.
        faces: (F, 3).
        level: (V,).
        only: (F,) which faces may be cut, all by default.

    Returns:
        rows with the new vertices at the end, and the faces in a new order.
    """
    level = np.where(np.abs(level) < 1e-7, 1e-7, level)
    above = level[faces] > 0
    crossed = above.any(1) & ~above.all(1)
    if only is not None:
        crossed &= only
    if not crossed.any():
        return rows, faces
    part, up = faces[crossed], above[crossed]
    # Turn each triangle so that its lone corner comes first.
    lone = np.where(up.sum(1) == 1, up.argmax(1), (~up).argmax(1))
    a, b, c = (part[np.arange(len(part)), (lone + k) % 3] for k in range(3))
    edges = np.sort(np.concatenate([np.stack([a, b], 1), np.stack([a, c], 1)]), axis=1)
    unique, index = np.unique(edges, axis=0, return_inverse=True)
    i, j = unique.T
    t = level[i] / (level[i] - level[j])
    fresh = rows[i] + (rows[j] - rows[i]) * t[:, None]
    ab, ac = index.reshape(2, -1) + len(rows)
    # An uncut neighbour would leave a crack: whatever else has a cut edge is split too, from that edge.
    rest = faces[~crossed]
    if only is not None:
        rest = _mend(rest, unique, len(rows))
    split = np.concatenate([np.stack(t3, 1) for t3 in ((a, ab, ac), (ab, b, c), (ab, c, ac))])
    return np.concatenate([rows, fresh]), np.concatenate([rest, split])


def _mend(faces: np.ndarray, edges: np.ndarray, first: int) -> np.ndarray:
    """Split faces that have an edge with a new vertex on it, one edge at a time (new vertices start at ``first``)."""
    size = int(max(faces.max(), edges.max())) + 1
    keys = edges[:, 0].astype(np.int64) * size + edges[:, 1]
    order = np.argsort(keys)
    for _ in range(3):
        done = True
        pieces = []
        for k in range(3):
            a, b, c = faces[:, k], faces[:, (k + 1) % 3], faces[:, (k + 2) % 3]
            key = np.minimum(a, b).astype(np.int64) * size + np.maximum(a, b)
            at = np.minimum(np.searchsorted(keys[order], key), len(keys) - 1)
            hit = (keys[order][at] == key) & (np.maximum(a, b) < first)
            if hit.any():
                middle = first + order[at[hit]]
                pieces.append(np.stack([a[hit], middle, c[hit]], 1))
                pieces.append(np.stack([middle, b[hit], c[hit]], 1))
                faces = faces[~hit]
                done = False
        faces = np.concatenate([faces, *pieces])
        if done:
            break
    return faces


def take_apart(faces: np.ndarray, label: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Double the vertices between faces of different labels and close the gap with walls.

    Args:
        faces: (F, 3). label: (F,) non-negative, below 256.

    Returns:
        ``source`` (W,) the old vertex of each new one, ``side`` (W,) its label, ``faces`` (F, 3) in the old order,
        ``walls`` (G, 3) triangles that join the two sides of each seam.
    """
    key = faces.astype(np.int64) * 256 + label[:, None]
    unique, inverse = np.unique(key.ravel(), return_inverse=True)
    apart = inverse.reshape(-1, 3)
    start = faces[:, [0, 1, 2]].ravel().astype(np.int64)
    end = faces[:, [1, 2, 0]].ravel().astype(np.int64)
    new_start, new_end = apart[:, [0, 1, 2]].ravel(), apart[:, [1, 2, 0]].ravel()
    mine = np.repeat(label, 3)
    size = int(faces.max()) + 1
    forward, backward = start * size + end, end * size + start
    order = np.argsort(forward)
    at = np.minimum(np.searchsorted(forward[order], backward), len(order) - 1)
    twin = order[at]
    seam = (forward[twin] == backward) & (mine < mine[twin])
    s, e, ts, te = new_start[seam], new_end[seam], new_end[twin[seam]], new_start[twin[seam]]
    walls = np.concatenate([np.stack([e, s, ts], 1), np.stack([e, ts, te], 1)])
    return unique // 256, unique % 256, apart, walls
