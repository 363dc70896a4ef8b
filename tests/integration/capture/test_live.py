# SPDX-License-Identifier: AGPL-3.0-or-later
"""Live cameras over the network: MPEG-TS on a TCP socket, as an encoder box sends it."""

import contextlib
import socket
import threading
import time
from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.capture.ring import PacketRing
from pipeline.capture.sources import LiveSource
from pipeline.capture.window import Capture
from pipeline.errors import CaptureError

SIZE_PX = (160, 96)
WINDOW_NS = 100_000_000


class Camera:
    """Sends pictures at 10 a second to whoever connects, while it is `on`."""

    def __init__(self, size_px=SIZE_PX, rubbish=False):
        self.size_px, self.rubbish = size_px, rubbish
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.on = threading.Event()
        self.over = threading.Event()
        self.on.set()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"tcp://127.0.0.1:{self.port}"

    def _serve(self):
        while not self.over.is_set():
            if not self.on.wait(0.05):
                continue
            with socket.socket() as server:
                server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                server.bind(("127.0.0.1", self.port))
                server.listen(1)
                server.settimeout(0.2)
                while self.on.is_set() and not self.over.is_set():
                    try:
                        connection, _ = server.accept()
                    except TimeoutError:
                        continue
                    with connection, contextlib.suppress(OSError, av.FFmpegError):
                        self._send(connection)

    def _send(self, connection):
        if self.rubbish:
            while self.on.is_set() and not self.over.is_set():
                connection.sendall(np.random.default_rng(0).bytes(4000))
                time.sleep(0.02)
            return

        class Wire:
            def write(self, data):
                connection.sendall(bytes(data))
                return len(data)

        with av.open(Wire(), "w", format="mpegts", options={"flush_packets": "1"}) as out:
            stream = out.add_stream("libx264", rate=10)
            stream.width, stream.height = self.size_px
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", "g": "5"}
            begin, k = time.monotonic(), 0
            while self.on.is_set() and not self.over.is_set():
                picture = np.full((self.size_px[1], self.size_px[0], 3), 40 + k % 150, np.uint8)
                frame = av.VideoFrame.from_ndarray(picture, "bgr24")
                frame.pts, frame.time_base = k, Fraction(1, 10)
                out.mux(stream.encode(frame))
                k += 1
                time.sleep(max(0.0, begin + k / 10 - time.monotonic()))

    def close(self):
        self.over.set()
        self.thread.join(3)


@pytest.fixture
def cameras():
    made = []

    def make(**settings):
        made.append(Camera(**settings))
        return made[-1]

    yield make
    for camera in made:
        camera.close()


def open_capture(urls, statuses, ring=lambda: None):
    stop = threading.Event()
    sources = {
        name: LiveSource(
            name,
            url,
            SIZE_PX,
            stop,
            open_timeout_s=2,
            read_timeout_s=1,
            first_pause_s=0.1,
            longest_pause_s=0.5,
            ring=ring(),
        )
        for name, url in urls.items()
    }
    return Capture(
        sources, time.time_ns(), WINDOW_NS, live=True, on_status=statuses.append, stop=stop, stall_s=0.8, lateness_s=0.3
    )


def until(windows, done, seconds):
    """Windows up to the first for which `done(window)`; fails after so many seconds."""
    taken, end = [], time.monotonic() + seconds
    for window in windows:
        taken.append(window)
        if done(window):
            return taken
        if time.monotonic() > end:
            break
    raise AssertionError(f"did not happen in {seconds} s; last window had {set(taken[-1].frames) if taken else None}")


def test_a_camera_that_goes_and_comes_back_is_left_behind_and_picked_up(cameras):
    steady, moody = cameras(), cameras()
    statuses = []
    with open_capture({"steady": steady.url, "moody": moody.url}, statuses) as capture:
        windows = iter(capture)
        until(windows, lambda w: set(w.frames) == {"steady", "moody"}, 15)
        statuses.clear()
        moody.on.clear()
        gone = until(windows, lambda w: any(s.camera_id == "moody" and s.state != "live" for s in statuses), 15)
        alone = [next(windows) for _ in range(10)]
        assert sum("steady" in w.frames for w in gone + alone) >= 0.7 * len(gone + alone)
        assert not any("moody" in w.frames for w in alone)
        moody.on.set()
        until(windows, lambda w: set(w.frames) == {"steady", "moody"}, 15)
    states = [s.state for s in statuses if s.camera_id == "moody"]
    assert states[-1] == "live" and set(states[:-1]) & {"stalled", "broken"}
    assert not [s for s in statuses if s.camera_id == "moody" and not s.reason]


def test_capture_times_are_on_the_stores_clock(cameras):
    camera, statuses = cameras(), []
    with open_capture({"cam": camera.url}, statuses) as capture:
        windows = iter(capture)
        until(windows, lambda w: w.frames, 15)
        frames = [w.frames["cam"] for w in (next(windows) for _ in range(12)) if w.frames]
    lag_s = (time.time_ns() - frames[-1].captured_at_ns) / 1e9
    assert 0 <= lag_s < 2
    gaps = np.diff([f.captured_at_ns for f in frames]) / 1e9
    assert np.median(gaps) == pytest.approx(0.1, abs=0.03)


def test_what_a_camera_sent_can_be_looked_back_at(cameras):
    camera, statuses = cameras(), []
    with open_capture({"cam": camera.url}, statuses, ring=lambda: PacketRing(30)) as capture:
        windows = iter(capture)
        until(windows, lambda w: w.frames, 15)
        shown = [w.frames["cam"] for w in (next(windows) for _ in range(20)) if w.frames]
        again = {f.captured_at_ns: f for f in capture.between("cam", shown[3].captured_at_ns, shown[-2].captured_at_ns)}
    assert [f.captured_at_ns for f in shown[3:-1]] == [t for t in again if t in {f.captured_at_ns for f in shown}]
    assert all(np.array_equal(f.image, again[f.captured_at_ns].image) for f in shown[3:-1])
    with open_capture({"cam": camera.url}, statuses) as capture, pytest.raises(CaptureError, match="nothing is kept"):
        list(capture.between("cam", 0, time.time_ns()))


@pytest.mark.parametrize(
    ("settings", "says"),
    [({"size_px": (320, 192)}, "pictures of 320x192, but the layout says 160x96"), ({"rubbish": True}, "")],
)
def test_a_camera_that_sends_something_else_does_not_hold_up_the_rest(cameras, settings, says):
    good, bad = cameras(), cameras(**settings)
    statuses = []
    with open_capture({"good": good.url, "bad": bad.url}, statuses) as capture:
        windows = iter(capture)
        until(windows, lambda w: any(s.camera_id == "bad" and s.state == "broken" for s in statuses), 25)
        until(windows, lambda w: "good" in w.frames, 5)
        rest = [next(windows) for _ in range(10)]
    assert sum("good" in w.frames for w in rest) >= 7
    assert not any("bad" in w.frames for w in rest)
    assert any(s.reason and says in s.reason for s in statuses if s.camera_id == "bad" and s.state == "broken")
