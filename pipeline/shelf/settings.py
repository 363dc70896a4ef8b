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
    keypoint_sigma_px: float = 5.0
    """Spread of a sure wrist or elbow in a 1280 px wide picture (measured); divided by its confidence."""
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
    reach_path_limit_s: float = 60.0
    slot_sigma_floor_m: float = 0.045
    """Least spread of the touched point on the face, along and up: grip offset and bias of the key points."""

    # --- pictures of slots -----------------------------------------------------------------------------------
    min_px_per_cm: float = 1.2
    """A slot is watched by cameras that see its front at least this large in both directions."""
    max_cameras_per_slot: int = 4
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
