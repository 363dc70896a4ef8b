# SPDX-License-Identifier: AGPL-3.0-or-later
"""The gate's memory as text, so that whoever takes over knows who is inside and where each was seen last."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import TypeAdapter

from pipeline.errors import StateError
from pipeline.gate.ledger import Ledger
from pipeline.gate.paths import Path
from pipeline.gate.present import Bound, OpenVisit, Present
from pipeline.messages import Event

VERSION = 1
_EVENT = TypeAdapter(Event)


def dump(present: Present, ledger: Ledger) -> dict[str, Any]:
    """JSON-able. Tracks of nobody are left out: after a restart they are new ones."""
    tracks = {t for t in present.who if t in present.paths}
    return {
        "version": VERSION,
        "visits": [
            {
                "opened": visit.opened.model_dump(mode="json"),
                "bound": [[b.track_id, b.member, b.from_ns, b.event_id] for b in visit.bound],
                "armed": sorted(visit.armed),
                "joined": visit.joined,
                "staff": visit.staff,
                "brought_ns": visit.brought_ns,
            }
            for visit in present.in_order()
        ],
        "who": {track_id: list(owner) for track_id, owner in sorted(present.who.items())},
        "seen": {
            track_id: [path.born_ns, path.seen_ns, *map(float, path.seen_xy_m), *map(float, path.seen_velocity_m_s)]
            for track_id, path in sorted(present.paths.items())
            if track_id in tracks
        },
        "outside": {t: list(since) for t, since in sorted(present.outside.items()) if t in tracks},
        **ledger.dump(),
    }


def load(body: dict[str, Any], present: Present, ledger: Ledger) -> None:
    """The other way, into an empty gate. `StateError` when another version of walkout wrote it."""
    if body.get("version") != VERSION:
        raise StateError(
            f"gate snapshot of store {present.store_id}: version {body.get('version')!r}, expected {VERSION}: start "
            "with the walkout that wrote it and let the shop empty"
        )
    for entry in body["visits"]:
        visit = OpenVisit(
            _EVENT.validate_python(entry["opened"]),
            [Bound(*values) for values in entry["bound"]],
            set(entry["armed"]),
            entry["joined"],
            entry["staff"],
            list(entry["brought_ns"]),
        )
        present.visits[visit.visit_id] = visit
    present.who.update({track_id: (visit_id, member) for track_id, (visit_id, member) in body["who"].items()})
    for track_id, (born_ns, seen_ns, x, y, vx, vy) in body["seen"].items():
        xy = np.array([x, y])
        present.paths[track_id] = Path(track_id, born_ns, xy, seen_ns, xy, np.array([vx, vy]), since_ns=born_ns)
    present.outside.update({t: (since_ns, gate_id) for t, (since_ns, gate_id) in body["outside"].items()})
    ledger.load(body)
