# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout models ...`"""

from __future__ import annotations

import importlib.util
import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pipeline.errors import WalkoutError

app = typer.Typer(help="The networks: data sets, training, figures, export.", no_args_is_help=True)


class Task(StrEnum):
    pose = "pose"
    detect = "detect"


class Trained(StrEnum):
    pose = "pose"
    detect = "detect"
    keypoints = "keypoints"


class Kind(StrEnum):
    people = "people"
    products = "products"
    recorded = "recorded"


class Format(StrEnum):
    openvino = "openvino"
    onnx = "onnx"
    tensorrt = "tensorrt"


TaskOption = Annotated[Task, typer.Option(help="pose: people with 17 key points; detect: products.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the figures for programs.")]


@app.command("list")
def list_weights() -> None:
    """The weights that come with walkout."""
    from models.keypoints.crop import SIDE_PX
    from models.keypoints.refiner import shipped_keypoints
    from models.registry import available

    table = Table()
    table.add_column("name", no_wrap=True, min_width=len("walkout-keypoints"))
    for column in ("task", "input", "classes", "format", "file"):
        table.add_column(column, overflow="fold")
    for name, weights in available():
        height, width = weights.imgsz_hw
        table.add_row(
            name, weights.task, f"{width}x{height}", str(len(weights.names)), weights.format, str(weights.path)
        )
    if (keypoints := shipped_keypoints()) is not None:
        side, kind = f"{SIDE_PX}x{SIDE_PX}", "openvino" if keypoints.is_dir() else "torch"
        table.add_row("walkout-keypoints", "keypoints", side, "1", kind, str(keypoints))
    Console().print(table)


@app.command()
def dataset(
    kind: Annotated[Kind, typer.Argument(help="people (whole pictures), products (crops), recorded.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the data set, in Ultralytics' form.")],
    count: Annotated[int, typer.Option(min=1, help="How many pictures.")] = 3600,
    seed: Annotated[int, typer.Option(help="Another seed: other rooms, people, products, light.")] = 0,
    processes: Annotated[int, typer.Option(min=1)] = 2,
    validation: Annotated[
        float, typer.Option(min=0, max=1, help="Share for validation; 1: a set to measure on.")
    ] = 0.06,
    recording: Annotated[list[Path] | None, typer.Option(help="For recorded: recordings with truth.")] = None,
    every: Annotated[int, typer.Option(min=1, help="For recorded: every so many pictures of each camera.")] = 5,
) -> None:
    """Draw labelled training pictures with the simulator: rooms, cameras, light, clothes and clutter are random.

    recorded takes pictures and people from recordings instead, for measuring on scenarios that were not trained on.
    """
    if kind is Kind.recorded:
        from sim.pictures.recorded import recorded_dataset

        if not recording:
            raise WalkoutError("a data set of recorded pictures needs at least one --recording")
        with _progress() as progress:
            task = progress.add_task("recordings", total=len(recording))
            path = recorded_dataset(recording, out, every, progress=lambda done: progress.update(task, completed=done))
        Console().print(str(path), soft_wrap=True)
        return
    if importlib.util.find_spec("panda3d") is None:
        raise WalkoutError("drawing training pictures needs the 'sim' extra: pip install 'walkout[sim]'")
    from sim.pictures.dataset import make_dataset

    with _progress() as progress:
        task = progress.add_task("pictures", total=count)
        path = make_dataset(
            kind.value,
            out,
            count,
            seed,
            processes,
            validation,
            progress=lambda done: progress.update(task, completed=done),
        )
    Console().print(str(path), soft_wrap=True)


@app.command()
def train(
    task: Annotated[
        Trained, typer.Option(help="pose, detect, or keypoints: the closer look at people a pose network has found.")
    ],
    data: Annotated[list[Path], typer.Option(help="data.yaml of a data set; for keypoints any number of pose sets.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the training run.")],
    epochs: Annotated[int, typer.Option(min=1)] = 40,
    start_from: Annotated[Path | None, typer.Option(help="Weights whose matching layers are taken over.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where the run in OUT was interrupted.")] = False,
    imgsz: Annotated[int | None, typer.Option(help="Longer side pictures are scaled to.")] = None,
    piece: Annotated[
        int | None, typer.Option(help="pose: train on square pieces of this side around people, 0 on whole pictures.")
    ] = 256,
    batch: Annotated[int | None, typer.Option(min=1, help="Default: 16, keypoints 64.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Default: 0.002, keypoints 0.003.")] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: all but one.")] = None,
    workers: Annotated[int, typer.Option(min=0, help="Processes that prepare pictures; a GPU wants 6 or so.")] = 1,
    seed: int = 0,
) -> None:
    """Train a network from scratch, on a GPU if there is one; on a CPU in bfloat16."""
    if task is not Trained.keypoints and len(data) > 1:
        raise WalkoutError(f"--task {task.value} takes one --data; a data.yaml can name several folders")
    common = {"start_from": start_from, "threads": threads, "workers": workers, "seed": seed}
    common |= {k: v for k, v in (("batch", batch), ("learning_rate", learning_rate)) if v is not None}
    with _progress() as progress:
        bar = progress.add_task("epochs", total=epochs)

        def report(epoch: int, total: int, figures: dict[str, float]) -> None:
            wanted = {k.split("/")[-1]: v for k, v in figures.items() if "mAP50(" in k or "wrist" in k}
            shown = ", ".join(f"{k} {v:.3f}" for k, v in wanted.items())
            progress.update(bar, completed=epoch, total=total, description=f"epochs {shown}")

        if task is Trained.keypoints:
            from models.keypoints.train import train_keypoints

            best = train_keypoints(data, out, epochs, progress=report, **common)
        else:
            from models.train import train as train_network

            best = train_network(
                task.value, data[0], out, epochs, imgsz=imgsz, piece=piece or None, resume=resume, progress=report,
                **common,
            )  # fmt: skip
    Console().print(str(best), soft_wrap=True)


@app.command()
def evaluate(
    weights: Annotated[str, typer.Argument(help="A name in `walkout models list`, a path, an Ultralytics name.")],
    task: TaskOption = Task.pose,
    data: Annotated[Path | None, typer.Option(help="data.yaml: average precision against its labels.")] = None,
    against: Annotated[
        str | None, typer.Option(help="Other pose weights: share of what they find, on --video.")
    ] = None,
    video: Annotated[list[Path] | None, typer.Option(help="Video files for --against.")] = None,
    recording: Annotated[
        list[Path] | None, typer.Option(help="Recordings with truth: share of people at least half visible found.")
    ] = None,
    imgsz: Annotated[int | None, typer.Option(help="Longer side of the input.")] = None,
    keypoint_weights: Annotated[
        str | None, typer.Option(help="Measure wrists after a second look with these, e.g. walkout-keypoints.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """How good weights are: against labels, against another network on videos, or on recordings."""
    from models import evaluate as evaluation
    from models.backend import PoseNetwork

    figures: dict = {}
    if data:
        figures |= evaluation.against_labels(weights, task.value, data, imgsz)
        if task is Task.pose:
            refiner = None
            if keypoint_weights:
                from models.keypoints.refiner import KeypointRefiner

                refiner = KeypointRefiner(keypoint_weights)
            figures |= evaluation.wrist_errors(PoseNetwork(weights), data, refiner=refiner).as_dict()
    if against:
        if not video:
            raise WalkoutError("--against compares on videos: give at least one --video")
        agreed = evaluation.against_network(PoseNetwork(weights), PoseNetwork(against), video)
        for path, agreement in agreed.items():
            figures[f"share_found {path}"] = agreement.share
            figures[f"reference_people {path}"] = agreement.reference
        total = sum(agreed.values(), evaluation.Agreement(0, 0, 0))
        figures |= {"share_found": total.share, "reference_people": total.reference, "extra_people": total.extra}
    if recording:
        from sim.people_recall import people_recall

        recall = people_recall(PoseNetwork(weights), recording)
        figures |= {"recall_half_visible": recall.share, "half_visible_people": recall.people}
    if not figures:
        raise WalkoutError("nothing to evaluate on: give --data, --against with --video, or --recording")
    if as_json:
        print(json.dumps(figures, indent=1))
        return
    for name, value in figures.items():
        Console().print(f"{name:32} {value:.4f}" if isinstance(value, float) else f"{name:32} {value}", soft_wrap=True)


@app.command()
def export(
    weights: Annotated[str, typer.Argument(help="Path of .pt weights, or a shipped name.")],
    task: Annotated[Trained, typer.Option(help="What the weights are for.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the export.")],
    format: Annotated[
        Format, typer.Option(help="TensorRT engines are built on the GPU they run on.")
    ] = Format.openvino,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise; needs --data to measure ranges on.")] = False,
    data: Annotated[Path | None, typer.Option(help="data.yaml for --int8.")] = None,
) -> None:
    """Write weights in a form that runs fast: OpenVINO for CPUs, TensorRT for GPUs, ONNX for anything."""
    if task is Trained.keypoints:
        from models.keypoints.refiner import export_keypoints

        if format is not Format.openvino or int8:
            raise WalkoutError("key point weights are exported to OpenVINO in half precision; a GPU takes the .pt")
        Console().print(str(export_keypoints(Path(weights), out)), soft_wrap=True)
        return
    from models.export import export as export_weights

    Console().print(str(export_weights(weights, task.value, out, format.value, int8=int8, data=data)), soft_wrap=True)


def _progress() -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
