# SPDX-License-Identifier: AGPL-3.0-or-later
"""What goes wrong while a shop runs: full disks, broken videos, wrong files. One line, and nothing half-written."""

import contextlib
import errno
import itertools
import json
import resource
import signal
import threading
import time

import av
import pytest

from pipeline import run_files
from pipeline.errors import CaptureError, OutputError, RecordingError, WalkoutError, WeightsError
from pipeline.film import MosaicWriter
from pipeline.messages import FrameSet
from pipeline.shop import Shop, load_stages
from tests.scripted_shop import START_NS, S, stages, write_recording
from tests.unit.test_runtime import receipts, recording, run

__all__ = ["recording"]


def nothing_half_written(out):
    for path in out.rglob("*"):
        assert ".part" not in path.name and path.suffix != ".tmp", path.name
    for page in out.glob("receipts/*.html"):
        assert page.read_text(encoding="utf-8").rstrip().endswith("</html>"), page.name
    if (out / "receipts.json").exists():
        receipts(out)
    assert not (out / "run.json").exists()


def fill_disk(monkeypatch, full):
    """A write of the run for which `full(path, number)` says so meets ENOSPC. The names written, in their order."""
    real, names = run_files.writing, []

    @contextlib.contextmanager
    def writing(path):
        names.append(path.name)
        with real(path):
            if full(path, len(names)):
                raise OSError(errno.ENOSPC, "No space left on device")
            yield

    monkeypatch.setattr(run_files, "writing", writing)
    return names


@pytest.mark.parametrize(
    "name", ["receipts.json", "payments.json", "events.jsonl", "tracks.csv", "detections.npz", "run.json"]
)
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(recording, tmp_path, monkeypatch, name):
    fill_disk(monkeypatch, lambda path, number: path.name == name)
    with pytest.raises(OutputError, match=rf"{name}: cannot be written: No space left on device; free some space"):
        run(recording, tmp_path)
    nothing_half_written(tmp_path)
    assert not (tmp_path / name).exists()


def test_how_fast_a_run_is_does_not_change_what_it_writes_and_when(recording, tmp_path, monkeypatch):
    def slow(shop):
        made = stages()(shop)
        update = made.perception.update
        monkeypatch.setattr(made.perception, "update", lambda frames: (time.sleep(0.015), update(frames))[1])
        return made

    names = []
    for make in (stages(), slow):
        with monkeypatch.context() as patch:
            names.append(fill_disk(patch, lambda path, number: False))
            run(recording, tmp_path / str(len(names)) / "out", make=make)
    assert names[0] == names[1]


@pytest.mark.slow
def test_a_disk_that_fills_at_any_moment_leaves_nothing_half_written(recording, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        names = fill_disk(patch, lambda path, number: False)
        run(recording, tmp_path / "undisturbed")
    total = len(names)
    rare = [n for n, name in enumerate(names, 1) if name not in ("events.jsonl", "tracks.csv")]
    assert sum(names[n - 1] in ("receipts.json", "payments.json") for n in rare) > 2  # receipts while the shop is open
    for number in sorted({*range(1, 12), *rare, *range(total - 8, total + 1)}):
        with monkeypatch.context() as patch:
            fill_disk(patch, lambda path, n, first=number: n >= first)
            with pytest.raises(OutputError) as error:
                run(recording, tmp_path / "out", video=number % 2 == 0)
        assert "\n" not in str(error.value)
        if (tmp_path / "out").exists():
            nothing_half_written(tmp_path / "out")


@contextlib.contextmanager
def file_size_limit(limit_bytes):
    """No file of this process may grow beyond `limit_bytes`: writes fail with EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize(("limit_bytes", "video"), [(0, True), (2_000, False), (20_000, True), (200_000, True)])
def test_files_that_may_not_grow_are_one_line(recording, tmp_path, limit_bytes, video):
    """A real limit of the system: writes beyond it fail with EFBIG, in our files and in SQLite's alike."""
    try:
        with file_size_limit(limit_bytes), pytest.raises(WalkoutError) as error:
            run(recording, tmp_path / "out", video=video)
    except pytest.fail.Exception:
        assert limit_bytes == 200_000  # the largest files of this run fit
        return
    assert "\n" not in str(error.value)
    nothing_half_written(tmp_path / "out")


def test_a_failed_run_leaves_no_results_of_an_earlier_one(recording, tmp_path, monkeypatch):
    run(recording, tmp_path)

    def broken(*_args, **_kwargs):
        raise OutputError("the disk is full")

    monkeypatch.setattr(run_files.RunFolder, "add_tracks", broken)
    with pytest.raises(OutputError):
        run(recording, tmp_path)
    assert not (tmp_path / "receipts.json").exists() and not (tmp_path / "run.json").exists()


def test_a_folder_that_cannot_be_made_is_one_line(recording, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        run(recording, tmp_path / "file" / "out")


def test_neither_recording_nor_store(tmp_path):
    with pytest.raises(RecordingError, match="neither a recording"):
        run(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_recording_of_detections_is_one_line_that_says_what_it_is_for(tmp_path):
    recording = write_recording(tmp_path / "rec")
    manifest = json.loads((recording / "manifest.json").read_text())
    (recording / "detections.npz").write_bytes(b"PK")
    for camera in manifest["cameras"]:
        camera["file"] = "detections.npz"
    (recording / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RecordingError, match=r"holds detections, no videos.*walkout track --detections .*rec/mot"):
        run(recording, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_truncated_video_is_reported_and_the_run_goes_on(tmp_path):
    recording = write_recording(tmp_path / "rec")
    video = recording / "video" / "cam1.mp4"
    frames_now = _reencode_shorter(video)
    summary = run(recording, tmp_path / "out")
    assert summary.cameras["cam1"]["state"] == "broken"
    assert f"{frames_now} of 130 frames" in summary.cameras["cam1"]["reason"]
    assert receipts(tmp_path / "out") == []


def _reencode_shorter(path):
    """Keep the first half of the packets: a recorder that was switched off."""
    cut = path.with_suffix(".cut.mp4")
    with av.open(str(path)) as source, av.open(str(cut), "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0])
        for packet in itertools.islice(source.demux(video=0), 60):
            packet.stream = stream
            out.mux(packet)
    cut.replace(path)
    return 60


def test_a_video_that_is_no_video_is_one_line(tmp_path):
    recording = write_recording(tmp_path / "rec")
    (recording / "video" / "cam1.mp4").write_bytes(b"not a video" * 100)
    with pytest.raises(CaptureError, match="cam1"):
        run(recording, tmp_path / "out")
    nothing_half_written(tmp_path / "out")


def test_product_weights_for_another_catalogue_are_one_line(recording, monkeypatch):
    class Network:
        def __init__(self, weights):
            self.weights = type("W", (), {"path": recording / "manifest.json"})
            self.names = ("1", "2")

    monkeypatch.setattr("models.backend.PoseNetwork", Network)
    monkeypatch.setattr("models.backend.ProductNetwork", Network)
    shop = Shop.open(recording)
    with pytest.raises(WeightsError, match="2 classes are not the catalogue's 2 products"):
        load_stages(shop, shop.settings)


@pytest.mark.parametrize("limit_bytes", [0, 100, 3_000])
def test_a_film_that_cannot_be_finished_is_an_error_and_not_a_wait(recording, tmp_path, limit_bytes):
    """Small films are buffered: the disk is met only when the file is closed, after the last picture."""
    layout = Shop.open(recording).layout
    failed = []

    def write():
        try:
            with MosaicWriter(tmp_path / "film.mp4", layout, ["cam1"], fps=10) as film:
                for k in range(3):
                    film.add(FrameSet(k, START_NS + k * S, S, {}), {}, [])
        except OutputError as error:
            failed.append(str(error))

    with file_size_limit(limit_bytes):
        writer = threading.Thread(target=write, daemon=True)
        writer.start()
        writer.join(30)
    assert not writer.is_alive()
    assert len(failed) == 1 and "film.mp4: the film cannot be written" in failed[0]
    assert list(tmp_path.iterdir()) == []
