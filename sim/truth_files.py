# SPDX-License-Identifier: AGPL-3.0-or-later
"""Writes the `truth/` folder of a recording, see `docs/recording.md`."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from shapely.geometry import Point

from sim.behaviour.play import Handling, Play, Visit

_STEP_S = 0.01
_FINGERS_M = 0.09
"""From the palm's centre to the finger tips."""
HANDS = ("left", "right")


def shopper_id(person: str) -> str:
    """Whose pass somebody of a scenario shows."""
    return f"shopper-{person}"


def write_boxes(path: Path, rows_by_camera: list[tuple[str, dict[str, np.ndarray]]], persons: list[str]) -> None:
    """`boxes.npz` from the rows of each camera in the order of the layout."""
    names = rows_by_camera[0][1].keys()
    columns = {name: np.concatenate([rows[name] for _, rows in rows_by_camera]) for name in names}
    camera = np.concatenate([np.full(len(rows["frame"]), i, np.int32) for i, (_, rows) in enumerate(rows_by_camera)])
    cameras = np.array([name for name, _ in rows_by_camera])
    np.savez_compressed(path, camera=camera, cameras=cameras, persons=np.array(persons), **columns)


def write_people(path: Path, stage, start_ns: int) -> None:
    """`people.csv`: everybody on the shop's floor at the nominal frame times."""
    step_s = 1 / max(spec.fps for spec in stage.layout.cameras)
    times = np.arange(int(np.floor(stage.play.duration_s / step_s))) * step_s
    lines = ["at_ns,person,x_m,y_m"]
    for at_s, states in zip(times, stage.play.timeline.states(times), strict=True):
        for state in states:
            x, y = state.floor_xy_m
            if stage.layout.floor.covers(Point(x, y)):
                lines.append(f"{start_ns + round(at_s * 1e9)},{state.person_id},{x:.4f},{y:.4f}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_events(path: Path, stage, start_ns: int) -> None:
    """`events.jsonl`: picks, put-backs and hand-overs in time order."""
    lines = []
    for event in stage.play.handlings:
        t0_s, t1_s = in_shelf_s(stage, event)
        gondola = stage.layout.slot_by_id[event.slot_id][0].id if event.slot_id else None
        lines.append(
            {
                "event": event.kind,
                "at_ns": start_ns + round(event.at_s * 1e9),
                "t0_ns": start_ns + round(t0_s * 1e9),
                "t1_ns": start_ns + round(t1_s * 1e9),
                "person": event.person,
                "hand": HANDS[event.side],
                "gtin": event.gtin,
                "quantity": event.quantity,
                "gondola_id": gondola,
                "slot_id": event.slot_id,
                "to_person": event.to_person,
            }
        )
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def in_shelf_s(stage, event: Handling) -> tuple[float, float]:
    """When the finger tips cross the shelf's front edge on their way in and out, seconds.

    If they never do (an item that stands out), both are the moment of taking.
    """
    if event.slot_id is None:
        return event.began_s, event.ended_s
    gondola = stage.layout.slot_by_id[event.slot_id][0]
    times = np.arange(event.began_s, event.ended_s, _STEP_S)
    states = [next(s for s in there if s.person_id == event.person) for there in stage.play.timeline.states(times)]
    palms = np.array([body.palms[event.side] for body in stage.crowd.pose(states)])
    tips = palms[:, :3, 3] + _FINGERS_M * palms[:, :3, 0]
    inside = np.flatnonzero(gondola.to_face(tips)[:, 1] < 0)
    if not len(inside):
        return event.at_s, event.at_s
    return min(float(times[inside[0]]), event.at_s), max(float(times[inside[-1]]), event.at_s)


def parties(play: Play) -> list[list[Visit]]:
    """Visits that are one bill, the payer's first, in the order of the scenario; staff are left out."""
    payers = [v for v in play.visits if v.role == "shopper" and v.pays in (None, v.person)]
    guests = [v for v in play.visits if v.role == "shopper" and v.pays not in (None, v.person)]
    return [[payer, *(g for g in guests if payer.pays is not None and g.pays == payer.person)] for payer in payers]


def write_receipts(path: Path, play: Play, start_ns: int) -> None:
    """`receipts.json`: what everybody should be billed for."""

    def at_ns(at_s: float | None) -> int | None:
        return None if at_s is None else start_ns + round(at_s * 1e9)

    visits = []
    for party in parties(play):
        payer = party[0]
        items: dict[str, int] = {}
        for visit in party:
            for gtin, count in visit.items.items():
                items[gtin] = items.get(gtin, 0) + count
        entered = [v.entered_s for v in party if v.entered_s is not None]
        left = None if any(v.left_s is None for v in party) else max(v.left_s for v in party)
        row = {
            "person": payer.person,
            "shopper_id": None if payer.pays is None else shopper_id(payer.pays),
            "entered_at_ns": at_ns(min(entered, default=None)),
            "left_at_ns": at_ns(left),
            "items": dict(sorted(items.items())),
        }
        if len(party) > 1:
            row["members"] = {v.person: v.items for v in party}
        visits.append(row)
    path.write_text(json.dumps({"visits": visits}, indent=2) + "\n", encoding="utf-8")
