# SPDX-License-Identifier: AGPL-3.0-or-later
"""From trained weights to what runs fast: OpenVINO for CPUs, ONNX for anything, TensorRT for NVIDIA GPUs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

import torch
import yaml

from models.registry import INPUT_HW, WEIGHTS_DIR, Task, load_model, resolve
from models.train import ARCHITECTURE
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
        imgsz_hw: the input size of the export, whose width is the most that a pose network in OpenVINO takes, and fixed
            otherwise; None is `registry.INPUT_HW`.
        int8: quantise with NNCF (OpenVINO) or TensorRT, measured on pictures of `data` (`data.yaml`).
    """
    source = resolve(weights, task, prefer="torch")
    if source.format != "torch":
        raise WeightsError(f"{source.path}: only .pt weights can be exported")
    if format == "tensorrt" and not torch.cuda.is_available():
        raise WeightsError("TensorRT engines are built on the GPU they will run on; there is none here")
    if int8 and data is None:
        raise WeightsError("int8 needs pictures to measure ranges on: give the data.yaml of a data set")
    size = imgsz_hw or INPUT_HW[task]
    dynamic = format == "openvino" and task == "pose" and not int8  # parts of pictures are narrow: `engines.PARTS`
    try:
        out.mkdir(parents=True, exist_ok=True)
        copy = shutil.copy(source.path, out / f"{_stem(weights)}.pt")  # the export lands beside what it is made from
    except (OSError, shutil.SameFileError) as error:
        raise OutputError(f"{out}: cannot write the export: {error}") from None
    model = load_model(copy, task)
    made = Path(
        model.export(
            format=_ULTRALYTICS_NAME[format], imgsz=list(size), batch=1, dynamic=dynamic, simplify=True,
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


def publish(weights: Path, task: Task, name: str, imgsz_hw: tuple[int, int], out: Path = WEIGHTS_DIR) -> None:
    """Put trained weights where the registry finds them: `NAME.pt` in half precision and its OpenVINO export.

    What a checkpoint keeps of the machine it was trained on (paths, git state) is left out.
    """
    from ultralytics.nn.tasks import load_checkpoint

    resolve(weights, task)
    model, _ = load_checkpoint(str(weights))
    model = model.half().to("cpu")
    model.args = {"imgsz": max(imgsz_hw), "task": task, "model": ARCHITECTURE[task], "data": f"{name}.yaml"}
    model.walkout_imgsz_hw = tuple(imgsz_hw)
    model.pt_path = f"{name}.pt"
    for parameter in model.parameters():
        parameter.requires_grad = False
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{name}.pt"
    torch.save({"epoch": -1, "model": model, "train_args": model.args, "license": "AGPL-3.0-or-later"}, file)
    folder = export(file, task, out / "making", imgsz_hw=imgsz_hw)
    final = out / f"{name}_openvino_model"
    shutil.rmtree(final, ignore_errors=True)
    folder.rename(final)
    shutil.rmtree(out / "making")
    metadata = yaml.safe_load((final / "metadata.yaml").read_text(encoding="utf-8"))
    metadata["description"] = f"{name}, trained from scratch on simulated pictures"
    (final / "metadata.yaml").write_text(yaml.safe_dump(metadata, sort_keys=False), encoding="utf-8")
