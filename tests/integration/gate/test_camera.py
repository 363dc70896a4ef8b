# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout gate camera` when its pictures end."""

import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import CaptureError

NANOSTORE = Path(__file__).parents[3] / "sim" / "stores" / "nanostore"


@pytest.fixture
def store(tmp_path):
    shutil.copytree(NANOSTORE, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def video(tmp_path):
    path = tmp_path / "video.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (160, 120))
    for grey in (40, 80, 120):
        writer.write(np.full((120, 160, 3), grey, np.uint8))
    writer.release()
    return path


@pytest.fixture
def stream(video):
    """The same pictures over a connection that ends after them."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(video.parent)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{video.name}"
    server.shutdown()
    server.server_close()


def test_a_stream_that_stops_is_an_error(store, stream):
    done = CliRunner().invoke(app, ["gate", "camera", str(store), "gate", stream])
    assert isinstance(done.exception, CaptureError) and f"{stream} gives no more pictures" in str(done.exception)


def test_a_file_just_ends(store, video):
    for url in (str(video), f"file://{video}"):
        assert CliRunner().invoke(app, ["gate", "camera", str(store), "gate", url]).exit_code == 0
