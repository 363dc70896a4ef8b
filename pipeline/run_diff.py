# SPDX-License-Identifier: AGPL-3.0-or-later
"""What differs between two runs of the same recording: receipts, events, tracks."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import RecordingError
from pipeline.messages import ReceiptIssued
from pipeline.run_files import EVENTS, RECEIPTS, TRACKS

_SHOWN = 20


@dataclass(frozen=True)
class RunDifference:
    """One line each, for people. True when anything differs."""

    receipts: tuple[str, ...]
    events: tuple[str, ...]
    tracks: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.receipts or self.events or self.tracks)

    def text(self) -> str:
        if not self:
            return "No difference: receipts, events and tracks are the same."
        parts = []
        for title, lines in (("Receipts", self.receipts), ("Events", self.events), ("Tracks", self.tracks)):
            if not lines:
                parts.append(f"{title}: the same")
                continue
            parts.append(f"{title}:")
            parts += [f"  {line}" for line in lines[:_SHOWN]]
            if len(lines) > _SHOWN:
                parts.append(f"  ... and {len(lines) - _SHOWN} more")
        return "\n".join(parts)


def compare_runs(before: Path, after: Path) -> RunDifference:
    """Compare the folders of two runs; `RecordingError` when one is not a run."""
    return RunDifference(
        tuple(_receipts(*(json.loads(_read(folder, RECEIPTS))["receipts"] for folder in (before, after)))),
        tuple(_events(_read(before, EVENTS), _read(after, EVENTS))),
        tuple(_tracks(_read(before, TRACKS), _read(after, TRACKS))),
    )


def _read(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise RecordingError(f"{folder / name}: {error.strerror}; is {folder} a run?") from None


def receipt_differences(before: Sequence[ReceiptIssued], after: Sequence[ReceiptIssued]) -> list[str]:
    """Of receipts of the same visits: one line each for people. Event ids and probabilities are not compared: another
    tracker names and weighs things differently, and what counts is what is billed, held and why."""

    def plain(receipts: Sequence[ReceiptIssued]) -> list[dict]:
        found = []
        for receipt in receipts:
            data = receipt.model_dump(mode="json", exclude={"event_id", "at_ns", "entered_at_ns", "left_at_ns"})
            for line in data["lines"]:
                for name in ("event_ids", "alternatives", "taken_at_ns", "line_id"):
                    del line[name]
            for note in data["notes"]:
                del note["event_ids"]
            found.append(data)
        return found

    return _receipts(plain(before), plain(after))


def _receipts(before: Sequence[dict], after: Sequence[dict]) -> list[str]:
    old = {(r["receipt_id"], r["version"]): r for r in before}
    new = {(r["receipt_id"], r["version"]): r for r in after}
    lines = []
    for key in dict.fromkeys([*old, *new]):
        a, b = old.get(key), new.get(key)
        if a == b:
            continue
        receipt = b or a
        who = f"{receipt['shopper_id']} ({receipt['visit_id']})"
        if a is None or b is None:
            lines.append(f"{who}: {'only now' if a is None else 'only before'}, {_money(receipt)}")
            continue
        details = [f"{_money(a)} -> {_money(b)}"] if a["total_minor"] != b["total_minor"] else []
        was, now = _units(a), _units(b)
        for item in sorted({*was, *now}):
            if was[item] != now[item]:
                name, status = item
                details.append(f"{name}, {status}: {was[item]} -> {now[item]}")
        details += _changed_fields(a, b, skip=("total_minor", "taxes")) if not details else []
        lines.append(f"{who}: {'; '.join(details)}")
    return lines


def _units(receipt: dict) -> Counter:
    units: Counter = Counter()
    for line in receipt["lines"]:
        units[line["name"], line["status"]] += line["quantity"]
    return units


def _money(receipt: dict) -> str:
    return f"{receipt['total_minor']} {receipt['currency']} minor units"


def _events(before: str, after: str) -> list[str]:
    old, new = _by_id(before), _by_id(after)
    lines = [f"- {_event(old[i])}" for i in old if i not in new]
    lines += [f"+ {_event(new[i])}" for i in new if i not in old]
    lines += [
        f"~ {_event(new[i])}: {'; '.join(_changed_fields(old[i], new[i]))}"
        for i in new
        if i in old and old[i] != new[i]
    ]
    if not lines and list(old) != list(new):
        lines.append("the same events in another order")
    return lines


def _by_id(text: str) -> dict[str, dict]:
    return {e["event_id"]: e for e in map(json.loads, text.splitlines())}


def _event(event: dict) -> str:
    what = event["type"]
    if what == "shelf-event":
        who, product = event["persons"][0]["value"], event["products"][0]["value"]
        what = f"{event['kind']} of {product} at {event['slot_id'] or event['gondola_id']} by {who}"
    elif "track_id" in event:
        what = f"{what} {event['track_id']}"
    return f"{event['at_ns'] / 1e9:.2f} s {what}"


def _changed_fields(a: dict, b: dict, skip: Sequence[str] = ()) -> list[str]:
    keys = [k for k in dict.fromkeys([*a, *b]) if k not in skip and a.get(k) != b.get(k)]
    return [f"{k}: {_short(a.get(k))} -> {_short(b.get(k))}" for k in keys]


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."


def _tracks(before: str, after: str) -> list[str]:
    if before == after:
        return []
    old, new = _positions(before), _positions(after)
    lines = []
    for track in sorted({t for _, t in old} ^ {t for _, t in new}):
        count = sum(t == track for _, t in old) or sum(t == track for _, t in new)
        lines.append(f"{track}: {'only before' if any(t == track for _, t in old) else 'only now'}, {count} rows")
    both = sorted(old.keys() & new.keys())
    moved = [(max(abs(old[k][0] - new[k][0]), abs(old[k][1] - new[k][1])), k) for k in both if old[k] != new[k]]
    if moved:
        most, (at_ns, track) = max(moved)
        where = f"{track} at {at_ns / 1e9:.2f} s"
        lines.append(f"{len(moved)} of {len(both)} common positions differ, by up to {most:.3f} m ({where})")
    missing = len(old.keys() ^ new.keys())
    if missing:
        lines.append(f"{missing} positions are in one run only")
    return lines or ["the same positions in another order"]


def _positions(text: str) -> dict[tuple[int, str], tuple[float, float]]:
    rows = csv.DictReader(text.splitlines())
    return {(int(r["at_ns"]), r["track"]): (float(r["x_m"]), float(r["y_m"])) for r in rows}
