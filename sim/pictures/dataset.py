# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writes training pictures to disk as Ultralytics reads them: `images/`, `labels/` and `data.yaml`."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty
from typing import Literal

import cv2
import numpy as np
import yaml

from pipeline.errors import OutputError
from sim.pictures.labels import FLIP
from sim.processes import end_with_parent

Kind = Literal["people", "products"]
KINDS: tuple[Kind, ...] = ("people", "products")


def make_dataset(
    kind: Kind,
    out: Path,
    count: int,
    seed: int = 0,
    processes: int = 2,
    validation_share: float = 0.06,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Draw `count` pictures into a folder and return its `data.yaml`.

    The same arguments give the same pictures. The last `validation_share` of every process's pictures are for
    validation: other rooms and other people than the rest. `progress` is called with how many are done.
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {KINDS}, got {kind!r}")
    try:
        for split in ("train", "val"):
            (out / "images" / split).mkdir(parents=True, exist_ok=True)
            (out / "labels" / split).mkdir(parents=True, exist_ok=True)
        (out / "data.yaml").write_text(yaml.safe_dump(_description(kind, out), sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{out}: cannot write the data set: {error.strerror}") from None
    shares = [count // processes + (i < count % processes) for i in range(processes)]
    context = multiprocessing.get_context("spawn")  # an open GL context does not survive a fork
    done: multiprocessing.Queue = context.Queue()
    workers = [
        context.Process(target=_work, args=(kind, out, seed, i, share, validation_share, done), daemon=True)
        for i, share in enumerate(shares)
    ]
    for worker in workers:
        worker.start()
    finished = 0
    while finished < count:
        try:
            message = done.get(timeout=1.0)
        except Empty:
            if any(w.exitcode not in (0, None) for w in workers):
                raise OutputError(f"{out}: a drawing process ended early; its message is above") from None
            continue
        if isinstance(message, str):
            raise OutputError(f"{out}: {message}")
        finished += message
        if progress is not None:
            progress(finished)
    for worker in workers:
        worker.join()
    return out / "data.yaml"


def _work(
    kind: Kind,
    out: Path,
    seed: int,
    index: int,
    count: int,
    validation_share: float,
    done: multiprocessing.Queue,
) -> None:
    end_with_parent()
    train = round(count * (1 - validation_share))
    pictures = iterate(kind, np.random.SeedSequence([seed, index]).generate_state(1)[0].item())
    for k in range(count):
        picture, lines = next(pictures)
        split, name = ("train" if k < train else "val"), f"{index}-{k:05d}"
        try:
            encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 93])[1]
            (out / "images" / split / f"{name}.jpg").write_bytes(encoded.tobytes())
            (out / "labels" / split / f"{name}.txt").write_text("".join(line + "\n" for line in lines))
        except OSError as error:
            done.put(f"cannot write {name}: {error.strerror}")
            return
        done.put(1)


def iterate(kind: Kind, seed: int) -> Iterator[tuple[np.ndarray, list[str]]]:
    """Pictures and the lines of their label files, without end."""
    if kind == "people":
        from sim.pictures.labels import pose_line
        from sim.pictures.people import SIZE_PX, people_pictures

        for picture, labels in people_pictures(seed):
            yield picture, [pose_line(label, SIZE_PX) for label in labels]
    else:
        from sim.pictures.products import product_crops

        yield from product_crops(seed)


def _description(kind: Kind, out: Path) -> dict:
    base = {"path": str(out.resolve()), "train": "images/train", "val": "images/val"}
    if kind == "people":
        return base | {"kpt_shape": [17, 3], "flip_idx": FLIP, "names": {0: "person"}}
    from calibration.catalogue import load_catalogue
    from sim.pictures.shop import STORE

    return base | {"names": dict(enumerate(load_catalogue(STORE / "catalogue.yaml").gtins))}
