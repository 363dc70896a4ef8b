# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every number of the gate, in one place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class GateSettings:
    """Lengths in metres, times in seconds."""

    bind_settle_s: float = 0.5
    """After a tap, wait this long before choosing: a person's track may be some frames younger than the person."""
    bind_wait_s: float = 3.0
    """A tap without anybody near waits this long for a track to be born."""
    bind_around_s: float = 1.5
    """When nobody stood there at the very moment: who did so at most this much earlier or later."""
    walk_m_s: float = 1.5
    """How fast people move, where a place and an instant must be matched."""
    arm_m: float = 0.25
    """Who has been this far inside the line can leave; before, it is somebody still coming in."""
    line_margin_m: float = 0.4
    """How far beside the gate's posts a crossing still counts: floor points are not exact."""
    confirm_m: float = 0.2
    """This far outside the line is outside; nearer, it needs `confirm_s`."""
    confirm_s: float = 0.2
    lost_s: float = 1.5
    """Not seen for so long is lost."""
    near_m: float = 0.8
    """Lost this near to the line while heading out has left."""
    heading_out_m_s: float = 0.15
    stitch_s: float = 15.0
    """A track that begins inside continues a visit that was lost at most so long ago ..."""
    stitch_m: float = 0.8
    """... and about this far away, plus what one walks meanwhile (at most `stitch_walk_s`)."""
    stitch_walk_s: float = 2.0
    inside_birth_m: float = 0.8
    """A track that begins nearer to the line than this may be somebody new at the gate."""
    forget_s: float = 120.0
    """Memory of tracks that are gone."""
