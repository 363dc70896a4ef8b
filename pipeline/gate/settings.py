# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every number of the gate, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GateSettings:
    """Lengths in metres, times in seconds."""

    # --- the tap and the track ---
    bind_settle_s: float = 0.5
    """After a tap, wait this long before choosing: a person's track may be some frames younger than the person."""
    bind_mean_s: float = 0.4
    """Who tapped was near the reader for this long before and after; who was walking past was not."""
    bind_wait_s: float = 3.0
    """A tap without anybody near waits this long for a track to be born."""
    bind_around_s: float = 1.5
    """When nobody stood there at the very moment: who did so at most this much earlier or later."""
    walk_m_s: float = 1.5
    """How fast people move, where a place and an instant must be matched."""

    # --- coming in ---
    arm_m: float = 0.25
    """Who has been this far inside the line has come in, and can leave."""
    inside_birth_m: float = 0.8
    """A track that begins nearer to the line than this may be somebody new at the gate."""
    came_in_m: float = 0.3
    """Such a track has come in when it has got this much further inside since."""
    party_before_s: float = 3.0
    party_after_s: float = 20.0
    """Others of a party come in at most this long before the payer's tap, or after it or each other."""
    without_pass_s: float = 2.5
    """Who came in, and whom no pass explains after this long, has none."""
    without_pass_windows: int = 10
    """... and was seen in as many windows: a ghost is not."""
    ghost_m: float = 0.35
    """A track that stays this near to somebody's is a second track of the same person."""
    unexplained_s: float = 10.0
    """Who was not seen coming in, while nobody is lost whom they may be, has no pass after this long."""
    never_entered_s: float = 60.0
    """A visit whose pass was accepted and whose shopper was not seen for this long did not come about."""

    # --- a track that continues another ---
    stitch_s: float = 15.0
    """A track that begins inside continues a visit that was lost at most so long ago ..."""
    stitch_m: float = 0.8
    """... and about this far away, plus what one walks meanwhile (at most `stitch_walk_s`)."""
    stitch_walk_s: float = 2.0
    stitch_gate_s: float = 3.0
    stitch_gate_m: float = 0.5
    """The same for a track that begins at the gate, where it may be somebody else."""
    only_one_s: float = 5.0
    """A track of this age that nothing explains is the one person who is lost, when it is one."""
    resume_s: float = 120.0
    """After a restart, visits may have been lost for this long: everybody was."""
    resume_birth_s: float = 3.0
    """Tracks born this soon after a restart may have been there before it."""

    # --- going out ---
    line_margin_m: float = 0.4
    """How far beside the gate's posts a crossing still counts: floor points are not exact."""
    confirm_m: float = 0.2
    """This far outside the line is outside; nearer, it needs `confirm_s`."""
    confirm_s: float = 0.2
    return_s: float = 1.0
    """Who was outside is inside again when they have been seen inside for so long."""
    lost_s: float = 1.5
    """Not seen for so long is lost."""
    near_m: float = 0.8
    """Lost this near to the line while heading out has left."""
    heading_out_m_s: float = 0.15
    party_lost_s: float = 15.0
    """A member lost inside for this long does not keep a party's visit open whose others have left."""
    no_payer_settle_s: float = 10.0
    """Nobody waits for the bill of who came in without a pass: it is closed so much after they left, when what others
    did beside them has been settled too, for it may be theirs."""
    abandoned_s: float = 1800.0
    """A visit of which nobody has been seen for this long is closed with what is known."""
    forget_s: float = 120.0
    """Memory of tracks that are gone."""
