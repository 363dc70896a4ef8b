# SPDX-License-Identifier: AGPL-3.0-or-later
"""Which weights there are: the shipped ones by name, anybody's by path, Ultralytics' own by their name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import yaml

from pipeline.errors import WeightsError

if TYPE_CHECKING:
    from ultralytics import YOLO

Task = Literal["pose", "detect"]
WEIGHTS_DIR = Path(__file__).parent / "weights"

INPUT_HW: dict[Task, tuple[int, int]] = {"pose": (288, 512), "detect": (256, 256)}
"""Height and width that our networks are made for: 1280x720 pictures by 2.5, and crops of shelves."""

SHIPPED: dict[str, Task] = {"walkout-person": "pose", "walkout-product": "detect"}
"""Names of the weights that come with the repository: `weights/NAME.pt` and `weights/NAME_openvino_model/`."""

_FORMATS = {".pt": "torch", ".onnx": "onnx", ".engine": "tensorrt"}


@dataclass(frozen=True)
class Weights:
    """One weights file or folder and what its own metadata says about it.

    `imgsz_hw`: the input size it was made for. `dynamic`: other sizes work too. `names`: class names in class order;
    for the product network these are GTINs.
    """

    path: Path
    format: Literal["torch", "openvino", "onnx", "tensorrt"]
    task: Task
    imgsz_hw: tuple[int, int]
    batch: int
    dynamic: bool
    names: tuple[str, ...]


def available() -> list[tuple[str, Weights]]:
    """The shipped weights that are here, for `walkout models list`."""
    return [(name, resolve(name, task)) for name, task in SHIPPED.items() if _candidates(name)]


def resolve(name_or_path: str | Path, task: Task, prefer: str = "auto") -> Weights:
    """Find weights and read what they are.

    `prefer`: ``openvino``, ``torch``, or ``auto``, which takes a shipped network's OpenVINO export on a CPU and its
    `.pt` on a GPU. Raises `WeightsError` for weights that are missing, damaged or made for another task.
    """
    name = str(name_or_path)
    if name in SHIPPED:
        found = _candidates(name)
        if not found:
            raise WeightsError(f"weights {name} are not in {WEIGHTS_DIR}; train them or name other weights")
        if prefer == "auto":
            prefer = "torch" if has_gpu() else "openvino"
        path = found.get(prefer) or next(iter(found.values()))
    else:
        path = _find(name)
    weights = _read(path)
    if weights.task != task:
        raise WeightsError(f"{path}: expected weights for task {task!r}, these are for {weights.task!r}")
    if task == "pose" and weights.format != "torch":
        _check_keypoints(path)
    return weights


def load_model(name_or_path: str | Path, task: Task) -> YOLO:
    """The weights as an Ultralytics `YOLO`, for training, validation and export."""
    from ultralytics import YOLO

    weights = resolve(name_or_path, task, prefer="torch")
    return YOLO(str(weights.path), task=task)


def _candidates(name: str) -> dict[str, Path]:
    paths = {"openvino": WEIGHTS_DIR / f"{name}_openvino_model", "torch": WEIGHTS_DIR / f"{name}.pt"}
    return {kind: path for kind, path in paths.items() if path.exists()}


def has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _find(name: str) -> Path:
    """An existing path, or a file that Ultralytics downloads for this name."""
    path = Path(name).expanduser()
    if path.exists():
        return path
    from ultralytics.utils.downloads import GITHUB_ASSETS_NAMES, attempt_download_asset

    if name not in GITHUB_ASSETS_NAMES:
        known = ", ".join(SHIPPED)
        raise WeightsError(f"{name}: no such file, and neither one of {known} nor a model name of Ultralytics")
    try:
        path = Path(attempt_download_asset(name))
    except Exception as error:  # no network, no space, moved: Ultralytics passes on what it meets
        raise WeightsError(f"{name}: not here and cannot be downloaded: {' '.join(str(error).split())}") from None
    if not path.exists():
        raise WeightsError(f"{name}: not here and cannot be downloaded; give the path of a weights file")
    return path


def _read(path: Path) -> Weights:
    if path.is_dir():
        return _read_openvino(path)
    kind = _FORMATS.get(path.suffix)
    if kind is None:
        raise WeightsError(f"{path}: expected .pt, .onnx, .engine or an OpenVINO folder")
    if kind == "torch":
        return _read_torch(path)
    return _from_metadata(path, kind, _embedded_metadata(path, kind))


def _read_openvino(folder: Path) -> Weights:
    xml = sorted(folder.glob("*.xml"))
    if len(xml) != 1 or not xml[0].with_suffix(".bin").exists():
        raise WeightsError(f"{folder}: expected an OpenVINO folder with one .xml and its .bin, got {len(xml)} .xml")
    return _from_metadata(folder, "openvino", _metadata_yaml(folder))


def _metadata_yaml(folder: Path) -> dict:
    file = folder / "metadata.yaml"
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WeightsError(f"{file}: missing; it tells what the network is, export it with Ultralytics") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise WeightsError(f"{file}: not readable as YAML") from None
    if not isinstance(data, dict):
        raise WeightsError(f"{file}: expected a mapping, got {type(data).__name__}")
    return data


def _read_torch(path: Path) -> Weights:
    from ultralytics.nn.tasks import load_checkpoint

    try:
        model, checkpoint = load_checkpoint(str(path))
    except Exception as error:  # pickle, zip and torch each raise their own
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path}: not a weights file of Ultralytics, or damaged: {reason}") from None
    args = checkpoint.get("train_args") or {}
    size = getattr(model, "walkout_imgsz_hw", None) or args.get("imgsz", 640)
    if model.task == "pose" and tuple(model.kpt_shape) != (17, 3):
        raise WeightsError(f"{path}: expected key points of shape (17, 3), got {tuple(model.kpt_shape)}")
    names = tuple(str(model.names[i]) for i in range(len(model.names)))
    return Weights(path, "torch", model.task, _pair(size), 1, True, names)


def _embedded_metadata(path: Path, kind: str) -> dict:
    """The metadata that Ultralytics writes into ONNX models and before TensorRT engines."""
    import ast
    import json

    try:
        if kind == "onnx":
            import onnx

            props = {p.key: p.value for p in onnx.load(str(path), load_external_data=False).metadata_props}
        else:
            with path.open("rb") as file:
                length = int.from_bytes(file.read(4), "little")
                props = json.loads(file.read(length).decode("utf-8"))
    except Exception as error:  # protobuf and json errors alike: not one of ours
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(f"{path}: not an export of Ultralytics, or damaged: {reason}") from None
    structured = ("imgsz", "names", "kpt_shape", "args", "batch", "dynamic")
    return {k: ast.literal_eval(v) if k in structured and isinstance(v, str) else v for k, v in props.items()}


def _from_metadata(path: Path, kind: str, data: dict) -> Weights:
    try:
        names = data["names"]
        dynamic = bool((data.get("args") or {}).get("dynamic", data.get("dynamic", False)))
        return Weights(
            path,
            kind,
            data["task"],
            _pair(data["imgsz"]),
            int(data.get("batch", 1)),
            dynamic,
            tuple(str(names[i]) for i in range(len(names))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"{path}: its metadata lacks or spoils {error}; export it with Ultralytics") from None


def _check_keypoints(path: Path) -> None:
    data = _metadata_yaml(path) if path.is_dir() else _embedded_metadata(path, _FORMATS[path.suffix])
    shape = tuple(data.get("kpt_shape") or ())
    if shape != (17, 3):
        raise WeightsError(f"{path}: expected key points of shape (17, 3), got {shape}")


def _pair(size: int | list | tuple) -> tuple[int, int]:
    if isinstance(size, int):
        return size, size
    height, width = size
    return int(height), int(width)
