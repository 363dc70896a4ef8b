# SPDX-License-Identifier: AGPL-3.0-or-later
"""One event on one sheet: each camera's picture of the slot before and after, the hand, and what was made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipeline.errors import OutputError
from pipeline.messages import ShelfEvent
from pipeline.shelf.change import SlotChange
from pipeline.shelf.handpics import HandPicture, HandRecord
from pipeline.shelf.identify import CameraClue, Verdict

_TILE = 200
_TEXT_HEIGHT = 18
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_INK, _PAPER, _MARK = (40, 36, 32), (250, 250, 248), (60, 60, 220)


@dataclass(frozen=True)
class Explanation:
    """What an event was made of: the changes of the cameras that saw one, all clues, and the hand around each reach."""

    event: ShelfEvent
    verdict: Verdict
    changes: tuple[SlotChange, ...]
    clues: tuple[CameraClue, ...]
    hands: tuple[HandRecord, ...]


def draw_sheet(explanation: Explanation, names: Mapping[str, str] | None = None) -> np.ndarray:
    """uint8 (H, W, 3) BGR. `names`: GTIN -> what to call it."""
    event = explanation.event
    rows = [_text_block(_summary(explanation, names or {}), 5 * _TILE)]
    for change in sorted(explanation.changes, key=lambda c: -c.view.px_per_cm):
        seconds = (change.after_ns - change.before_ns) / 1e9
        caption = [
            change.view.camera_id,
            f"{change.view.px_per_cm:.1f} px/cm",
            f"difference {change.difference:.2f}",
            f"{seconds:.1f} s between",
        ]
        tiles = [_slot_tile(change, picture.crop) for picture in (change.before, change.after)]
        fronts = [_fit(change.view.rectify(p.crop, 0.0)) for p in (change.before, change.after)]
        rows.append(np.hstack([_text_block(caption, _TILE, _TILE), *tiles, *fronts]))
    for record in explanation.hands:
        for label, pictures in (("hand before", record.before), ("hand after", record.after)):
            if pictures:
                chosen = [_hand_tile(p) for p in pictures[-4:]]
                blank = [np.full((_TILE, _TILE, 3), _PAPER, np.uint8)] * (4 - len(chosen))
                rows.append(np.hstack([_text_block([label, event.persons[0].value], _TILE, _TILE), *chosen, *blank]))
    return np.vstack(rows)


def write_sheet(explanation: Explanation, folder: Path | str, names: Mapping[str, str] | None = None) -> Path:
    """Draw the sheet to `folder`/EVENT_ID.png; `OutputError` when it cannot be written."""
    path = Path(folder) / f"{explanation.event.event_id}.png"
    done, data = cv2.imencode(".png", draw_sheet(explanation, names))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.tobytes() if done else b"")
    except OSError as error:
        raise OutputError(f"{path}: cannot write the evidence sheet: {error.strerror}") from None
    return path


def _summary(explanation: Explanation, names: Mapping[str, str]) -> list[str]:
    event, verdict = explanation.event, explanation.verdict

    def listed(candidates) -> str:
        return ", ".join(f"{names.get(c.value, c.value)} {c.probability:.2f}" for c in candidates)

    return [
        f"{event.kind} at {event.gondola_id} / {event.slot_id}, {event.at_ns / 1e9:.2f} s",
        f"pick {verdict.pick:.2f}   put-back {verdict.put_back:.2f}   nothing {verdict.nothing:.2f}",
        f"who: {listed(event.persons)}",
        f"what: {listed(event.products)}",
        f"how many: {listed(event.quantities)}",
        f"seen by: {', '.join(c.camera_id for c in explanation.clues)}",
        event.reason or "sure",
    ]


def _slot_tile(change: SlotChange, crop: np.ndarray) -> np.ndarray:
    marked = crop.copy()
    quad = np.round(change.view.quad_px - change.view.rect_px[:2]).astype(np.int32)
    cv2.polylines(marked, [quad], True, _MARK, 1, cv2.LINE_AA)
    return _fit(marked)


def _hand_tile(picture: HandPicture) -> np.ndarray:
    marked = picture.crop.copy()
    cv2.circle(marked, tuple(int(v) for v in np.round(picture.palm_px)), 5, _MARK, 1, cv2.LINE_AA)
    return _fit(marked)


def _fit(image: np.ndarray) -> np.ndarray:
    """The picture as large as a tile allows, centred."""
    scale = (_TILE - 8) / max(image.shape[:2])
    inner = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    out = np.full((_TILE, _TILE, 3), _PAPER, np.uint8)
    top, left = (_TILE - inner.shape[0]) // 2, (_TILE - inner.shape[1]) // 2
    out[top : top + inner.shape[0], left : left + inner.shape[1]] = inner
    return out


def _text_block(lines: Sequence[str], width: int, height: int | None = None) -> np.ndarray:
    out = np.full((height or _TEXT_HEIGHT * len(lines) + 12, width, 3), _PAPER, np.uint8)
    for i, line in enumerate(lines):
        cv2.putText(out, line, (8, _TEXT_HEIGHT * (i + 1)), _FONT, 0.42, _INK, 1, cv2.LINE_AA)
    return out
