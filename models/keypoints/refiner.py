# SPDX-License-Identifier: AGPL-3.0-or-later
"""Running the key point network: detections in, the same people with better key points out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import yaml

from models.engines import takes_bytes
from models.keypoints.crop import SIDE_PX, cut, keypoints_of, square_of
from models.registry import WEIGHTS_DIR, has_gpu
from pipeline.errors import WeightsError
from pipeline.messages import Detections, Frame

SHIPPED = "walkout-keypoints"
_LEAST_SCORE = 0.25
"""Weaker boxes keep the key points they came with: ByteTrack only wants the box."""


class Engine(Protocol):
    def __call__(self, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """uint8 (N, 128, 128, 3) BGR to maps (N, 17, 32, 32) and seen (N, 17)."""


class KeypointRefiner:
    """Key points of the people in native pictures, one small look a person.

    `weights`: the shipped name, a `.pt` file that `train_keypoints` wrote, or an OpenVINO folder made of one.
    """

    def __init__(self, weights: str | Path = SHIPPED) -> None:
        self.path = _find(weights)
        self._engine: Engine = _OpenVinoEngine(self.path) if self.path.is_dir() else _TorchEngine(self.path)

    def refine(self, found: Sequence[tuple[Frame, Detections]]) -> list[Detections]:
        """The same detections, those of a fair score with new key points. Pixels are those of the native pictures."""
        asked = [np.flatnonzero(people.score >= _LEAST_SCORE) for _, people in found]
        if not sum(map(len, asked)):
            return [people for _, people in found]
        squares = [square_of(people.xyxy_px[rows]) for (_, people), rows in zip(found, asked, strict=True)]
        pieces = [piece_of(frame, square) for (frame, _), mine in zip(found, squares, strict=True) for square in mine]
        keypoints = keypoints_of(*self._engine(np.stack(pieces)), np.concatenate(squares))
        out, begin = [], 0
        for (_, people), rows in zip(found, asked, strict=True):
            points = people.keypoints_px.copy()
            points[rows] = keypoints[begin : begin + len(rows)]
            out.append(Detections(people.xyxy_px, people.score, points))
            begin += len(rows)
        return out


def piece_of(frame: Frame, square: np.ndarray) -> np.ndarray:
    """uint8 (128, 128, 3) BGR: the square of the picture, without converting all of it."""
    x, y, side = square
    left, top = int(np.floor(x - side / 2)) - 2, int(np.floor(y - side / 2)) - 2
    edge = int(np.ceil(side)) + 5
    part = frame.crop(left, top, left + edge, top + edge)
    if not part.size:
        return np.full((SIDE_PX, SIDE_PX, 3), 114, np.uint8)
    return cut(part, np.array([x - max(left, 0), y - max(top, 0), side]))


def export_keypoints(weights: Path, out: Path) -> Path:
    """`.pt` weights to an OpenVINO folder in half precision, which is returned."""
    import openvino as ov
    import torch

    net = _load_net(weights).eval()
    model = ov.convert_model(net, example_input=torch.zeros(1, 3, SIDE_PX, SIDE_PX), input=[-1, 3, SIDE_PX, SIDE_PX])
    out.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, out / f"{SHIPPED}.xml", compress_to_fp16=True)
    about = {"description": f"{SHIPPED}, trained from scratch on simulated pictures", "license": "AGPL-3.0-or-later"}
    about |= {"task": "keypoints", "imgsz": [SIDE_PX, SIDE_PX], "kpt_shape": [17, 3]}
    (out / "metadata.yaml").write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")
    return out


def shipped_keypoints() -> Path | None:
    """The shipped weights as this machine runs them best: OpenVINO on a CPU, `.pt` on a GPU."""
    found = [p for p in (WEIGHTS_DIR / f"{SHIPPED}_openvino_model", WEIGHTS_DIR / f"{SHIPPED}.pt") if p.exists()]
    return (found[-1] if has_gpu() else found[0]) if found else None


def _find(weights: str | Path) -> Path:
    path = shipped_keypoints() if str(weights) == SHIPPED else Path(weights)
    if path is None or not path.exists():
        raise WeightsError(f"{weights}: no such key point weights; the shipped ones are called {SHIPPED}")
    return path


def _load_net(path: Path):
    import torch

    from models.keypoints.network import KeypointNet

    net = KeypointNet()
    try:
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["weights"])
    except Exception as error:  # pickle, zip and torch each raise their own
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path}: not key point weights, or damaged: {reason}") from None
    return net


class _OpenVinoEngine:
    def __init__(self, folder: Path) -> None:
        import openvino as ov

        files = sorted(folder.glob("*.xml"))
        if len(files) != 1:
            raise WeightsError(f"{folder}: expected an OpenVINO folder with one .xml, got {len(files)}")
        core = ov.Core()
        try:
            model = takes_bytes(core.read_model(files[0]))
            compiled = core.compile_model(model, "CPU", {"PERFORMANCE_HINT": "LATENCY"})
        except RuntimeError as error:
            raise WeightsError(f"{folder}: OpenVINO cannot load it: {' '.join(str(error).split())[:160]}") from None
        self._request: Callable = compiled.create_infer_request().infer

    def __call__(self, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        maps, seen = self._request({0: pieces}).to_tuple()
        return maps, seen


class _TorchEngine:
    def __init__(self, path: Path) -> None:
        import torch

        self._torch = torch
        self._device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        self._net = _load_net(path).to(self._device).eval()

    def __call__(self, pieces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        torch = self._torch
        tensor = torch.from_numpy(np.ascontiguousarray(pieces[..., ::-1].transpose(0, 3, 1, 2))).to(self._device)
        with torch.inference_mode():
            maps, seen = self._net(tensor.float() / 255)
        return maps.cpu().numpy(), seen.cpu().numpy()
