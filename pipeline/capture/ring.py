# SPDX-License-Identifier: AGPL-3.0-or-later
"""The last seconds of a live camera: its packets as they came, cut on key frames, with each picture's capture time."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import av

NS = 1_000_000_000


@dataclass(frozen=True)
class Coding:
    """What a decoder must know before the first packet; `serial` differs for each connection."""

    serial: int
    codec: str
    extradata: bytes | None
    time_base: Fraction


@dataclass
class _Packet:
    coding: Coding
    pts: int | None
    dts: int | None
    key: bool
    data: bytes
    at_ns: int | None = None
    """Capture time of its picture; None until it has been decoded, and for ever where it could not be."""


class PacketRing:
    """At most `seconds` and `megabytes` of one camera's packets; whole groups of pictures are dropped from the front.

    One thread adds, any other may read.
    """

    def __init__(self, seconds: float, megabytes: float = 64.0) -> None:
        self._keep_ns = round(seconds * NS)
        self._keep_bytes = round(megabytes * 1e6)
        self._packets: deque[_Packet] = deque()
        self._waiting: dict[int | None, _Packet] = {}
        self._bytes = 0
        self._coding: Coding | None = None
        self._lock = threading.Lock()

    @property
    def bytes(self) -> int:
        """What the packets take."""
        return self._bytes

    def connected(self, stream) -> None:
        """What follows comes from this PyAV video stream."""
        context = stream.codec_context
        serial = self._coding.serial + 1 if self._coding else 0
        extradata = bytes(context.extradata) if context.extradata else None
        with self._lock:
            self._coding = Coding(serial, context.name, extradata, stream.time_base)
            self._waiting.clear()

    def add(self, packet) -> None:
        """A packet as it came, before it is decoded."""
        if self._coding is None or not packet.size:
            return
        kept = _Packet(self._coding, packet.pts, packet.dts, bool(packet.is_keyframe), bytes(packet))
        with self._lock:
            self._packets.append(kept)
            self._waiting[packet.pts] = kept
            self._bytes += len(kept.data)
            while len(self._waiting) > 64:  # of packets that gave no picture
                del self._waiting[next(iter(self._waiting))]
            while self._bytes > self._keep_bytes and self._drop_group():
                pass

    def decoded(self, pts: int | None, at_ns: int) -> None:
        """The picture with these stamps was captured at `at_ns`."""
        with self._lock:
            if (packet := self._waiting.pop(pts, None)) is not None:
                packet.at_ns = at_ns
            while (second := self._second_group_ns()) is not None and second < at_ns - self._keep_ns:
                self._drop_group()

    def between(self, t0_ns: int, t1_ns: int) -> Iterator[tuple[int, av.VideoFrame]]:
        """Capture time and picture of what was captured from `t0_ns` to `t1_ns`, decoded again, in order.

        Pictures that have left the ring, or were damaged, are absent.
        """
        chosen = self._choose(t0_ns, t1_ns)
        times = {(p.coding.serial, p.pts): p.at_ns for p in chosen if p.at_ns is not None}
        coding, decoder = None, None
        for packet in [*chosen, None]:
            pictures = []
            if decoder is not None and (packet is None or packet.coding is not coding):
                pictures += _decode(decoder, None)
                yield from _timed(pictures, coding, times, t0_ns, t1_ns)
            if packet is None:
                return
            if packet.coding is not coding:
                coding, decoder = packet.coding, av.CodecContext.create(packet.coding.codec, "r")
                if coding.extradata:
                    decoder.extradata = coding.extradata
            yield from _timed(_decode(decoder, packet), coding, times, t0_ns, t1_ns)

    def _choose(self, t0_ns: int, t1_ns: int) -> list[_Packet]:
        """From the last key frame before `t0_ns` to a little after `t1_ns`: pictures may be stored out of order."""
        with self._lock:
            packets = list(self._packets)
        first, last = 0, len(packets)
        for k, packet in enumerate(packets):
            if packet.at_ns is None:
                continue
            if packet.key and packet.at_ns <= t0_ns:
                first = k
            if packet.at_ns > t1_ns + NS:
                last = k
                break
        return packets[first:last]

    def _second_group_ns(self) -> int | None:
        """Capture time of the second key frame that is kept."""
        keys = 0
        for packet in self._packets:
            keys += packet.key
            if keys == 2:
                return packet.at_ns
        return None

    def _drop_group(self) -> bool:
        """The oldest packets up to the next key frame. False when only the newest group is left."""
        second = next((k for k, p in enumerate(self._packets) if p.key and k), None)
        if second is None:
            return False
        for _ in range(second):
            self._bytes -= len(self._packets.popleft().data)
        return True


def _decode(decoder, packet: _Packet | None) -> list[av.VideoFrame]:
    given = None
    if packet is not None:
        given = av.Packet(packet.data)
        given.pts, given.dts, given.time_base = packet.pts, packet.dts, packet.coding.time_base
    try:
        return list(decoder.decode(given))
    except av.FFmpegError:
        return []


def _timed(pictures, coding: Coding, times, t0_ns: int, t1_ns: int) -> Iterator[tuple[int, av.VideoFrame]]:
    for picture in pictures:
        at_ns = times.get((coding.serial, picture.pts))
        if at_ns is not None and t0_ns <= at_ns <= t1_ns and not picture.is_corrupt:
            yield at_ns, picture
