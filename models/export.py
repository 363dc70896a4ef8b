# SPDX-License-Identifier: AGPL-3.0-or-later
"""From trained weights to what runs fast: OpenVINO for CPUs, ONNX for anything, TensorRT for NVIDIA GPUs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import torch

from models.registry import Task, load_model, resolve
from pipeline.errors import OutputError, WeightsError

Format = Literal["openvino", "onnx", "tensorrt"]
_ULTRALYTICS_NAME = {"openvino": "openvino", "onnx": "onnx", "tensorrt": "engine"}


def export(
    weights: str | Path,
    task: Task,
    out: Path,
    format: Format = "openvino",
    imgsz_hw: tuple[int, int] | None = None,
    int8: bool = False,
    data: Path | None = None,
) -> Path:
    """Write an export of `.pt` weights into the folder `out` and return its path.

    Args:
        weights: a name of the registry or a path of `.pt` weights.
        imgsz_hw: the fixed input size of the export; None is 256x448 for pose (frames of 16:9) and 320x320 for crops.
        int8: quantise with NNCF (OpenVINO) or TensorRT, measured on pictures of `data` (`data.yaml`).
    """
    source = resolve(weights, task, prefer="torch")
    if source.format != "torch":
        raise WeightsError(f"{source.path}: only .pt weights can be exported")
    if format == "tensorrt" and not torch.cuda.is_available():
        raise WeightsError("TensorRT engines are built on the GPU they will run on; there is none here")
    if int8 and data is None:
        raise WeightsError("int8 needs pictures to measure ranges on: give the data.yaml of a data set")
    size = imgsz_hw or ((256, 448) if task == "pose" else (320, 320))
    try:
        out.mkdir(parents=True, exist_ok=True)
        copy = shutil.copy(source.path, out / f"{_stem(weights)}.pt")  # the export lands beside what it is made from
    except (OSError, shutil.SameFileError) as error:
        raise OutputError(f"{out}: cannot write the export: {error}") from None
    model = load_model(copy, task)
    made = Path(
        model.export(
            format=_ULTRALYTICS_NAME[format], imgsz=list(size), batch=1, dynamic=False, simplify=True,
            half=not int8 and format != "onnx", int8=int8, data=str(data) if data else None, verbose=False,
        )
    )  # fmt: skip
    final = out / made.name.replace("_int8_", "_")
    if final != made:
        shutil.rmtree(final, ignore_errors=True)
        made.rename(final)
    Path(copy).unlink()
    return final


def _stem(weights: str | Path) -> str:
    path = Path(weights)
    return path.stem if path.suffix == ".pt" else path.name
