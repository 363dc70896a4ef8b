# SPDX-License-Identifier: AGPL-3.0-or-later
"""Visits for the money path's benchmarks: made by rule, without cameras, the same for the same seed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from calibration.catalogue import Catalogue
from pipeline.eventlog.codec import cloudevent_headers, encode
from pipeline.messages import (
    TOPIC_OF,
    Candidate,
    Event,
    EvidenceRef,
    ShelfEvent,
    TrackBound,
    VisitClosed,
    VisitOpened,
)

S = 1_000_000_000
T0_NS = 1_700_000_000 * S
VISIT_S = 60.0
"""From the entry to the exit, by the store's clock."""
_BOX = (10.5, 20.0, 80.25, 99.0)


def catalogue(products: int = 40) -> Catalogue:
    """So many products with check digits, prices between 0.50 and 20.00, in two tax classes."""
    rng = random.Random(1)
    return Catalogue(
        currency="EUR",
        tax_classes={"standard": 200, "reduced": 55},
        products=[
            {
                "gtin": _gtin(n), "name": f"Product {n}", "price_minor": rng.randint(50, 2000),
                "tax_class": rng.choice(["standard", "reduced"]), "shape": "box", "size_m": (0.1, 0.1, 0.2),
                "weight_g": 300,
            }
            for n in range(products)
        ],
    )  # fmt: skip


def write_catalogue(path: Path, catalogue: Catalogue) -> None:
    path.write_text(yaml.safe_dump(json.loads(catalogue.model_dump_json(exclude_none=True))), encoding="utf-8")


def make_visits(
    count: int, stores: int, seed: int, catalogue: Catalogue, picks: tuple[int, int] = (2, 8)
) -> list[list[Event]]:
    """`count` visits, each a list of events in the order of time: opening, binding, picks and put-backs, closing.

    Some picks may have been somebody else's, some may have been another product: carts with held lines, as in a shop.
    """
    rng = random.Random(seed)
    gtins = [p.gtin for p in catalogue.products]
    return [_visit(n, f"store-{n % stores:04d}", rng, gtins, picks) for n in range(count)]


def _visit(n: int, store: str, rng: random.Random, gtins: Sequence[str], picks: tuple[int, int]) -> list[Event]:
    visit, track = f"v{n:06d}", f"t{n:06d}"
    common = {"store_id": store}
    events: list[Event] = [
        VisitOpened(
            event_id=f"{visit}-open",
            at_ns=T0_NS,
            visit_id=visit,
            gate_id="gate-1",
            shopper_id=f"s{n % 5000:05d}",
            **common,
        ),
        TrackBound(event_id=f"{visit}-bound", at_ns=T0_NS + S, visit_id=visit, track_id=track, **common),
    ]
    number = rng.randint(*picks)
    for k in range(number):
        at_ns = T0_NS + round((2 + (VISIT_S - 4) * (k + 1) / (number + 1)) * S)
        best, other = rng.sample(gtins, 2)
        sure, mine = rng.choice([0.99, 0.97, 0.9, 0.6]), rng.choice([0.99, 0.99, 0.95, 0.65])
        events.append(
            ShelfEvent(
                event_id=f"{visit}-{k}", at_ns=at_ns, kind=rng.choice(["pick", "pick", "pick", "pick", "put_back"]),
                kind_probability=0.97,
                persons=(_of(track, mine), _of(f"stranger-{n}", round(1 - mine, 3))),
                products=(_of(best, sure), _of(other, round(1 - sure, 3))),
                quantities=(_of(rng.choice("1112"), 0.96),), gondola_id="g1", slot_id="g1-1-1",
                t0_ns=at_ns - S // 2, t1_ns=at_ns + S // 2,
                evidence=tuple(
                    EvidenceRef(camera_id=f"cam-{c}", t0_ns=at_ns - S, t1_ns=at_ns + S, box_xyxy_px=_BOX)
                    for c in rng.sample(range(1, 9), 2)
                ), **common,
            )
        )  # fmt: skip
    events.append(
        VisitClosed(
            event_id=f"{visit}-close", at_ns=T0_NS + round(VISIT_S * S), visit_id=visit, gate_id="gate-1",
            event_ids=tuple(e.event_id for e in events), **common,
        )
    )  # fmt: skip
    return events


@dataclass(frozen=True)
class Sending:
    """One record to be sent `at_s` after the start. `garbage`: nobody can read it."""

    at_s: float
    topic: str
    key: bytes
    body: bytes | None
    headers: list[tuple[str, bytes]]
    garbage: bool = False


@dataclass(frozen=True)
class Disturbances:
    """Shares of the events: sent twice, sent up to `late_s` later than they should be, and garbage beside them."""

    duplicates: float = 0.05
    reordered: float = 0.05
    late_s: float = 2.0
    garbage: float = 0.01


def schedule(visits: Sequence[Sequence[Event]], duration_s: float, seed: int, how: Disturbances) -> list[Sending]:
    """When each event is sent, so that all visits take place within `duration_s`, overlapping, disturbed as said."""
    rng = random.Random(seed)
    visit_s = min(VISIT_S, duration_s / 4)
    sendings = []
    for events in visits:
        start_s = rng.uniform(0, duration_s - visit_s - how.late_s)
        for event in events:
            at_s = start_s + (event.at_ns - T0_NS) / S * visit_s / VISIT_S
            if rng.random() < how.reordered:
                at_s += rng.uniform(0, how.late_s)
            sending = Sending(
                at_s, TOPIC_OF[event.type], event.store_id.encode(), encode(event), cloudevent_headers(event)
            )
            sendings.append(sending)
            if rng.random() < how.duplicates:
                sendings.append(Sending(at_s + rng.uniform(0, how.late_s), *_fields(sending)))
            if rng.random() < how.garbage:
                body = _garbage(rng, sending.body)
                sendings.append(Sending(at_s, sending.topic, sending.key, body, [], garbage=True))
    return sorted(sendings, key=lambda s: s.at_s)


def _fields(sending: Sending) -> tuple:
    return sending.topic, sending.key, sending.body, sending.headers


def _garbage(rng: random.Random, body: bytes) -> bytes | None:
    """Noise, an event cut off, one with a wrong type, one of the future, one that nobody knows, a tombstone."""
    kind = rng.randrange(6)
    if kind == 0:
        return rng.randbytes(rng.randint(1, 300))
    if kind == 1:
        return body[: rng.randint(1, len(body) - 2)]
    if kind == 2:
        return body.replace(b'"at_ns":1', b'"at_ns":"yesterday",1', 1)
    if kind == 3:
        return body.replace(b'"schema_version":', b'"schema_version":99', 1)
    if kind == 4:
        return body.replace(b'"type":"', b'"type":"un', 1)
    return None


def _of(value: str, probability: float) -> Candidate:
    return Candidate(value=value, probability=probability)


def _gtin(n: int) -> str:
    body = f"20{n:010d}"
    return body + str(-sum(int(d) * (3 if i % 2 else 1) for i, d in enumerate(body)) % 10)
