# SPDX-License-Identifier: AGPL-3.0-or-later
"""Training of both networks, from scratch or from earlier weights, on a GPU or on a CPU.

On a CPU with bfloat16 matrix units, mixed precision with channels-last memory is some 2.5 times as fast as float32, on
one with bfloat16 vector instructions some 1.6 times.
Ultralytics switches mixed precision off on CPUs; `_FromScratch` switches it on, for the network alone: losses stay
float32, where a box decoded in bfloat16 would be off by pixels.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from ultralytics.data.augment import RandomPerspective
from ultralytics.models.yolo.detect import DetectionTrainer
from ultralytics.models.yolo.pose import PoseTrainer

from models.registry import INPUT_HW, Task
from pipeline.errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Callable

ARCHITECTURE: dict[Task, str] = {"pose": "yolov8n-pose.yaml", "detect": "yolov8n.yaml"}
"""Nano networks of plain convolutions: they train and run faster on CPUs than those with depthwise ones."""

_AUGMENTATION: dict[Task, dict[str, Any]] = {
    # The pictures are drawn with varied scales, light and faults; what is left is cheap and adds variety.
    "pose": {"mosaic": 0.0, "scale": 0.35, "translate": 0.12, "degrees": 4.0, "fliplr": 0.5, "erasing": 0.0},
    # A mirrored label is another label, so crops are never mirrored.
    "detect": {"mosaic": 0.0, "scale": 0.2, "translate": 0.1, "degrees": 3.0, "fliplr": 0.0, "erasing": 0.0},
}


class _Float32Loss:
    """A criterion that sees float32 whatever the network computed in."""

    def __init__(self, criterion: Callable) -> None:
        self._criterion = criterion

    def __call__(self, predictions: Any, batch: dict) -> Any:
        with torch.autocast("cpu", enabled=False):
            return self._criterion(_float32(predictions), batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._criterion, name)


class HeavyTailKeypointLoss(torch.nn.Module):
    """log(1 + e) instead of 1 - exp(-e), e the exponent of COCO's object key point similarity.

    Both agree near 0. Far off, where every network starts, the exponential has no slope left and a network that is
    trained from scratch on few pictures learns no key points for many epochs; the logarithm keeps pulling.
    """

    def __init__(self, sigmas: torch.Tensor) -> None:
        super().__init__()
        self.sigmas = sigmas

    def forward(
        self, pred_kpts: torch.Tensor, gt_kpts: torch.Tensor, kpt_mask: torch.Tensor, area: torch.Tensor
    ) -> torch.Tensor:
        """Mean over people (N, 17, 2 or 3), each weighted by how many of their key points are labelled."""
        squared = (pred_kpts[..., :2] - gt_kpts[..., :2]).pow(2).sum(-1)
        exponent = squared / ((2 * self.sigmas).pow(2) * (area + 1e-9) * 2)
        weight = kpt_mask.shape[1] / (kpt_mask.ne(0).sum(1, keepdim=True) + 1e-9)
        return (weight * torch.log1p(exponent) * kpt_mask).mean()


def _float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float()
    if isinstance(value, dict):
        return {k: _float32(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_float32(v) for v in value)
    return value


class _FromScratch:
    """A key point loss that learns from scratch; on a CPU that has bfloat16 units, mixed precision and
    channels-last memory."""

    threads: int | None = None

    def _setup_train(self) -> None:
        super()._setup_train()
        if self.threads:  # only now: choosing the device, Ultralytics sets its own number
            torch.set_num_threads(self.threads)
        criterion = self.model.init_criterion()
        if hasattr(criterion, "keypoint_loss"):
            criterion.keypoint_loss = HeavyTailKeypointLoss(criterion.keypoint_loss.sigmas)
        self.model.criterion = criterion
        self._bfloat16 = self.device.type == "cpu" and (
            torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
        )
        if self._bfloat16:
            self.amp = True  # `torch.amp.autocast("cpu")` then means bfloat16; the gradient scaler stays off
            self.model = self.model.to(memory_format=torch.channels_last)
            self.model.criterion = _Float32Loss(criterion)

    def preprocess_batch(self, batch: dict) -> dict:
        batch = super().preprocess_batch(batch)
        if self._bfloat16:
            batch["img"] = batch["img"].contiguous(memory_format=torch.channels_last)
        return batch


class _AroundPeople(RandomPerspective):
    """A square piece of the picture with one of its people in it, at the picture's own scale.

    Most of a ceiling camera's picture is empty floor. A network that is convolution all through learns at a piece what
    it is asked at the whole, and pieces cost a third.
    """

    def _compute_affine_matrix(self, img: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
        """As the base class, but with `self.middle_px` (2,) of the picture in the piece instead of its centre."""
        moved, scale = super()._compute_affine_matrix(img, size)
        back = np.eye(3, dtype=np.float32)
        back[:2, 2] = np.array(img.shape[1::-1]) / 2 - self.middle_px
        return moved @ back, scale

    def get_params(self, labels: dict[str, Any]) -> dict[str, Any]:
        extent = np.array(labels["img"].shape[1::-1], float)
        instances = labels["instances"]
        instances.convert_bbox(format="xyxy")
        instances.denormalize(*extent)
        self.middle_px = extent * np.random.default_rng(random.getrandbits(32)).random(2)
        if len(instances.bboxes):
            x1, y1, x2, y2 = random.choice(instances.bboxes)
            self.middle_px = np.array([random.uniform(x1, x2), random.uniform(y1, y2)])
        half = np.minimum(np.array(self.size) / 2, extent / 2)
        self.middle_px = np.clip(self.middle_px, half, extent - half)
        return super().get_params(labels)


class _PoseTrainer(_FromScratch, PoseTrainer):
    piece: int | None = None

    def build_dataset(self, img_path: str, mode: str = "train", batch: int | None = None) -> Any:
        dataset = super().build_dataset(img_path, mode, batch)
        if mode == "train" and self.piece:
            steps = dataset.transforms.transforms[0].transforms
            (at,) = [i for i, step in enumerate(steps) if isinstance(step, RandomPerspective)]
            a = self.args
            steps[at] = _AroundPeople(a.degrees, a.translate, a.scale, size=(self.piece, self.piece))
        return dataset


class _DetectionTrainer(_FromScratch, DetectionTrainer):
    pass


def train(
    task: Task,
    data: Path,
    out: Path,
    epochs: int,
    imgsz: int | None = None,
    piece: int | None = None,
    batch: int = 32,
    learning_rate: float = 0.002,
    start_from: Path | None = None,
    resume: bool = False,
    threads: int | None = None,
    seed: int = 0,
    workers: int = 1,
    validate_every_epoch: bool = True,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
    **more: Any,
) -> Path:
    """Train a network and return the path of its best weights, `OUT/weights/best.pt`.

    Args:
        data: `data.yaml` of a data set in Ultralytics' form. out: folder of the run; `weights/last.pt` in it is
            written after every epoch.
        imgsz: longer side of the input; None is `registry.INPUT_HW`.
        piece: train a pose network on square pieces of this side around people instead of on whole pictures; pictures
            are scaled to `imgsz` first, and validated whole.
        threads: of the CPU; None is all cores but one, as Ultralytics has it.
        start_from: weights whose matching layers are taken over; those of another task serve too.
        resume: go on where the run in `out` was interrupted; everything else is then as it was.
        progress: called after every epoch with the epoch (from 1), how many there are, and the figures.
        more: any other setting of Ultralytics' trainer.
    """
    last = out / "weights" / "last.pt"
    if resume and not last.exists():
        raise WeightsError(f"{last}: nothing to resume; start the training without --resume")
    settings: dict[str, Any] = {
        "task": task,
        "mode": "train",
        "model": str(last) if resume else ARCHITECTURE[task],
        "resume": str(last) if resume else False,
        "pretrained": str(start_from) if start_from else False,
        "data": str(data),
        "project": str(out.resolve().parent),
        "name": out.name,
        "exist_ok": True,
        "epochs": epochs,
        "imgsz": imgsz or max(INPUT_HW[task]),
        "rect": task == "pose" and piece is None,
        "close_mosaic": 0,
        "batch": batch,
        "nbs": batch,
        "optimizer": "AdamW",
        "lr0": learning_rate,
        "lrf": 0.02,
        "cos_lr": True,
        "warmup_epochs": 1.0,
        "warmup_bias_lr": 0.0,
        "weight_decay": 0.01,
        "cache": "ram",
        "workers": workers,
        "seed": seed,
        "deterministic": False,
        "plots": False,
        "val": validate_every_epoch,
        "patience": 0,
        **_AUGMENTATION[task],
        **more,
    }
    if resume:  # size, batch and the like would replace what the interrupted run had
        settings = {key: settings[key] for key in ("task", "mode", "model", "resume")}
    trainer = (_PoseTrainer if task == "pose" else _DetectionTrainer)(overrides=settings)
    trainer.threads = threads
    if task == "pose":
        trainer.piece = piece
    if progress is not None:

        def report(t: _PoseTrainer | _DetectionTrainer) -> None:
            if t.epoch < t.epochs:  # Ultralytics calls once more after its last validation
                progress(t.epoch + 1, t.epochs, {k: float(v) for k, v in t.metrics.items()})

        trainer.add_callback("on_fit_epoch_end", report)
    trainer.train()
    return Path(trainer.best)
