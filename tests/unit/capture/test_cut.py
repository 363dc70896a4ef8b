# SPDX-License-Identifier: AGPL-3.0-or-later
"""A cut has the pictures and times of the recording that it was cut from."""

from fractions import Fraction

import av
import numpy as np
import pytest

from pipeline.capture.cut import cut_recording
from pipeline.capture.recording import Recording
from pipeline.capture.window import capture_recording
from pipeline.errors import RecordingError
from tests.scripted_shop import FPS, START_NS, S, write_recording


def film(path, options, gop, offset_s=0.0):
    """20 s at 10 frames a second in which every picture says which one it is, by its brightness."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", gop
        stream.time_base = stream.codec_context.time_base = Fraction(1, 90_000)
        for k in range(200):
            picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 + k, np.uint8), "bgr24")
            picture.pts, picture.time_base = round((k / FPS + offset_s) * 90_000), Fraction(1, 90_000)
            out.mux(stream.encode(picture))
        out.mux(stream.encode())


def windows(recording):
    with capture_recording(recording) as capture:
        return {
            frame_set.window_start_ns: [
                (frame.captured_at_ns, int(frame.image.mean())) for frame in frame_set.frames.values()
            ]
            for frame_set in capture
        }


@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "2"}], ids=["no B frames", "B frames"])
@pytest.mark.parametrize("gop", [10, 70], ids=["key frame a second", "few key frames"])
@pytest.mark.parametrize("offset_s", [0.0, 0.0213])
def test_the_same_pictures_at_the_same_times(tmp_path, options, gop, offset_s):
    whole = Recording.open(write_recording(tmp_path / "rec", duration_s=20.0))
    film(whole.videos[0].path, options, gop, offset_s)
    t0, t1 = START_NS + round(8.2 * S), START_NS + round(12.4 * S)
    cut = cut_recording(whole, t0, t1, tmp_path / "cut")
    assert START_NS <= cut.start_ns <= t0 and not (tmp_path / "cut" / "truth").exists()
    assert (cut.start_ns - START_NS) % (S // FPS) == 0
    before, after = windows(whole), windows(cut)
    wanted = {at: frames for at, frames in before.items() if t0 <= at <= t1 - S // FPS}
    assert len(wanted) > 38
    assert all(after[at] == frames for at, frames in wanted.items())
    assert max(after) <= t1 + S
    assert cut.videos[0].frames >= len(wanted)


def test_taps_of_the_part_and_the_store_go_along(tmp_path):
    whole = Recording.open(write_recording(tmp_path / "rec"))
    (whole.path / "prices.yaml").write_text("currency: EUR\nprices: []\n")
    cut = cut_recording(whole, START_NS, START_NS + 2 * S, tmp_path / "cut")
    assert [t.shopper_id for t in cut.taps] == ["anna"]
    assert (tmp_path / "cut" / "prices.yaml").exists()
    assert cut.layout.store_id == whole.layout.store_id


def test_what_was_not_recorded_cannot_be_cut(tmp_path):
    whole = Recording.open(write_recording(tmp_path / "rec"))
    for t0, t1 in ((-20, -10), (60, 70), (5, 5)):
        with pytest.raises(RecordingError, match="nothing was recorded"):
            cut_recording(whole, START_NS + t0 * S, START_NS + t1 * S, tmp_path / "cut")
    whole.videos[0].path.write_bytes(b"no film")
    with pytest.raises(RecordingError, match="cannot be cut"):
        cut_recording(whole, START_NS, START_NS + S, tmp_path / "cut")
