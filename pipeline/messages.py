# SPDX-License-Identifier: AGPL-3.0-or-later
"""The vocabulary: every message that crosses a boundary of the system.

Two families:

* **In-process arrays** (`Frame`, `FrameSet`, `Detections`, `CameraTracks`, `FloorTrack`, `Reach`): frozen dataclasses
  over numpy arrays, between capture, perception and shelf. Never serialised.
* **Events** (`VisitOpened`, `TrackBound`, `ShelfEvent`, `VisitClosed`, `ReceiptIssued`): frozen pydantic models,
  what goes to the event log as JSON. `SCHEMA_VERSION` rises with every change that an older reader could
  misread; readers refuse newer versions and ignore nothing.

World coordinates: metres, right-handed, z up, floor at z = 0. Pixels: x right, y down, (0, 0) the centre of the top
left pixel. Times: `*_ns`, nanoseconds since the Unix epoch on the store's common clock, of capture and not of
processing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

SCHEMA_VERSION = 1

COCO_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
LEFT_WRIST, RIGHT_WRIST = 9, 10


# --- in-process arrays ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture of one camera, as the decoder left it; colour conversion happens when somebody looks.

    `pixels`: uint8, either (H, W, 3) BGR as OpenCV keeps it, or (H * 3 / 2, W) planar I420 (luma, then both chroma
    planes at half size; H and W even), which is what video holds: half the memory of BGR. Use `image` for the whole
    picture, `small` for the network and for looking at, `crop` for a piece at native resolution. None of them may be
    written to.
    """

    camera_id: str
    captured_at_ns: int
    pixels: np.ndarray

    @property
    def size_px(self) -> tuple[int, int]:
        """Width and height at native resolution."""
        height, width = self.pixels.shape[:2]
        return (width, height) if self.pixels.ndim == 3 else (width, height * 2 // 3)

    @cached_property
    def image(self) -> np.ndarray:
        """uint8 (H, W, 3) BGR at native resolution; converted the first time (1 ms at 1280x720), then kept."""
        return self.pixels if self.pixels.ndim == 3 else _i420_to_bgr(self.planes)

    @cached_property
    def small(self) -> np.ndarray:
        """uint8 (h, w, 3) BGR, the whole picture at most `SMALL_SIDE_PX` wide and high; scale is w / W."""
        import cv2

        width, height = self.size_px
        scale = min(1.0, SMALL_SIDE_PX / max(width, height))
        if scale == 1:
            return self.image
        if self.pixels.ndim == 3:
            return cv2.resize(self.pixels, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        # Planes are made small before colour is made of them: a quarter of the work.
        size = (round(width * scale / 2), round(height * scale / 2))
        luma = cv2.resize(self.planes[0], (2 * size[0], 2 * size[1]), interpolation=cv2.INTER_AREA)
        chroma = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in self.planes[1:]]
        return _i420_to_bgr((luma, *chroma))

    def crop(self, x1: int, y1: int, x2: int, y2: int) -> np.ndarray:
        """uint8 BGR at native resolution of pixels x1 <= x < x2, y1 <= y < y2, cut at the picture's edge."""
        width, height = self.size_px
        x1, y1, x2, y2 = max(int(x1), 0), max(int(y1), 0), min(int(x2), width), min(int(y2), height)
        if x2 <= x1 or y2 <= y1:
            return np.zeros((0, 0, 3), np.uint8)
        if self.pixels.ndim == 3 or "image" in self.__dict__:
            return self.image[y1:y2, x1:x2]
        # Chroma comes in pairs of pixels, so the cut is made on even ones and trimmed afterwards.
        left, top, right, bottom = x1 // 2, y1 // 2, (x2 + 1) // 2, (y2 + 1) // 2
        luma, *chroma = self.planes
        piece = _i420_to_bgr(
            (luma[2 * top : 2 * bottom, 2 * left : 2 * right], *(p[top:bottom, left:right] for p in chroma))
        )
        return piece[y1 - 2 * top : y2 - 2 * top, x1 - 2 * left : x2 - 2 * left]

    @property
    def planes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Views on luma (H, W) and chroma (H / 2, W / 2) twice; only where `pixels` is I420."""
        width, height = self.size_px
        quarter = (height // 2) * (width // 2)
        flat = self.pixels.reshape(-1)
        blue, red = flat[height * width :][:quarter], flat[height * width + quarter :][:quarter]
        half = (height // 2, width // 2)
        return self.pixels[:height], blue.reshape(half), red.reshape(half)


SMALL_SIDE_PX = 640


def _i420_to_bgr(planes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """BT.601, limited range: what video without a colour tag means."""
    import cv2

    flat = np.concatenate([np.ascontiguousarray(plane).reshape(-1) for plane in planes])
    height, width = planes[0].shape
    return cv2.cvtColor(flat.reshape(height * 3 // 2, width), cv2.COLOR_YUV2BGR_I420)


@dataclass(frozen=True)
class FrameSet:
    """The frames of all cameras that fall into one fixed window; a camera that gave none is absent from `frames`."""

    index: int
    window_start_ns: int
    window_ns: int
    frames: dict[str, Frame]

    @property
    def mid_ns(self) -> int:
        return self.window_start_ns + self.window_ns // 2


@dataclass(frozen=True)
class Detections:
    """People found in one frame.

    `xyxy_px`: float32 (N, 4). `score`: float32 (N,) in [0, 1]. `keypoints_px`: float32 (N, 17, 3), x, y, confidence,
    in the order of `COCO_KEYPOINTS`; NaN confidence never occurs, unknown is 0.
    """

    xyxy_px: np.ndarray
    score: np.ndarray
    keypoints_px: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.xyxy_px)
        for name, array, shape in (
            ("xyxy_px", self.xyxy_px, (n, 4)),
            ("score", self.score, (n,)),
            ("keypoints_px", self.keypoints_px, (n, 17, 3)),
        ):
            if array.shape != shape:
                raise ValueError(f"Detections.{name} must have shape {shape}, got {array.shape}")

    def __len__(self) -> int:
        return len(self.xyxy_px)

    def __getitem__(self, keep: np.ndarray) -> Detections:
        return Detections(self.xyxy_px[keep], self.score[keep], self.keypoints_px[keep])

    @classmethod
    def empty(cls) -> Detections:
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 17, 3), np.float32))


@dataclass(frozen=True)
class CameraTracks:
    """Detections of one frame with the per-camera track each belongs to. `track_id`: int64 (N,); -1 is not tracked."""

    camera_id: str
    captured_at_ns: int
    detections: Detections
    track_id: np.ndarray


@dataclass(frozen=True)
class FloorTrack:
    """One person on the floor at one instant, over all cameras.

    `floor_xy_m`: float64 (2,). `covariance_m2`: float64 (2, 2). `velocity_m_s`: float64 (2,).
    `sources`: camera id -> row in that camera's `CameraTracks` that supports the track in this window.
    """

    track_id: str
    at_ns: int
    floor_xy_m: np.ndarray
    covariance_m2: np.ndarray
    velocity_m_s: np.ndarray
    last_seen_ns: int
    sources: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Reach:
    """One hand of one person in one shelf face from `t0_ns` to `t1_ns`.

    `slots`: the slots it may have touched with a probability each, best first. `path_m`: float64 (T, 3) the hand in
    the world, `path_ns`: int64 (T,).
    """

    reach_id: str
    track_id: str
    hand: Literal["left", "right"]
    gondola_id: str
    t0_ns: int
    t1_ns: int
    slots: tuple[tuple[str, float], ...]
    path_m: np.ndarray
    path_ns: np.ndarray


# --- events -------------------------------------------------------------------------------------------------------


class _Event(BaseModel):
    """What every event carries. `event_id` is the same when the same footage is run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    event_id: str = Field(min_length=1)
    store_id: str = Field(min_length=1)
    at_ns: int = Field(gt=0, description="when it happened, ns since the Unix epoch, store clock")


class Candidate(BaseModel):
    """One possible answer with its probability; the candidates of a list add up to at most 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: str
    probability: float = Field(ge=0, le=1)


class EvidenceRef(BaseModel):
    """Where to look: a camera between two instants, and optionally a box in it (x1, y1, x2, y2 in pixels)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera_id: str
    t0_ns: int
    t1_ns: int
    box_xyxy_px: tuple[float, float, float, float] | None = None


class VisitOpened(_Event):
    """A pass was accepted at a gate."""

    type: Literal["visit-opened"] = "visit-opened"
    visit_id: str
    gate_id: str
    shopper_id: str


class TrackBound(_Event):
    """From `at_ns` on, what this floor track does belongs to this visit."""

    type: Literal["track-bound"] = "track-bound"
    visit_id: str
    track_id: str


class ShelfEvent(_Event):
    """A hand took something from a shelf or put something on it."""

    type: Literal["shelf-event"] = "shelf-event"
    kind: Literal["pick", "put_back"]
    kind_probability: float = Field(ge=0, le=1)
    persons: tuple[Candidate, ...] = Field(min_length=1, description="floor track ids, best first")
    products: tuple[Candidate, ...] = Field(min_length=1, description="GTINs, best first")
    quantities: tuple[Candidate, ...] = Field(min_length=1, description="whole numbers as text, best first")
    gondola_id: str
    slot_id: str | None
    t0_ns: int
    t1_ns: int
    evidence: tuple[EvidenceRef, ...] = ()
    reason: str = Field(default="", description="why it is uncertain, for the reviewer; empty when it is not")


class VisitClosed(_Event):
    """The visit's last track crossed the exit line; every event of the visit up to here has been published.

    Topics keep no order among each other, so the closing names what belongs to it: a bill is worked out from the
    closing and exactly the events that it names, in whatever order they are read.
    """

    type: Literal["visit-closed"] = "visit-closed"
    visit_id: str
    gate_id: str
    event_ids: tuple[str, ...] = Field(
        description="the visit's opening and bindings, the shelf events with one of its tracks among the persons, and "
        "the bindings of those events' other persons"
    )


class ReceiptLine(BaseModel):
    """One product on a receipt. Money in minor units of the receipt's currency, tax included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    gtin: str
    name: str
    quantity: int = Field(gt=0)
    unit_price_minor: int = Field(ge=0)
    total_minor: int = Field(ge=0)
    tax_class: str
    event_ids: tuple[str, ...]
    status: Literal["billed", "held"]
    reason: str = ""
    alternatives: tuple[Candidate, ...] = ()


class TaxLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    tax_class: str
    rate_permille: int = Field(ge=0)
    net_minor: int
    tax_minor: int


class ReviewNote(BaseModel):
    """What a person should look at that is no line of the bill, e.g. a put-back of what nobody was seen to take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    gtin: str | None = None
    quantity: int = Field(default=0, ge=0)
    event_ids: tuple[str, ...] = ()


class ReceiptIssued(_Event):
    """The bill of one visit. Held lines are listed and not charged until someone has looked."""

    type: Literal["receipt-issued"] = "receipt-issued"
    receipt_id: str
    version: int = Field(ge=1)
    visit_id: str
    shopper_id: str
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    lines: tuple[ReceiptLine, ...]
    total_minor: int = Field(ge=0)
    taxes: tuple[TaxLine, ...]
    held_for_review: bool
    notes: tuple[ReviewNote, ...] = ()
    entered_at_ns: int
    left_at_ns: int


Event = Annotated[VisitOpened | TrackBound | ShelfEvent | VisitClosed | ReceiptIssued, Field(discriminator="type")]

TOPIC_OF = {
    "visit-opened": "walkout.visits",
    "track-bound": "walkout.visits",
    "visit-closed": "walkout.visits",
    "shelf-event": "walkout.shelf-events",
    "receipt-issued": "walkout.receipts",
}
DEAD_LETTER_TOPIC = "walkout.dead-letter"
