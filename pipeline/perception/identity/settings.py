# SPDX-License-Identifier: AGPL-3.0-or-later
"""When two tracks have met, what counts as evidence of an exchange, and from when on something is said of it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class IdentitySettings:
    """Metres, seconds, nats and probabilities; `d2` is a Mahalanobis distance squared on the floor."""

    near_m: float = 0.45
    """Two bodies can hardly be nearer: tracks that are may share one, or be about to be exchanged."""
    near_d2: float = 4.0
    """Likewise for somebody who is not seen, whose place is vague."""
    measured_sigma_m: float = 0.05
    """How well one window's pictures place somebody in a crowd, beside what the track says."""
    clear_s: float = 0.5
    """A meeting is over when the two have been apart for so long."""
    longest_s: float = 60.0
    """A meeting that does not end is judged after so long."""
    before_s: float = 3.0
    """What is compared with after the meeting: camera tracks of so long before it ..."""
    stature_s: float = 20.0
    """... and heights of so long before it."""
    judge_s: float = 1.0
    """After a meeting it takes so long until something is said of it, ..."""
    judge_every_s: float = 0.5
    """... it is looked at again so often, ..."""
    settle_s: float = 6.0
    """... and what is still open so long after it stays open."""
    vote: float = 0.8
    """What one camera's own track that goes on with its person is worth; cameras err together."""
    together: float = 0.45
    """How often the cameras' own tracks are exchanged together with the floor's, which goes by them too: so far their
    saying that all is as it was is believed, no further."""
    pure: float = 0.8
    """A camera's track belongs to one of two people if it was theirs in so many more of its looks."""
    stature_sigma_m: float = 0.035
    """Between two estimates of one upright person's height."""
    stature_share: float = 0.75
    """Upright is who is this high among the heights of a while: the rest bends."""
    bent: float = 0.25
    """How often somebody's height afterwards says nothing, and over how many metres it then spreads."""
    bent_spread_m: float = 0.6
    least_heights: int = 5
    looks: int = 3
    """What people wear is looked at in so many cameras, those in which they are largest."""
    colour_scale: float = 0.07
    """By how much one person's look differs from one time to the next, of 2 (mean) ..."""
    changed: float = 0.05
    """... unless they have taken their jacket off, or put something on."""
    say: float = 0.15
    """From this chance of an exchange on, it is told as ambiguous ..."""
    sure: float = 0.99
    """... and from this one on as a swap; below 1 minus it, what was ambiguous is settled."""
    retell: float = 0.05
    """What is still open in the end is told again if its chance has changed by so much."""
    leap_m: float = 0.3
    """Who moves so far from one window to the next has leapt, ..."""
    landed_m: float = 0.25
    """... to so near a place that somebody else left, ..."""
    leap_back_s: float = 3.0
    """... and was taken for them for so long at most."""
    start_s: float = 1.0
    """People may be inside when it begins."""
    lost_s: float = 60.0
    """Whose label ended so long ago is not looked for any more; until then they can have gone ..."""
    reach_m: float = 0.8
    walk_m_s: float = 1.8
    """... so far at once, and so far a second."""
    twin_m: float = 0.4
    """A label that stands so near to another one ..."""
    twin_s: float = 1.0
    """... for so long until it ends ..."""
    twin_way_m: float = 1.5
    """... no further from where it began, was a second one of the same body."""
