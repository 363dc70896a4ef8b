# SPDX-License-Identifier: AGPL-3.0-or-later
"""The vocabulary: every message that crosses a boundary of the system.

Two families:

* **In-process arrays** (`Frame`, `FrameSet`, `Detections`, `CameraTracks`, `FloorTrack`, `Reach`): frozen dataclasses
  over numpy arrays, between capture, perception and shelf. Never serialised.
* **Events** (the union `Event`): frozen pydantic models, what goes to the event log as JSON. `SCHEMA_VERSION` rises
  with every change that an older reader could misread or refuse; readers read all versions up to theirs, refuse newer
  ones and ignore nothing. A new message on a topic of its own is no such change: no older reader reads the topic.
  Version 2: groups, identity corrections, coupons, staff decisions, discounts and corrections on receipts.

World coordinates: metres, right-handed, z up, floor at z = 0. Pixels: x right, y down, (0, 0) the centre of the top
left pixel. Times: `*_ns`, nanoseconds since the Unix epoch on the store's common clock, of capture and not of
processing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.frames import SMALL_SIDE_PX as SMALL_SIDE_PX
from pipeline.frames import Frame as Frame
from pipeline.frames import FrameSet as FrameSet
from pipeline.receipt_parts import Candidate as Candidate
from pipeline.receipt_parts import Correction as Correction
from pipeline.receipt_parts import Discount as Discount
from pipeline.receipt_parts import ReceiptLine as ReceiptLine
from pipeline.receipt_parts import ReviewNote as ReviewNote
from pipeline.receipt_parts import TaxLine as TaxLine

SCHEMA_VERSION = 2

COCO_KEYPOINTS = (
    "nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder", "left_elbow",
    "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip", "left_knee", "right_knee", "left_ankle",
    "right_ankle",
)  # fmt: skip
LEFT_WRIST, RIGHT_WRIST = 9, 10


# --- in-process arrays ------------------------------------------------------------------------------------------


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
    """Detections of one frame with the per-camera track each belongs to. `track_id`: int64 (N,); -1 is not tracked.
    `looks`: what they wear (`pipeline.perception.appearance`), float32 (N, 2, BINS), or None where nobody looked."""

    camera_id: str
    captured_at_ns: int
    detections: Detections
    track_id: np.ndarray
    looks: np.ndarray | None = None


@dataclass(frozen=True)
class FloorTrack:
    """One person on the floor at one instant, over all cameras.

    `floor_xy_m`: float64 (2,). `covariance_m2`: float64 (2, 2). `velocity_m_s`: float64 (2,).
    `sources`: camera id -> row in that camera's `CameraTracks` that supports the track in this window.
    `height_m`: apparent height, less of who bends; None where the tracker says nothing of it.
    """

    track_id: str
    at_ns: int
    floor_xy_m: np.ndarray
    covariance_m2: np.ndarray
    velocity_m_s: np.ndarray
    last_seen_ns: int
    sources: dict[str, int] = field(default_factory=dict)
    height_m: float | None = None


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


Id = Annotated[str, Field(min_length=1, max_length=200)]
"""What databases keep and index. PostgreSQL takes no key of more than some 2,700 bytes: a record that does not fit
would stop every reader at the same place."""


class _Event(BaseModel):
    """What every event carries. `event_id` is the same when the same footage is run again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    event_id: Id
    store_id: Id
    at_ns: int = Field(gt=0, lt=1 << 63, description="when it happened, ns since the Unix epoch, store clock")


class EvidenceRef(BaseModel):
    """Where to look: a camera between two instants, and optionally a box in it (x1, y1, x2, y2 in pixels)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    camera_id: str
    t0_ns: int
    t1_ns: int
    box_xyxy_px: tuple[float, float, float, float] | None = None


class VisitOpened(_Event):
    """A pass was accepted at a gate. One pass may let a group in: one visit, one payer, one receipt."""

    type: Literal["visit-opened"] = "visit-opened"
    visit_id: Id
    gate_id: str
    shopper_id: Id = Field(description="who pays")
    party_size: int = Field(default=1, ge=1, description="how many people the pass lets in, the payer among them")


class PersonWithoutPass(_Event):
    """Somebody came in without a pass: a visit without a payer, which staff are told of. Opens it and binds it."""

    type: Literal["person-without-pass"] = "person-without-pass"
    visit_id: Id
    gate_id: str
    track_id: str
    behind_visit_id: str | None = Field(default=None, description="the visit at whose heels they came in")


class TrackBound(_Event):
    """From `at_ns` on, what this floor track does belongs to this visit."""

    type: Literal["track-bound"] = "track-bound"
    visit_id: Id
    track_id: str
    member: int = Field(default=1, ge=1, description="which person of the party; 1 is who showed the pass")


class TracksMerged(_Event):
    """From `at_ns` on (where `other_track_id` begins), both labels are one person: the one of `track_id`."""

    type: Literal["tracks-merged"] = "tracks-merged"
    track_id: str
    other_track_id: str
    reason: str = ""


class TracksSwapped(_Event):
    """The tracker exchanged two people at `at_ns`: from then on each label is the person whom the other was before."""

    type: Literal["tracks-swapped"] = "tracks-swapped"
    track_id: str
    other_track_id: str
    settles: tuple[str, ...] = Field(default=(), description="ids of `TrackAmbiguous` events that this answers")
    reason: str = ""


class TrackAmbiguous(_Event):
    """These tracks may have been exchanged between `at_ns` and `until_ns`; until it is settled, what depends on it is
    uncertain from `at_ns` on."""

    type: Literal["track-ambiguous"] = "track-ambiguous"
    track_ids: tuple[str, ...] = Field(min_length=2)
    until_ns: int
    exchange_probability: float = Field(
        default=0.5, gt=0, le=1, description="that a label is afterwards one of the others"
    )
    reason: str = ""


class TracksKept(_Event):
    """What was ambiguous is settled: these tracks were not exchanged. (If they were: `TracksSwapped.settles`.)"""

    type: Literal["tracks-kept"] = "tracks-kept"
    settles: tuple[str, ...] = Field(min_length=1, description="ids of `TrackAmbiguous` events")


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
    visit_id: Id
    gate_id: str
    event_ids: tuple[Id, ...] = Field(
        description="the visit's opening and bindings, the shelf events with one of its tracks among the persons, the "
        "bindings of those events' other persons, the identity corrections that touch any of these tracks (with the "
        "bindings and shelf events of the tracks that they connect), and the visit's coupons and staff decisions"
    )


class CouponPresented(_Event):
    """A coupon was put into a visit. Its owner and that it is unspent were checked before this was written."""

    type: Literal["coupon-presented"] = "coupon-presented"
    visit_id: Id
    coupon_id: str
    promotion_id: str = Field(description="what it gives: a promotion of the store's that needs a coupon")


class CouponTransferred(_Event):
    """A shopper gave a coupon that is not spent to another one."""

    type: Literal["coupon-transferred"] = "coupon-transferred"
    coupon_id: str
    from_shopper_id: str
    to_shopper_id: str


class StaffDecision(_Event):
    """What a member of staff decided about a visit before its bill was made; afterwards it is a correction.

    `age-confirmed`: everybody who took something age-restricted is at least `minimum_age`. `age-refused`: the goods
    were taken back. `bill`, `drop`: the doubtful units that came from `shelf_event_ids` (all of the visit's when it is
    empty) are billed, or left out. `payer-named`: `shopper_id` pays, e.g. for somebody who came in without a pass.
    """

    type: Literal["staff-decision"] = "staff-decision"
    visit_id: Id
    decision: Literal["age-confirmed", "age-refused", "bill", "drop", "payer-named"]
    staff_id: str = Field(min_length=1)
    shelf_event_ids: tuple[str, ...] = ()
    gtin: str | None = Field(default=None, description="only units of this product; None for any")
    minimum_age: int | None = Field(default=None, ge=0, description="None: old enough for whatever was taken")
    shopper_id: Id | None = None
    note: str = ""


class ReceiptIssued(_Event):
    """The bill of one visit, in one version; never changed, only replaced by the next version.

    `total_minor` is what is charged: the billed lines, and the taxes where prices are without (`tax_included` false).
    """

    type: Literal["receipt-issued"] = "receipt-issued"
    receipt_id: Id
    version: int = Field(ge=1, lt=1 << 31)
    visit_id: Id
    shopper_id: Id | None = Field(description="None: nobody to charge, somebody came in without a pass")
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    lines: tuple[ReceiptLine, ...]
    total_minor: int = Field(ge=0, lt=1 << 63)
    taxes: tuple[TaxLine, ...]
    held_for_review: bool
    notes: tuple[ReviewNote, ...] = ()
    entered_at_ns: int
    left_at_ns: int = Field(lt=1 << 63)
    tax_included: bool = True
    party_size: int = Field(default=1, ge=1)
    coupon_ids: tuple[str, ...] = Field(default=(), description="coupons spent on this receipt")
    correction: Correction | None = None

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        billed = sum(line.total_minor for line in self.lines if line.status == "billed")
        net, tax = sum(t.net_minor for t in self.taxes), sum(t.tax_minor for t in self.taxes)
        if net + tax != self.total_minor or billed != (self.total_minor if self.tax_included else net):
            raise ValueError(
                f"receipt {self.receipt_id}: billed lines {billed}, taxes {net} + {tax} and total {self.total_minor} "
                f"do not agree (prices {'include' if self.tax_included else 'are without'} tax)"
            )
        return self


class PaymentUpdated(_Event):
    """The payment of a visit came to rest; it is told again when that changes (a correction, an open balance paid)."""

    type: Literal["payment-updated"] = "payment-updated"
    visit_id: Id
    receipt_id: str | None = Field(description="None: the visit has no receipt yet")
    version: int = Field(ge=0, description="of the receipt; 0 while there is none")
    shopper_id: str | None
    currency: str | None = Field(pattern=r"^[A-Z]{3}$")
    status: Literal["held", "refused", "released", "paid", "open", "blocked"] = Field(
        description="held, refused, released: what became of the hold of a visit without a receipt; open: asked for in "
        "vain, owed by the shopper (negative: to them); blocked: a person must look"
    )
    due_minor: int = Field(ge=0)
    paid_minor: int = Field(ge=0, description="captured less refunded")
    open_minor: int
    reason: str = ""


class DisputeOpened(_Event):
    """Somebody has to look at a receipt: its shopper disputes it, or the shop holds something on it.

    What the shopper wrote is not in it: it stays in the state database, where it can be erased.
    """

    type: Literal["dispute-opened"] = "dispute-opened"
    case_id: Id
    receipt_id: Id
    version: int = Field(ge=1, lt=1 << 31, description="of the receipt")
    visit_id: Id
    shopper_id: Id | None = Field(description="whose receipt it is; None: nobody's")
    origin: Literal["dispute", "held"] = Field(description="who asks: the shopper, or the shop")
    kind: Literal[
        "not-taken", "put-back", "other-product", "wrong-price", "missing-item", "held-line", "held-notes"
    ] = Field(description="what is said; the last two are the shop's")
    line_id: str | None = Field(default=None, description="None: the whole receipt")
    gtin: str | None = Field(default=None, description="what the shopper says it was")
    promised_by_ns: int = Field(description="when the shopper has been promised an answer")


class DisputeResolved(_Event):
    """It was looked at and decided. What changed on the receipt is its next version, a message of its own."""

    type: Literal["dispute-resolved"] = "dispute-resolved"
    case_id: Id
    receipt_id: Id
    version: int = Field(ge=1, lt=1 << 31, description="of the receipt as it stands after it")
    visit_id: Id
    shopper_id: Id | None
    origin: Literal["dispute", "held"]
    outcome: Literal["confirm", "remove", "product", "quantity", "move", "refund", "add", "elsewhere"] = Field(
        description="what was done; elsewhere: by a correction that was made without the case"
    )
    upheld: bool | None = Field(description="whether the shopper was right; None: no shopper said anything")
    by: str = Field(min_length=1, description="who decided: a staff id, or rule:NAME")
    difference_minor: int = Field(description="on the receipt; negative is paid back")


Event = Annotated[
    VisitOpened
    | PersonWithoutPass
    | TrackBound
    | TracksMerged
    | TracksSwapped
    | TrackAmbiguous
    | TracksKept
    | ShelfEvent
    | VisitClosed
    | CouponPresented
    | CouponTransferred
    | StaffDecision
    | ReceiptIssued
    | PaymentUpdated
    | DisputeOpened
    | DisputeResolved,
    Field(discriminator="type"),
]

TOPIC_OF = {
    "visit-opened": "walkout.visits",
    "person-without-pass": "walkout.visits",
    "track-bound": "walkout.visits",
    "tracks-merged": "walkout.visits",
    "tracks-swapped": "walkout.visits",
    "track-ambiguous": "walkout.visits",
    "tracks-kept": "walkout.visits",
    "visit-closed": "walkout.visits",
    "coupon-presented": "walkout.visits",
    "coupon-transferred": "walkout.visits",
    "staff-decision": "walkout.visits",
    "shelf-event": "walkout.shelf-events",
    "receipt-issued": "walkout.receipts",
    "payment-updated": "walkout.payments",
    "dispute-opened": "walkout.disputes",
    "dispute-resolved": "walkout.disputes",
}
IDENTITY_CORRECTIONS = (TracksMerged, TracksSwapped, TrackAmbiguous, TracksKept)
DEAD_LETTER_TOPIC = "walkout.dead-letter"
