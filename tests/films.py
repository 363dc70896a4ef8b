# SPDX-License-Identifier: AGPL-3.0-or-later
"""Small real films of an event for tests: H.264 with capture times, a counter in each frame, and their overlay."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import cv2
import numpy as np

from pipeline.evidence.clip import Clip, clip_id_of
from pipeline.evidence.tables import items
from pipeline.messages import ShelfEvent
from pipeline.site import Site

SIZE_PX = (640, 360)
NS = 1_000_000_000


def film(times_s: list[float], colour: tuple[int, int, int]) -> bytes:
    """mp4 with a frame at each of these times (the first is 0)."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=10, options={"preset": "veryfast", "g": "5"})
        stream.width, stream.height, stream.pix_fmt = *SIZE_PX, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 90_000)
        for number, at_s in enumerate(times_s):
            image = np.full((SIZE_PX[1], SIZE_PX[0], 3), colour, np.uint8)
            cv2.putText(image, str(number), (220, 240), cv2.FONT_HERSHEY_SIMPLEX, 5, (255, 255, 255), 12)
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts, frame.time_base = round(at_s * 90_000), Fraction(1, 90_000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file.getvalue()


def keep_films(site: Site, event: ShelfEvent, cameras: dict[str, float], visit_id: str) -> list[Clip]:
    """Films of an event in the site's evidence, ten frames a second from two seconds before it to two after; `cameras`:
    id -> by how many seconds it began later. Also the shelf before and after. They
    replace what the run has kept."""
    site.database.run(lambda db: db.execute(items.delete().where(items.c.event_id == event.event_id)))
    kept = []
    for rank, (camera_id, late_s) in enumerate(cameras.items()):
        t0_ns = event.at_ns - 2 * NS + round(late_s * NS)
        times_s = [i / 10 for i in range(41)]
        frames = [_drawn(t0_ns, number, at_s) for number, at_s in enumerate(times_s)]
        clip = Clip(
            clip_id_of(event.event_id, "clip", camera_id), site.store_id, event.event_id, "clip", camera_id, visit_id,
            (visit_id,), t0_ns, t0_ns + 4 * NS, SIZE_PX, 10.0, len(times_s), rank=rank,
        )  # fmt: skip
        overlay = {"clip_id": clip.clip_id, "size_px": list(SIZE_PX), "t0_ns": t0_ns, "frames": frames}
        kept.append(site.evidence.put(clip, film(times_s, (90, 60 + 50 * rank, 40)), overlay))
    for when in ("before", "after"):
        image = np.full((240, 320, 3), 170 if when == "before" else 120, np.uint8)
        content = cv2.imencode(".jpg", image)[1].tobytes()
        still = Clip(
            clip_id_of(event.event_id, when), site.store_id, event.event_id, when, next(iter(cameras)), visit_id,
            (visit_id,), event.at_ns, event.at_ns, (320, 240),
        )  # fmt: skip
        site.evidence.put(still, content)
    return kept


def _drawn(t0_ns: int, number: int, at_s: float) -> dict:
    """What the overlay says of one frame: somebody who walks to the right."""
    person = {"xyxy_px": [250 + 10 * number, 60, 400 + 10 * number, 340], "mine": True, "seen": True}
    hand = {"xy_px": [260 + 10 * number, 180], "mine": True}
    return {"at_ns": t0_ns + round(at_s * NS), "t_s": at_s, "people": [person], "hands": [hand]}
