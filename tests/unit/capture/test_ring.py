# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is kept of a live camera: its own packets, a bounded number of seconds, decoded again to look back."""

import av
import numpy as np
import pytest

from pipeline.capture.ring import PacketRing
from pipeline.capture.sources import FileSource
from tests.unit.capture.conftest import SIZE_PX, START_NS, write_video

S = 10**9


def feed(ring, path, start_ns=START_NS, decode=True):
    """As a live source does: every packet, then the capture time of every picture that came of it."""
    brightness = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        ring.connected(stream)
        for packet in container.demux(stream):
            ring.add(packet)
            for picture in packet.decode() if decode else ():
                at_ns = start_ns + round(picture.pts * picture.time_base * S)
                ring.decoded(picture.pts, at_ns)
                brightness[at_ns] = picture.to_ndarray(format="gray").mean()
    return brightness


@pytest.fixture
def film(tmp_path):
    return write_video(tmp_path / "cam.mp4", [k / 10 for k in range(60)])


def test_it_gives_back_exactly_what_was_captured_between_two_instants(film):
    ring = PacketRing(60)
    seen = feed(ring, film)
    got = {t: p.to_ndarray(format="gray").mean() for t, p in ring.between(START_NS + 2 * S, START_NS + 3 * S)}
    assert list(got) == [t for t in sorted(seen) if START_NS + 2 * S <= t <= START_NS + 3 * S]
    assert len(got) == 11 and all(abs(got[t] - seen[t]) < 0.01 for t in got)
    assert ring.bytes < film.stat().st_size


def test_a_bounded_number_of_seconds_is_kept_and_it_begins_with_a_key_frame(film):
    ring = PacketRing(2)
    feed(ring, film)
    got = [t for t, _ in ring.between(START_NS, START_NS + 100 * S)]
    assert got[-1] == START_NS + round(5.9 * S)
    assert 2 <= (got[-1] - got[0]) / S <= 2.6  # one group of pictures, half a second here, more than asked for
    assert round((got[0] - START_NS) / S * 10) % 5 == 0
    assert list(ring.between(START_NS, START_NS + S)) == []


def test_memory_is_bounded_too(film):
    ring = PacketRing(600, megabytes=film.stat().st_size / 4e6)
    feed(ring, film)
    assert ring.bytes <= film.stat().st_size / 4
    assert [t for t, _ in ring.between(START_NS, START_NS + 100 * S)][-1] == START_NS + round(5.9 * S)


def test_a_connection_that_was_lost_and_comes_back_is_one_past(film, tmp_path):
    other = write_video(tmp_path / "other.mp4", [k / 10 for k in range(20)])
    ring = PacketRing(60)
    feed(ring, film)
    feed(ring, other, START_NS + 20 * S)
    got = [t for t, _ in ring.between(START_NS + 5 * S, START_NS + 21 * S)]
    assert [round((t - START_NS) / S, 1) for t in got] == [
        *[5 + k / 10 for k in range(10)],
        *[20 + k / 10 for k in range(11)],
    ]


def test_packets_whose_pictures_never_came_are_no_pictures(film):
    ring = PacketRing(60)
    feed(ring, film, decode=False)
    assert list(ring.between(START_NS, START_NS + 100 * S)) == []


def test_a_file_is_its_own_past(film):
    source = FileSource("cam", film, SIZE_PX, START_NS)
    whole = {f.captured_at_ns: f.image for f in source if hasattr(f, "image")}
    got = list(source.between(START_NS + 2 * S, START_NS + 3 * S))
    assert [f.captured_at_ns for f in got] == [t for t in whole if START_NS + 2 * S <= t <= START_NS + 3 * S]
    assert all(np.array_equal(f.image, whole[f.captured_at_ns]) for f in got)
    assert list(source.between(START_NS + 90 * S, START_NS + 91 * S)) == []
    assert [f.captured_at_ns for f in source.between(0, START_NS)] == [START_NS]
