# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every number of the floor tracker, in one place; none of them is about one room or one recording."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class BodySettings:
    """What people look like in a box, and how they move. Metres, seconds."""

    height_m: float = 1.70
    height_sigma_m: float = 0.10
    half_width_m: float = 0.31
    half_width_sigma_m: float = 0.05
    sway_m: float = 0.015
    sway_s: float = 1.0
    """Who stands upright is as tall as they are, give or take, and for so long: steps, a nod and the detector ..."""
    stature_drift_m: float = 0.002
    stature_doubt_m: float = 0.015
    stature_young_s: float = 4.0
    """... and stays so: what is known of their own height gets uncertain by this, a square root of a second; by more
    until they were seen well, and alone, for some time: who comes in at the picture's edge or stoops is not as tall as
    they seem. With key points, which follow every movement, the height simply drifts ..."""
    posed_drift_m: float = 0.10
    width_drift_m: float = 0.0075
    seen_sigma_m: float = 0.03
    """Of how tall somebody seems by the upper edges of their boxes, in a second."""
    bent_share: float = 0.7
    bent_sigma_m: float = 0.25
    bent_drift_m: float = 0.25
    """... and of who is bent down, squats, sits or lies: this share of their height at first, give or take."""
    risen_sigma_m: float = 0.05
    """Whose height is known this well may be seen to have got up."""
    bend_hz: float = 0.05
    rise_hz: float = 0.5
    """How often one bends down, and gets up, a second."""
    wander_m2_s3: float = 1.0
    """Power spectral density of the acceleration: velocity changes by its root, some 1 m/s, in a second."""
    steady_s: float = 1.2
    """How long somebody keeps their velocity, on average."""
    speed_sigma_m_s: float = 0.8
    """Of somebody seen for the first time."""
    greatest_speed_m_s: float = 2.5
    coast_damping_s: float = 0.8
    """Velocity of somebody unseen fades with this time constant ..."""
    coast_drift_m: float = 0.4
    """... and where they are gets uncertain, a square root of a second."""
    greatest_sigma_m: float = 1.5
    side_sigma_m: float = 0.10
    """Spread of a box's edges on the body, from recorded boxes of walking people: arms and steps move the sides ..."""
    top_sigma_m: float = 0.03
    bottom_sigma_m: float = 0.07
    edge_sigma: float = 0.018
    """... and the detector's own spread as a share of the box's height."""
    lasting_s: float = 0.36
    """How long the errors of one camera's boxes last: so much of a picture's information is not new."""
    keypoint_independent: float = 0.35
    keypoint_variance: tuple[tuple[float, float], ...] = (
        (0.1, 5.0), (0.2, 2.5), (0.3, 0.7), (0.4, 0.5), (0.55, 0.4), (0.7, 0.22), (0.9, 0.15),
    )  # fmt: skip
    """(score, variance): the key points of a box with that score against what `perception.body` supposes. From places
    on the floor with known truth, of crowds and of single people: 0.04 m off (median) from 0.8 on, 0.05 at 0.7, 0.09 at
    0.5, 0.15 at 0.25, and anything below 0.2."""
    posture_sigma_m: float = 0.08
    """Who leans is not above their feet: added where boxes are given to people, ..."""
    lean_sigma_m: float = 0.04
    stoop_sigma_m: float = 0.06
    """... and where those move them; who stoops a little is not as tall as they are."""

    def variance(self, score: np.ndarray, posed: np.ndarray) -> np.ndarray:
        """float64 (N,), for `floor_points`: of boxes with key points by their score, of others as it is."""
        return np.where(posed, np.interp(score, *np.transpose(self.keypoint_variance)), 1.0)


@dataclass(frozen=True)
class AssociationSettings:
    """Log-likelihoods. A gain above 0 is better explained by the body than by clutter and a miss."""

    sure_score: float = 0.5
    least_score: float = 0.1
    clutter: float = 0.15
    """False boxes a picture, in a volume of one box's height along every edge."""
    sharp: float = 4.0
    """Scores of bodies seen whole are a power of a uniform number: the density rises with the score this steeply, until
    it is learnt (see `scores.py`) ..."""
    half_sharp: float = 0.5
    sharp_width: float = 0.08
    """... half as much where this share of the body is seen, over such a width. Scores of false boxes are uniform."""
    odd_quantile: float = 1e-3
    """Boxes with a score that hardly any body seen whole has are given away last, to who has no other (ByteTrack)."""
    odd_score: float = 0.1
    """Share of the boxes whose score says nothing."""
    posed_d2: float = 20.0
    posed_volume: float = 15.0
    """False people with key points lie anywhere in so many square metres of floor and metres of height."""
    heads_due: float = 0.5
    """Whose head is found in less than this share of the cameras that should see it may have bent down."""
    twin_penalty: float = 2.0
    weak_s: float = 2.0
    """Weak detections are believed so long after a sure one: a coat on a hook is a weak person for ever."""
    detected: float = 0.98
    half_seen: float = 0.18
    seen_width: float = 0.10
    """Chance of a box for who is seen whole; half of it where this share is seen, and over such a width. From recorded
    boxes of a crowd with known places: who is half hidden is nearly always found."""
    hidden_side: float = 0.04
    hidden_top: float = 0.015
    hidden_bottom: float = 0.06
    """Chance that an edge is not the body's own, though nothing known hides it ..."""
    covered_side: float = 0.06
    covered_bottom: float = 0.75
    """... and as much more as the share of the body that somebody nearer covers, for the bottom the square of it."""
    first_share: int = 3
    least_rest: int = 3
    sweeps: int = 2
    """One camera in so many is matched first, the rest in the light of those; then each part again in the light of the
    other, at most so often. Where a part would have fewer cameras than this, each camera is a part of its own."""
    change: float = 0.004
    """How often a camera's own track (ByteTrack) goes on with another person, from one picture to the next ..."""
    change_covered: float = 0.12
    """... and as much more as the fourth power of its overlap (IoU) with another box, ..."""
    change_hz: float = 0.2
    """... and for every second in which it had no box. Of simulated crowds with known places."""
    camera_word: float = 0.35
    """So much of that is believed."""
    camera_memory_s: float = 2.0
    clothes_word: float = 0.2
    """So much is believed of what people wear in one picture: one who is in the way is seen instead, ..."""
    clothes_lasting_s: float = 0.5
    """... and how long that lasts: so much of what a picture says was said by the one before."""


@dataclass(frozen=True)
class AppearanceSettings:
    """How far what people wear is believed, where there are pictures. Differences: 1 less Bhattacharyya coefficient."""

    scale: float = 0.12
    """By how much one person's look differs from one box to another (exponentially distributed), ..."""
    changed: float = 0.05
    """... unless something is in the way, or they have taken their jacket off."""
    usual: float = 1.2
    """Nats that somebody's own boxes mostly lose by that."""
    recent_s: float = 1.5
    exchange_nats: float = 4.0
    """People were exchanged if the boxes of the last seconds speak for it so clearly, for each of them, ..."""
    exchange_m: float = 1.5
    """... and they are so near to one another."""
    alone_m: float = 0.7
    """A look is learnt while nobody is so near, and again while nobody is near enough to be exchanged with."""
    enough: float = 3.0
    """It is known after so many independent looks of a part (of all cameras), ..."""
    most: float = 15.0
    """... and what was earlier fades from so many on."""


@dataclass(frozen=True)
class WorldSettings:
    """How many stories are followed at once, and when two are the same. Metres, seconds, log-likelihoods."""

    close_m: float = 0.9
    clear_d2: float = 25.0
    measured_sigma_m: float = 0.15
    """Who comes so near to somebody can be taken for them, unless the Mahalanobis distance squared of where they must
    be, and may be measured by one camera, is greater than this."""
    swaps: int = 8
    rings: int = 2
    """Pairs that may have changed places, and threes in a ring, the nearest first ..."""
    jump_m: float = 1.2
    lonely_m: float = 0.8
    """... which is also asked of somebody far from everybody whose head is not where it should be."""
    jumps: int = 2
    """... and people who may be where somebody unknown is seen."""
    rename_s: float = 4.0
    rename_gain: float = 2.0
    rename_nats: float = 4.0
    renames: int = 3
    """Who met so lately may have been exchanged then, if how tall the two seem speaks for it by so many nats; the
    chance of it, in nats, and how many pairs are tried."""
    branch_share: float = 4e-3
    """Worlds less likely than this only go on as expected."""
    stay_nats: float = 2.0
    """The story that was told goes on to be told while no other is likelier by this; not with key points."""
    worlds: int = 16
    ratio: float = 12.0
    """A world this much less likely than the best is dropped."""
    least_share: float = 1e-5
    same_m: float = 0.08
    same_m_s: float = 0.3
    near_share: float = 0.1
    """People are in one cluster if they are close in a world as likely as this, or what one did tells of another."""
    undecided_s: float = 20.0
    """So long after all are apart the best world is believed."""
    soft: bool = False


@dataclass(frozen=True)
class FloorSettings:
    """Life and death of tracks. Metres, seconds."""

    body: BodySettings = field(default_factory=BodySettings)
    association: AssociationSettings = field(default_factory=AssociationSettings)
    worlds: WorldSettings = field(default_factory=WorldSettings)
    appearance: AppearanceSettings = field(default_factory=AppearanceSettings)
    outside_m: float = 0.3
    """Boxes this far beyond floor, margin and gates are of people outside, or reflections."""
    join_d2: float = 11.0
    """Boxes of several cameras at this Mahalanobis distance or less can begin one track."""
    vague_m: float = 1.2
    """A box whose place is known less well than this begins nobody alone."""
    start_s: float = 1.0
    """People may be inside when it begins: until then births are easy everywhere."""
    evidence: float = 3.0
    """Cameras that saw a candidate, less those that should have, before it is somebody at a door ..."""
    evidence_inside: float = 12.0
    """... and in the middle of the room, where nobody appears."""
    least_hits: int = 2
    support: float = 0.5
    """Share of the cameras which should see a candidate that must do so; a reflection or a poster is in one."""
    steady_hits: int = 5
    """At a door it is enough to be seen in so many windows, with key points, by a share `ghost_support` of them: where
    people queue, they are in one another's way, and who is not known yet when the one before leaves gets their name."""
    beside_m: float = 0.5
    """A candidate so near to somebody must be seen apart from them, in one picture ..."""
    beside_hits: int = 3
    """... and so often."""
    candidate_patience_s: float = 0.6
    lost_s: float = 0.4
    reattach_speed_m_s: float = 1.8
    reattach_m: float = 0.6
    reattach_misfit: float = 25.0
    """Of heights: who is found is somebody who was lost only if they can be as tall; see `stature.misfit`."""
    gone_s: float = 0.6
    """Unseen for so long at a place where people leave: gone."""
    coast_s: float = 60.0
    established_s: float = 1.0
    """Who was seen well and alone for so long is somebody, and does not end in the middle of the room."""
    alone_m: float = 0.5
    doubtful_s: float = 1.5
    """Who was not, and is unseen for so long or hardly supported, is nobody."""
    ghost_support: float = 0.35
    doubtful_quality: float = 0.3
    """Whose boxes, over some seconds, are so poor a share of what cameras should see lives on others' boxes: lost."""
    doubted_quality: float = 0.7
    worth_s: float = 2.0
    worth_most: float = 10.0
    least_worth: float = -6.0
    """Of whose boxes a smaller share are surely theirs it is asked whether they are there at all: lost is whom the
    pictures of the last seconds speak against by so many nats, of so many at most in one window."""
    suspect_quality: float = 0.5
    suspect_support: float = 0.7
    suspect_m: float = 3.0
    """Less poor a share, so near to where somebody unknown is, far from every door: that is them, if the unknown one
    looks more like them than their body does, or is seen by so many of the cameras which should see them."""
    report_lost_s: float = 1.0
    twin_m: float = 0.35
    doubtful_twin_m: float = 0.6
    """The same where one of them is not established."""
    twin_s: float = 0.8
    """Two tracks nearer than this for so long ..."""
    twin_apart: float = 0.1
    """... that fewer than this share of the cameras' looks show as two share one person's boxes."""


def anew(dt_s: float, lasting_s: float) -> float:
    """Share of a look's errors, which last so long, that is not the one of `dt_s` ago."""
    return 1 - float(np.exp(-max(dt_s, 0.02) / lasting_s))
