# SPDX-License-Identifier: AGPL-3.0-or-later
"""Compare what a run found with what really happened. The only reader of a recording's `truth/` beside training.

The keys of `Score.as_dict()` are documented in docs/scoring.md and stay.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from shapely import contains_xy

from calibration.boxes import box_iou
from calibration.layout import StoreLayout, load_layout
from pipeline.errors import RecordingError
from sim.identity_events import IdentityCounts, identities, read_events
from sim.tracking_score import Positions, TrackingScore, score_tracks

EVENT_WINDOW_NS = 2_000_000_000
"""A found event belongs to a true one of the same kind and product that is at most this far away in time."""
AWAY_NS = 2_000_000_000
"""Who has no place for longer than this has gone. Identities end with the visit: who comes back is somebody else."""


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
    manifest = _read_json(recording / "manifest.json")
    layout = load_layout(recording / "layout.yaml")
    truth_visits = _read_json(recording / "truth" / "receipts.json")["visits"]
    receipts = _read_json(run / "receipts.json")["receipts"]
    visits, without = _score_visits(truth_visits, receipts)
    events = _read_lines(run / "events.jsonl")
    found = [e for e in events if e["type"] == "shelf-event"]
    truth_events = _read_lines(recording / "truth" / "events.jsonl")
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


def by_stay(truth: Positions) -> Positions:
    """The truth's rows with everybody's second stay under another name, and so on."""
    last_ns: dict[str, int] = {}
    stays: Counter[str] = Counter()
    named = {}
    for at_ns in sorted(truth):
        people, xy = truth[at_ns]
        for person in people:
            stays[person] += at_ns - last_ns.get(person, at_ns) > AWAY_NS
            last_ns[person] = at_ns
        named[at_ns] = ([f"{p}, stay {stays[p] + 1}" if stays[p] else p for p in people], xy)
    return named


def truth_at(truth: Positions, instants: Iterable[int]) -> Positions:
    """Where everybody is at the given instants, interpolated between the truth's rows."""
    series: dict[str, list[tuple[int, float, float]]] = {}
    for at_ns, (names, xy) in truth.items():
        for name, (x, y) in zip(names, xy, strict=True):
            series.setdefault(name, []).append((at_ns, x, y))
    instants = np.array(list(instants), np.int64)
    here: dict[int, tuple[list[str], list]] = {int(t): ([], []) for t in instants}
    for name, rows in sorted(series.items()):
        table = np.array(sorted(rows), dtype=object)
        times = table[:, 0].astype(np.int64)
        x = np.interp(instants, times, table[:, 1].astype(float))
        y = np.interp(instants, times, table[:, 2].astype(float))
        there = (instants >= times[0]) & (instants <= times[-1])
        for t, px, py in zip(instants[there], x[there], y[there], strict=True):
            here[int(t)][0].append(name)
            here[int(t)][1].append((px, py))
    return {t: (names, np.reshape(np.array(xy, float), (-1, 2))) for t, (names, xy) in here.items()}


def inside_the_shop(
    truth: Positions, tracks: Positions, layout: StoreLayout, gate_m: float
) -> tuple[Positions, Positions]:
    """Leave out who is not on the shop's floor, and the tracks out there.

    People in front of the door may be followed or not: neither is a mistake. A track outside counts only while it may
    belong to somebody inside, that is within the gate.
    """
    kept_truth, kept_tracks = {}, {}
    nobody = ([], np.zeros((0, 2)))
    for instant in set(truth) | set(tracks):
        names, xy = truth.get(instant, nobody)
        track_names, track_xy = tracks.get(instant, nobody)
        indoors = contains_xy(layout.floor, xy[:, 0], xy[:, 1])
        near = (cdist(track_xy, xy[indoors]) <= gate_m).any(axis=1)
        counted = near | contains_xy(layout.floor, track_xy[:, 0], track_xy[:, 1])
        kept_truth[instant] = ([n for n, keep in zip(names, indoors, strict=True) if keep], xy[indoors])
        kept_tracks[instant] = ([n for n, keep in zip(track_names, counted, strict=True) if keep], track_xy[counted])
    return kept_truth, kept_tracks


def _detection_recall(recording: Path, run: Path, visible_at_least: float = 0.5, iou: float = 0.5) -> float | None:
    """Share of the people at least half visible that a detection covers, over the pictures the network looked at."""
    path = run / "detections.npz"
    if not path.exists():
        return None
    with np.load(recording / "truth" / "boxes.npz", allow_pickle=False) as file:
        truth = dict(file)
    with np.load(path, allow_pickle=False) as file:
        found = dict(file)
    manifest = _read_json(recording / "manifest.json")
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


def capture_times(video: Path, start_ns: int) -> np.ndarray:
    """int64 (frames,): when each picture of a recorded video was taken, as its stamps say."""
    import av

    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        stamps = sorted(p.pts for p in container.demux(stream) if p.pts is not None)
        return np.array([start_ns + round(pts * stream.time_base * 1_000_000_000) for pts in stamps], np.int64)


def read_positions(path: Path, name_column: str) -> Positions:
    rows: dict[int, tuple[list[str], list]] = {}
    with _open(path) as file:
        for row in csv.DictReader(file):
            names, xy = rows.setdefault(int(row["at_ns"]), ([], []))
            names.append(row[name_column])
            xy.append((float(row["x_m"]), float(row["y_m"])))
    return {t: (names, np.array(xy)) for t, (names, xy) in rows.items()}


def _read_lines(path: Path) -> list[dict]:
    with _open(path) as file:
        return [json.loads(line) for line in file if line.strip()]


def _read_json(path: Path) -> dict:
    with _open(path) as file:
        return json.load(file)


def _open(path: Path):
    try:
        return path.open(encoding="utf-8")
    except FileNotFoundError:
        what = "a scored recording needs its truth" if "truth" in path.parts else "is it complete?"
        raise RecordingError(f"{path}: no such file; {what}") from None
