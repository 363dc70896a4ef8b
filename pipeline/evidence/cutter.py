# SPDX-License-Identifier: AGPL-3.0-or-later
"""Cutting the clips and stills of one shelf event, and storing them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

import cv2
import numpy as np

from calibration.layout import StoreLayout
from pipeline.errors import CaptureError, EvidenceError
from pipeline.evidence.clip import Clip, Kind, clip_id_of
from pipeline.evidence.cover import Cover, IsMine
from pipeline.evidence.faces import cameras_for, cut_face, face_of
from pipeline.evidence.film import FilmWriter
from pipeline.evidence.path import NS, Somebody, grown
from pipeline.evidence.people import People
from pipeline.evidence.pixels import blur, planes_of, to_bgr
from pipeline.evidence.settings import EvidenceSettings
from pipeline.evidence.store import EvidenceStore
from pipeline.evidence.whose import Whose
from pipeline.messages import Frame, ShelfEvent
from pipeline.reasons import NO_CAMERA_THERE, NO_PICTURE_THEN

_STILL_REACH_NS = (NS // 5, NS)
"""A still is taken from the frame nearest to its time, at most so far away; most are found within the first."""


class Footage(Protocol):
    """Decoded pictures of a camera between two instants, in order, as far as there are any."""

    def between(self, camera_id: str, t0_ns: int, t1_ns: int) -> Iterator[Frame]: ...


class Cutter:
    """Makes everything that is kept of an event. May be used from several threads."""

    def __init__(
        self, layout: StoreLayout, footage: Footage, people: People, whose: Whose, store: EvidenceStore,
        settings: EvidenceSettings,
    ) -> None:  # fmt: skip
        self._layout, self._footage, self._people = layout, footage, people
        self._whose, self._store, self._settings = whose, store, settings

    def span_ns(self, event: ShelfEvent) -> tuple[int, int]:
        """From when to when a clip of the event shows."""
        s = self._settings
        t0, t1 = event.t0_ns - round(s.before_s * NS), event.t1_ns + round(s.after_s * NS)
        longest = round(s.longest_s * NS)
        if t1 - t0 > longest:
            t0 = min(max(event.at_ns - longest // 2, t0), t1 - longest)
            t1 = t0 + longest
        return t0, t1

    def cut(self, event: ShelfEvent) -> list[Clip]:
        """A film for each camera that saw the event, and the shelf before and after. What cannot be made or stored is a
        row that says why; `StateError` when not even that can be written."""
        is_mine = self._whose.is_mine(self._whose.subject(event), event)
        cameras = self.cameras(event)
        if not cameras:
            return [self._store.put_without(self._blank(event, "clip", ""), "missing", NO_CAMERA_THERE)]
        made = [self._film(self._blank(event, "clip", camera, rank), is_mine) for rank, camera in enumerate(cameras)]
        return made + [
            self._still(self._blank(event, kind, cameras[0]), event, is_mine) for kind in ("before", "after")
        ]

    def give_up(self, event: ShelfEvent, reason: str) -> None:
        """Only rows that say why there is nothing."""
        for rank, camera_id in enumerate(self.cameras(event) or [""]):
            self._store.put_without(self._blank(event, "clip", camera_id, rank), "missing", reason)

    def cameras(self, event: ShelfEvent) -> list[str]:
        """Those that saw it, else those that see the place best by the layout."""
        seen = [c for c in dict.fromkeys(ref.camera_id for ref in event.evidence) if c in self._layout.camera_by_id]
        return (seen or cameras_for(self._layout, event.gondola_id, event.slot_id))[: self._settings.max_cameras]

    # --- inside ---

    def _blank(self, event: ShelfEvent, kind: Kind, camera_id: str, rank: int = 0) -> Clip:
        """A clip of which nothing is made yet. A still has one id whatever the camera."""
        clip_id = clip_id_of(event.event_id, kind, camera_id if kind == "clip" else "")
        t0, t1 = self.span_ns(event)
        return Clip(
            clip_id, event.store_id, event.event_id, kind, camera_id, self._whose.subject(event),
            tuple(self._whose.visits(event)), t0, t1, rank=rank,
        )  # fmt: skip

    def _film(self, clip: Clip, is_mine: IsMine) -> Clip:
        s = self._settings
        fps = next(spec.fps for spec in self._layout.cameras if spec.id == clip.camera_id)
        cover = self._cover(clip.camera_id, clip.t0_ns, clip.t1_ns, is_mine)
        film, overlay = None, []
        try:
            for frame in self._footage.between(clip.camera_id, clip.t0_ns, clip.t1_ns):
                people = cover.at(frame.captured_at_ns)
                planes, scale = planes_of(frame, s.max_side_px)
                self._hide(planes, people, scale)
                if film is None:
                    film = FilmWriter(planes[0].shape[::-1], fps, s.crf, s.key_every)
                overlay.append(_drawn(people, scale, frame.captured_at_ns, film.add(planes, frame.captured_at_ns)))
                clip = replace(clip, size_px=planes[0].shape[::-1])
            if film is None:
                return self._store.put_without(clip, "missing", NO_PICTURE_THEN.format(camera=clip.camera_id))
            content = film.finish()
            clip = replace(clip, fps=fps, frames=len(overlay), t0_ns=overlay[0]["at_ns"], t1_ns=overlay[-1]["at_ns"])
            about = {"clip_id": clip.clip_id, "size_px": list(clip.size_px), "t0_ns": clip.t0_ns, "frames": overlay}
            return self._store.put(clip, content, about)
        except (CaptureError, EvidenceError) as error:
            return self._store.put_without(clip, "missing", str(error))
        finally:
            if film is not None:
                film.close()

    def _still(self, clip: Clip, event: ShelfEvent, is_mine: IsMine) -> Clip:
        """The shelf when nobody was before it, as the shelf stage saw it; else at the clip's ends."""
        ref = next((r for r in event.evidence if r.camera_id == clip.camera_id), None)
        if ref is not None and ref.box_xyxy_px is not None:
            at_ns = ref.t0_ns if clip.kind == "before" else ref.t1_ns
        else:
            at_ns = clip.t0_ns if clip.kind == "before" else clip.t1_ns
        try:
            frame = self._nearest(clip.camera_id, at_ns)
            if frame is None:
                return self._store.put_without(clip, "missing", NO_PICTURE_THEN.format(camera=clip.camera_id))
            cover = self._cover(clip.camera_id, at_ns, at_ns, is_mine)
            planes, scale = planes_of(frame, 1 << 16)
            self._hide(planes, cover.at(frame.captured_at_ns), scale)
            face = face_of(self._layout, event.gondola_id, event.slot_id)
            picture = cut_face(to_bgr(planes), self._layout.camera_by_id[clip.camera_id], face)
            _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
            clip = replace(
                clip, size_px=picture.shape[1::-1], frames=1, t0_ns=frame.captured_at_ns, t1_ns=frame.captured_at_ns
            )
            return self._store.put(clip, data.tobytes())
        except (CaptureError, EvidenceError) as error:
            return self._store.put_without(clip, "missing", str(error))

    def _nearest(self, camera_id: str, at_ns: int) -> Frame | None:
        for reach_ns in _STILL_REACH_NS:
            frames = self._footage.between(camera_id, at_ns - reach_ns, at_ns + reach_ns)
            if frame := min(frames, key=lambda f: abs(f.captured_at_ns - at_ns), default=None):
                return frame
        return None

    def _cover(self, camera_id: str, t0_ns: int, t1_ns: int, is_mine: IsMine) -> Cover:
        lost_ns = round(self._settings.lost_s * NS)
        since, until = t0_ns - lost_ns - NS, t1_ns + lost_ns + NS
        return Cover(
            self._layout.camera_by_id[camera_id], self._layout.shelves, self._people.looks(camera_id, since, until),
            self._people.floor(since, until), is_mine, self._settings.lost_s,
        )  # fmt: skip

    def _hide(self, planes: list[np.ndarray], people: list[Somebody], scale: float) -> None:
        others = [somebody for somebody in people if not somebody.mine]
        margin = self._settings.box_margin
        blur(
            planes,
            [tuple(grown(somebody.xyxy_px * scale, margin)) for somebody in others],
            [tuple(grown(somebody.head_px * scale, margin)) for somebody in others],
        )


def _drawn(people: list[Somebody], scale: float, at_ns: int, t_s: float) -> dict[str, Any]:
    """One frame of an overlay."""
    known = [somebody for somebody in people if somebody.known]
    hands = [
        {"xy_px": [round(float(v) * scale, 1) for v in wrist], "mine": somebody.mine}
        for somebody in known
        for wrist in somebody.wrists_px
        if not np.isnan(wrist).any()
    ]
    return {
        "at_ns": at_ns,
        "t_s": round(t_s, 6),
        "people": [
            {"xyxy_px": [round(float(v) * scale, 1) for v in s.xyxy_px], "mine": s.mine, "seen": s.seen} for s in known
        ],
        "hands": hands,
    }
