# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout gate ...`: serving gates, their readers, cards and badges, and a camera at a gate."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The gates of a store.", no_args_is_help=True)

Store = Annotated[Path, typer.Argument(metavar="STORE", help="A store's folder: layout.yaml, entry.yaml.")]


@app.command()
def serve(
    store: Store,
    port: Annotated[int, typer.Option("--port")] = 8080,
    host: Annotated[str, typer.Option("--host", help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Answer the gates' readers: POST /gates/GATE/tap; health, readiness and metrics beside it."""
    from pipeline.web.serve import serve_store

    serve_store(store, host, port)


@app.command()
def reader(
    store: Store,
    name: Annotated[str, typer.Argument(help="What the reader is called.")],
    gate: Annotated[str | None, typer.Option("--gate", help="Its gate; none for a terminal of staff.")] = None,
    revoke: Annotated[bool, typer.Option("--revoke", help="Its keys stop working.")] = False,
) -> None:
    """Give a reader a key for the API (printed this once), or revoke it."""
    from pipeline.errors import LayoutError

    layout, database, readers = _open(store)
    try:
        if gate is not None and gate not in {g.id for g in layout.gates}:
            raise LayoutError(f"{store}: no gate {gate!r}; there are {', '.join(g.id for g in layout.gates)}")
        if revoke:
            readers.revoke(name, time.time_ns())
            print(f"{name}: revoked")
        else:
            print(readers.add(name, gate, time.time_ns()))
    finally:
        database.close()


@app.command()
def token(
    store: Store,
    kind: Annotated[str, typer.Argument(help="card or badge")],
    holder: Annotated[str, typer.Argument(help="The shopper's or the member of staff's id.")],
    text: Annotated[str, typer.Argument(metavar="TOKEN", help="What the reader sends for it.")],
    days: Annotated[float | None, typer.Option("--days", help="Good for so long; by default for ever.")] = None,
) -> None:
    """Make a card or a staff badge known at the gates; only its digest is kept."""
    from pipeline.errors import PassKeyError

    if kind not in ("card", "badge") or not 8 <= len(text) <= 256:
        raise PassKeyError(f"expected card or badge and a token of 8 to 256 characters, got {kind!r}, {len(text)}")
    _, database, readers = _open(store)
    try:
        until_ns = None if days is None else time.time_ns() + round(days * 86_400e9)
        readers.register(kind, text, holder, until_ns)
        print(f"{kind} of {holder}")
    finally:
        database.close()


@app.command()
def camera(
    store: Store,
    gate: Annotated[str, typer.Argument(help="The gate that it looks at.")],
    url: Annotated[str, typer.Argument(help="RTSP or file URL, or a device number.")],
) -> None:
    """Read passes from a camera at a gate, and print what the gate's display says.

    A file ends; a camera that stops giving pictures is an error (exit code 2), for whatever watches over this to start
    it again.
    """
    import cv2

    from pipeline.errors import CaptureError, LayoutError
    from pipeline.gate.codes import CodeWatch
    from pipeline.web.serve import open_desk

    with open_desk(store) as (desk, _, _):
        if gate not in desk.gates:
            raise LayoutError(f"{store}: no gate {gate!r}; there are {', '.join(sorted(desk.gates))}")
        video, watch = cv2.VideoCapture(int(url) if url.isdigit() else url), CodeWatch()
        if not video.isOpened():
            raise CaptureError(f"camera at gate {gate}: {url} cannot be opened")
        try:
            while True:
                ok, picture = video.read()
                if not ok and Path(url.removeprefix("file://")).is_file():
                    break
                if not ok:
                    raise CaptureError(f"camera at gate {gate}: {url} gives no more pictures; is it on?")
                now_ns = time.time_ns()
                for text in watch.update(picture, now_ns):
                    answer = desk.tap(gate, "pass", text, now_ns)
                    print(f"{'open' if answer.open else 'shut'}  {answer.display}", flush=True)
        finally:
            video.release()


def _open(store: Path):
    from calibration.layout import load_layout
    from pipeline.gate.entry_settings import load_entry_settings
    from pipeline.gate.readers import Readers
    from pipeline.state import Database

    layout = load_layout(store / "layout.yaml")
    database = Database(load_entry_settings(store).state_url)
    return layout, database, Readers(database, layout.store_id)
