# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the networks run on.

An OpenVINO folder (what `models.export` writes by default) runs through the OpenVINO runtime: one request a picture,
as many at a time as the CPU has streams, with the conversion from BGR bytes inside the graph; one that was exported for
any width spends less time on a narrow picture. Everything else that Ultralytics can load (`.pt`, `.onnx`, TensorRT
`.engine`) runs through its `AutoBackend`, one batch for all pictures.
"""

from __future__ import annotations

import numpy as np

from models.registry import Weights
from pipeline.errors import WeightsError

PARTS = (0.375, 0.5, 0.75)
"""Shares of its width for which an export that takes any width is laid out as well: a fixed size costs a third less."""
STRIDE_PX = 32
"""Sides of a YOLO's input are multiples of it."""


class OpenVinoEngine:
    """OpenVINO runtime: requests of one picture each, spread over the CPU's streams. `widths`: of the inputs that it is
    laid out for, ascending."""

    def __init__(self, weights: Weights, size_hw: tuple[int, int], threads: int | None) -> None:
        import openvino as ov

        height, width = size_hw
        parts = (round(share * width) for share in PARTS) if weights.dynamic else ()
        self.widths = (*(w for w in parts if w % STRIDE_PX == 0), width)
        core = ov.Core()
        try:
            read, config = core.read_model(next(weights.path.glob("*.xml"))), _openvino_config(core, threads)
            self._queues = {}
            for w in self.widths:
                model = read.clone()
                if weights.dynamic or weights.batch != 1:
                    model.reshape([1, 3, height, w])
                self._queues[w] = ov.AsyncInferQueue(core.compile_model(takes_bytes(model), "CPU", config))
        except RuntimeError as error:
            raise WeightsError(f"{weights.path}: OpenVINO cannot load it: {_first_line(error)}") from None
        for queue in self._queues.values():
            queue.set_callback(_keep_output)  # a method would keep this engine alive for ever

    def run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        results: list[np.ndarray | None] = [None] * len(images)
        for index, image in enumerate(images):
            self._queues[image.shape[1]].start_async({0: image[None]}, (results, index))
        for queue in self._queues.values():
            queue.wait_all()
        return results


def _keep_output(request, place: tuple[list, int]) -> None:
    results, index = place
    results[index] = request.get_output_tensor(0).data[0].copy()


def takes_bytes(model):
    """The OpenVINO model with the conversion from BGR bytes (N, H, W, 3) in front of it."""
    import openvino as ov
    from openvino.preprocess import ColorFormat, PrePostProcessor

    steps = PrePostProcessor(model)
    steps.input().tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC")).set_color_format(ColorFormat.BGR)
    steps.input().model().set_layout(ov.Layout("NCHW"))
    steps.input().preprocess().convert_element_type(ov.Type.f32).convert_color(ColorFormat.RGB).scale(255.0)
    return steps.build()


def _openvino_config(core, threads: int | None) -> dict[str, object]:
    config: dict[str, object] = {"PERFORMANCE_HINT": "THROUGHPUT"}
    if "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        config["INFERENCE_PRECISION_HINT"] = "bf16"
    if threads:
        config["INFERENCE_NUM_THREADS"] = threads
    return config


class UltralyticsEngine:
    """PyTorch, ONNX Runtime or TensorRT, as Ultralytics loads them; on a GPU where there is one."""

    def __init__(self, weights: Weights, size_hw: tuple[int, int]) -> None:
        import torch
        from ultralytics.nn.autobackend import AutoBackend

        self.widths = (size_hw[1],)  # all pictures of a window go through in one batch
        self._torch = torch
        self._device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
        half = self._device.type == "cuda"
        try:
            self._net = AutoBackend(str(weights.path), device=self._device, fp16=half, verbose=False)
        except Exception as error:  # Ultralytics raises whatever the format's own library raises
            raise WeightsError(f"{weights.path}: cannot be loaded: {_first_line(error)}") from None
        self._half = half

    def run(self, images: list[np.ndarray]) -> list[np.ndarray]:
        torch = self._torch
        batch = np.ascontiguousarray(np.stack(images)[..., ::-1].transpose(0, 3, 1, 2))
        tensor = torch.from_numpy(batch).to(self._device)
        tensor = (tensor.half() if self._half else tensor.float()) / 255
        with torch.inference_mode():
            output = self._net(tensor)
        output = output[0] if isinstance(output, (list, tuple)) else output
        return list(output.float().cpu().numpy())


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
