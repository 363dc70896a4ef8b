# SPDX-License-Identifier: AGPL-3.0-or-later
"""Compare what a run found with what really happened. The only reader of a recording's `truth/` beside training.

The keys of `Score.as_dict()` are documented in docs/scoring.md and stay.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from calibration.boxes import box_iou
from calibration.layout import load_layout
from sim.identity_events import IdentityCounts, identities, read_events
from sim.positions import by_stay, inside_the_shop, truth_at
from sim.run_truth import capture_times, read_json, read_lines, read_positions
from sim.tracking_score import TrackingScore, score_tracks

EVENT_WINDOW_NS = 2_000_000_000
"""A found event belongs to a true one of the same kind and product that is at most this far away in time."""


@dataclass(frozen=True)
class Counts:
    """True positives, false positives, false negatives; shares of nothing are 1."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.right + other.right, self.wrong + other.wrong, self.missed + other.missed)

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        total = 2 * self.right + self.wrong + self.missed
        return 2 * self.right / total if total else 1.0

    def as_dict(self) -> dict:
        return asdict(self) | {"precision": self.precision, "recall": self.recall, "f1": self.f1}


@dataclass(frozen=True)
class VisitScore:
    """One shopper's receipt beside the truth; GTIN -> units. `truth_members`, `billed_members`: the same of each member
    of a party, the payer first; empty for who came alone."""

    shopper_id: str
    truth: dict[str, int]
    billed: dict[str, int]
    held: dict[str, int]
    has_receipt: bool
    seconds_to_receipt: float | None
    truth_members: tuple[dict[str, int], ...] = ()
    billed_members: tuple[dict[str, int], ...] = ()

    @property
    def items(self) -> Counts:
        right = sum((Counter(self.truth) & Counter(self.billed)).values())
        return Counts(right, sum(self.billed.values()) - right, sum(self.truth.values()) - right)

    @property
    def exact(self) -> bool:
        """Billed is what was taken, and nothing was left open for a person to decide."""
        return self.has_receipt and self.truth == self.billed and not self.held

    @property
    def members_exact(self) -> bool | None:
        """Each member's own list is what they took; None for who came alone. A receipt numbers the payer's guests as
        they came in and names none, so theirs are compared without an order."""
        if not self.truth_members:
            return None
        (payer, *guests), (billed, *others) = self.truth_members, self.billed_members
        return payer == billed and sorted(map(_listed, guests)) == sorted(map(_listed, others))


@dataclass(frozen=True)
class Score:
    recording_id: str
    visits: tuple[VisitScore, ...]
    receipts_without_visit: int
    without_pass: int
    without_pass_shown: int
    picks: Counts
    put_backs: Counts
    tracking: TrackingScore
    identity: IdentityCounts
    detection_recall: float | None

    @property
    def items(self) -> Counts:
        return sum((v.items for v in self.visits), Counts())

    def as_dict(self) -> dict:
        return {
            "recording_id": self.recording_id,
            "items": self.items.as_dict(),
            "receipts": {
                "visits": len(self.visits),
                "exact": sum(v.exact for v in self.visits),
                "held": sum(bool(v.held) for v in self.visits),
                "missing": sum(not v.has_receipt for v in self.visits),
                "without_visit": self.receipts_without_visit,
                "without_pass": self.without_pass,
                "without_pass_shown": self.without_pass_shown,
            },
            "picks": self.picks.as_dict(),
            "put_backs": self.put_backs.as_dict(),
            "floor": asdict(self.tracking),
            "identity": asdict(self.identity) | {"shares": self.identity.shares()},
            "detection_recall": self.detection_recall,
            "visits": [asdict(v) | {"exact": v.exact, "members_exact": v.members_exact} for v in self.visits],
        }


def score_run(recording: Path, run: Path, gate_m: float = 0.5) -> Score:
    """Score the folder that `walkout run` wrote against a recording that has `truth/`.

    Raises `RecordingError` when either folder lacks a file.
    """
    recording, run = Path(recording), Path(run)
    manifest = read_json(recording / "manifest.json")
    layout = load_layout(recording / "layout.yaml")
    truth_visits = read_json(recording / "truth" / "receipts.json")["visits"]
    receipts = read_json(run / "receipts.json")["receipts"]
    visits, without = _score_visits(truth_visits, receipts)
    events = read_lines(run / "events.jsonl")
    found = [e for e in events if e["type"] == "shelf-event"]
    truth_events = read_lines(recording / "truth" / "events.jsonl")
    truth_xy = read_positions(recording / "truth" / "people.csv", "person")
    track_xy = read_positions(run / "tracks.csv", "track")
    instants = sorted(track_xy) or sorted(truth_xy)
    inside, inside_xy = inside_the_shop(truth_at(by_stay(truth_xy), instants), track_xy, layout, gate_m)
    said = read_events(run / "events.jsonl")
    return Score(
        recording_id=manifest["recording_id"],
        visits=visits,
        receipts_without_visit=without,
        without_pass=sum(v["shopper_id"] is None for v in truth_visits),
        without_pass_shown=sum(e["type"] == "person-without-pass" for e in events),
        picks=_score_events(truth_events, found, "pick"),
        put_backs=_score_events(truth_events, found, "put_back"),
        tracking=score_tracks(inside, inside_xy, gate_m),
        identity=identities(truth_at(truth_xy, instants), track_xy, truth_visits, said, gate_m)[1],
        detection_recall=_detection_recall(recording, run),
    )


def _score_visits(truth_visits: list[dict], receipts: list[dict]) -> tuple[tuple[VisitScore, ...], int]:
    """The newest version of a shopper's n-th receipt belongs to the shopper's n-th visit.

    Who came in without a pass has none: what they took must be on nobody's receipt.
    """
    newest: dict[str, dict] = {}
    for receipt in receipts:
        known = newest.get(receipt["receipt_id"])
        if known is None or receipt["version"] > known["version"]:
            newest[receipt["receipt_id"]] = receipt
    left = sorted(newest.values(), key=lambda r: r["entered_at_ns"])
    visits = []
    for truth in sorted((v for v in truth_visits if v["shopper_id"]), key=lambda v: v["entered_at_ns"] or 0):
        mine = next((r for r in left if r["shopper_id"] == truth["shopper_id"]), None)
        if mine is not None:
            left.remove(mine)
        billed, held = Counter(), Counter()
        of_member: dict[int, Counter] = {}
        for line in mine["lines"] if mine else ():
            (billed if line["status"] == "billed" else held)[line["gtin"]] += line["quantity"]
            if line["status"] == "billed":
                of_member.setdefault(line.get("member", 1), Counter())[line["gtin"]] += line["quantity"]
        delay = None
        if mine and truth["left_at_ns"]:
            delay = (mine["at_ns"] - truth["left_at_ns"]) / 1e9
        party = tuple(_some(items) for items in truth.get("members", {}).values())
        by_member = (
            tuple(dict(of_member.get(k + 1, {})) for k in range(max(len(party), *of_member, 1))) if party else ()
        )
        visits.append(
            VisitScore(
                truth["shopper_id"], _some(truth["items"]), dict(billed), dict(held), mine is not None, delay, party,
                by_member,
            )
        )  # fmt: skip
    return tuple(visits), len(left)


def _listed(items: dict[str, int]) -> list[tuple[str, int]]:
    return sorted(items.items())


def _some(items: dict[str, int]) -> dict[str, int]:
    return {gtin: n for gtin, n in items.items() if n}


def _score_events(truth: Iterable[dict], found: Iterable[dict], kind: str) -> Counts:
    """Pair found with true events of one kind by product and time, so that the sum of time differences is least."""
    true = [(e["gtin"], e["at_ns"]) for e in truth if e["event"] == kind for _ in range(e["quantity"])]
    seen = [
        (e["products"][0]["value"], (e["t0_ns"] + e["t1_ns"]) // 2)
        for e in found
        if e["kind"] == kind
        for _ in range(int(e["quantities"][0]["value"]))
    ]
    if not true or not seen:
        return Counts(0, len(seen), len(true))
    gap = np.array([[abs(a - b) if g == h else np.inf for h, b in seen] for g, a in true])
    possible = gap <= EVENT_WINDOW_NS
    cost = np.where(possible, gap / EVENT_WINDOW_NS, 1e6)
    rows, columns = linear_sum_assignment(cost)
    right = int(possible[rows, columns].sum())
    return Counts(right, len(seen) - right, len(true) - right)


def _detection_recall(recording: Path, run: Path, visible_at_least: float = 0.5, iou: float = 0.5) -> float | None:
    """Share of the people at least half visible that a detection covers, over the pictures the network looked at."""
    path = run / "detections.npz"
    if not path.exists():
        return None
    with np.load(recording / "truth" / "boxes.npz", allow_pickle=False) as file:
        truth = dict(file)
    with np.load(path, allow_pickle=False) as file:
        found = dict(file)
    manifest = read_json(recording / "manifest.json")
    file_of = {c["id"]: recording / c["file"] for c in manifest["cameras"]}
    hits = total = 0
    for index, camera in enumerate(truth["cameras"]):
        if f"{camera}.looked_ns" not in found:
            continue
        looked, at_ns = found[f"{camera}.looked_ns"], found[f"{camera}.at_ns"]
        captured = capture_times(file_of[str(camera)], manifest["start_ns"])
        mine = np.flatnonzero((truth["camera"] == index) & (truth["visible"] >= visible_at_least))
        when = captured[truth["frame"][mine]]
        for instant in np.intersect1d(when, looked):
            want = truth["xyxy_px"][mine[when == instant]]
            got = found[f"{camera}.xyxy_px"][at_ns == instant]
            total += len(want)
            if len(got):
                overlap = box_iou(want, got)
                rows, columns = linear_sum_assignment(-overlap)
                hits += int((overlap[rows, columns] >= iou).sum())
    return hits / total if total else None
