# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every number of the shelf stage, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ShelfSettings:
    """Lengths in metres, times in seconds, angles in pixels of a camera's own picture.

    "Measured" means: on simulated visits of development seeds (20 and up), against their truth.
    """

    # --- hands -----------------------------------------------------------------------------------------------
    min_keypoint_confidence: float = 0.3
    keypoint_sigma_px: float = 10.0
    """Spread of a sure wrist or elbow in a 1280 px wide picture, divided by its confidence; where the estimate of it
    starts that follows the network in use ..."""
    keypoint_sigma_range_px: tuple[float, float] = (3.0, 30.0)
    """... between these."""
    confidence_power: float = 1.0
    """The spread is divided by the confidence to this power. Of `walkout-keypoints`, whose confidence says how much of
    a map's weight is near its peak, the fourth: its wrists are 4, 9, 19 and 35 px off in the median at confidences of
    0.95, 0.85, 0.7 and 0.5 (measured, see models/weights/README.md)."""
    outlier_sigmas: float = 3.5
    """A ray further than this from the consensus belongs to somebody else's hand or to a wrong key point."""
    hand_acceleration_m_s2: float = 8.0
    """White acceleration of a reaching hand (Kalman model); hands start and stop within 0.3 s at 1.5 m/s."""
    hand_memory_s: float = 0.6
    """A joint that no camera saw for so long is forgotten and found anew."""
    palm_beyond_wrist_m: float = 0.09
    """From wrist to the middle of the palm along the forearm (half of the mean hand length of 0.18 to 0.19 m,
    NASA-STD-3000 anthropometry)."""
    palm_sigma_m: float = 0.03
    """Added to the wrist's spread: the hand bends at the wrist."""

    # --- reaches ---------------------------------------------------------------------------------------------
    reach_enter_m: float = 0.08
    """A palm this close in front of the face's front plane may touch (a reach begins) ..."""
    reach_leave_m: float = 0.16
    """... and one this far away has left (hysteresis)."""
    reach_margin_m: float = 0.12
    """How far beside or above a face a hand may seem to be and still be in it."""
    reach_gap_s: float = 0.4
    """A hand that nobody sees for so long has left."""
    same_reach_s: float = 1.0
    """Reaches of a person this close in time are one hand that trembles, when items are counted."""
    reach_path_limit_s: float = 60.0
    grasp_beside_m: float = 0.045
    """A hand holds an item from its side: the item's middle is this far to the left of a right palm."""
    slot_sigma_floor_m: float = 0.05
    """Least spread of the touched point on the face, along and up: the grip, and errors of key points that all cameras
    share (measured with the shipped person network)."""

    # --- pictures of slots -----------------------------------------------------------------------------------
    min_px_per_cm: float = 1.6
    """A slot is watched by cameras that see its front at least this large in both directions."""
    max_cameras_per_slot: int = 4
    watched_places: int = 4
    """So many places of a row, from the front on, are compared; deeper ones are hidden by the board above."""
    keep_picture_s: float = 2.0
    """A slot that looks the same gets a new reference picture this often."""
    slot_depth_shown_m: float = 0.25
    """How deep into the shelf a slot's crop looks, behind the front plane."""
    observe_every_s: float = 0.5
    observe_every_busy_s: float = 0.2
    """Faces with a reach that is not explained yet are looked at more often."""
    person_margin_px: float = 14.0
    """Boxes of people grow by this before they are taken as hiding what is behind them (held items, hair)."""
    settle_observations: int = 3
    """So many clear pictures in a row must agree before they replace what a slot looked like."""
    settle_s: float = 0.5
    same_view: float = 0.10
    """Two clear pictures with less difference (see `change.difference`) show the same state."""

    # --- deciding --------------------------------------------------------------------------------------------
    nothing_prior: float = 0.02
    """Share of slots whose look changed lastingly with a hand near and nothing taken or put (pushed, turned)."""
    put_back_prior: float = 0.2
    """Share of put-backs among what people do who hold something from the shop ..."""
    put_back_prior_empty_handed: float = 0.01
    """... and among those who, as far as is known, hold nothing."""
    sweep_gain: float = 12.0
    """Log-likelihood of a perfect plane-sweep match against an unrelated picture (measured)."""
    unseen_match: float = 0.35
    """What a place that cannot be seen, or a row that is empty, counts as a match."""
    network_gain: float = 3.0
    """Log-likelihood of a sure box at a place."""
    box_place_sigma: float = 0.35
    """Spread of the place of a box, in places."""
    hand_gain: float = 3.0
    unplanned_share: float = 0.02
    """Share of items that stand where the planogram has something else."""
    class_gain: float = 0.8
    hand_class_gain: float = 0.3
    max_candidates: int = 5
    extra_item_prior: float = 0.05
    """Two or more items in one grab."""

    # --- when, and who ---------------------------------------------------------------------------------------
    decide_after_s: float = 1.2
    """After the last news about a slot; the same for all its cameras to agree."""
    decide_latest_s: float = 6.0
    """When some good camera stays blind: decide if it is clear without it, else ask again after as long ..."""
    decide_at_last_s: float = 30.0
    """... and after this in any case."""
    touching: float = 0.1
    """A slot this likely under a hand waits until the hand is gone."""
    attribution_slack_s: float = 0.6
    person_sharpness: float = 2.2
    """Exponent of the weights of two people who may have done it; the clues are worth more than their product says
    (measured on the two-person visits: 14 of 15 right at a mean probability of 0.8 without it)."""
    second_item_of_a_reach: float = 0.15
    """Weight of a reach that has already explained the change of another slot."""
    shares_from: float = 0.35
    """Of several items that went at once each may be somebody else's, where others are so likely against the first."""
    min_slot_chance: float = 0.02
    unseen_hand: float = 0.05
    """Chance that stands in for a hand that was not seen in a slot: standing there counts too."""
    palm_near_weight: float = 0.25
    """Of a palm that came as near to a slot as its spread allows, against one that was surely in it."""
    palm_near_sigma_m: float = 0.06
    seconds_per_item: float = 1.5
    """How long one stands at a shelf to take or put one item."""
    stand_sigma_m: float = 0.3
    """How far from the best place one stands to reach a slot."""
    left_behind_s: float = 10.0
    """What changed at the shelves where somebody stood so shortly before leaving is settled before their bill, reach
    or no reach ..."""
    left_behind_stay_s: float = 0.25
    """... if they stood there for so long."""
    await_shelf_s: float = 15.0
    """The bill of somebody who has left waits so long at most until shelves at which they stood are seen again, which
    others hid since ..."""
    await_stay_s: float = 1.0
    """... if they stood there for so long."""
    min_touch_weight: float = 0.002
    double_track_m: float = 0.4
    """Two tracks closer than that all the time are one person found twice; people stand further apart."""
    max_reaches: int = 200
    max_places: int = 2000
    min_event_probability: float = 0.5
    """Pick and put-back together; below, it was a touch."""
    sure: float = 0.9
    """Probabilities below get a reason for the reviewer."""
    item_gap_m: float = 0.006
    """Between the items of a row."""
    person_memory_s: float = 120.0
    grasp_depth_m: float = 0.08
    """Where no camera sees the products: a hand that came this near to the front plane may have taken something (a
    real shop calibrated from clicks is off by 5 cm or so, and fingers go further than the palm) ..."""
    grasp_s: float = 0.3
    """... if it stayed so long."""
    blind_pick_probability: float = 0.6

    # --- pictures of hands -----------------------------------------------------------------------------------
    hand_near_m: float = 0.8
    """Hands are pictured this far before a face."""
    hand_pictures_s: float = 4.0
    hand_every_s: float = 0.2
    hand_around_s: float = 1.2
    """How long before and after a reach a hand is looked at."""
    hand_pictures: int = 6
    """At most so many before, and so many after."""
    hand_cameras: int = 2
    max_hand_records: int = 24
    doubt: float = 0.97
    """A kind or product less sure than this is looked up in the hand as well."""
    body_every_s: float = 0.5
    body_pictures_s: float = 20.0
    """How far back it can be seen who carried what."""
    carries_floor: float = 0.1
    """Chance of seeing a product on somebody who does not carry it, or on nobody who put it in a bag."""
    carries_power: float = 1.5
    """Low scores are mostly something else: .15 counts as .06, .9 as .85."""
    carried_sure: float = 0.3
    """From here on somebody is taken to carry it, when items are counted."""
