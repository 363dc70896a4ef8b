# SPDX-License-Identifier: AGPL-3.0-or-later
"""A shop of two gondolas with four slots, and short ways to write down what hands do in it."""

from calibration.catalogue import Catalogue, Planogram
from calibration.layout import StoreLayout
from pipeline.messages import (
    Candidate,
    PersonWithoutPass,
    ReceiptIssued,
    ShelfEvent,
    TrackBound,
    VisitClosed,
    VisitOpened,
)

COLA, BREAD, WATER = "2000000000015", "2000000000022", "2000000000039"
S = 1_000_000_000
T0 = 1_700_000_000 * S


def at(seconds: float) -> int:
    return T0 + round(seconds * S)


def layout() -> StoreLayout:
    def gondola(name, y_m):
        slots = [{"id": f"{name}-{i}", "start_m": i / 2, "end_m": (i + 1) / 2} for i in range(2)]
        shelf = {"id": f"{name}-a", "height_m": 1, "depth_m": 0.4, "clearance_m": 0.3, "slots": slots}
        return {
            "id": name, "origin_m": [2, y_m], "facing_deg": -90, "width_m": 1, "height_m": 1.8, "depth_m": 0.4,
            "shelves": [shelf],
        }  # fmt: skip

    camera = {"id": "cam1", "focal_px": [800, 800], "position_m": [0, 0, 2.5], "look_at_m": [3, 1.2, 0]}
    gate = {"id": "gate", "line_m": [[1, 0], [1, 2]], "inward": [1, 0], "tap_m": [0.5, 1]}
    return StoreLayout.model_validate(
        {
            "store_id": "shop", "floor_m": [[0, 0], [6, 0], [6, 4], [0, 4]], "cameras": [camera],
            "gondolas": [gondola("g1", 1.9), gondola("g2", 3.9)], "gates": [gate],
        }
    )  # fmt: skip


def catalogue() -> Catalogue:
    def product(gtin, name, depth_m, height_m):
        return {
            "gtin": gtin, "name": name, "price_minor": 149, "tax_class": "standard", "shape": "box",
            "size_m": (0.06, depth_m, height_m), "weight_g": 330,
        }  # fmt: skip

    products = [product(COLA, "Cola", 0.06, 0.12), product(BREAD, "Bread", 0.1, 0.1), product(WATER, "Water", 0.1, 0.2)]
    return Catalogue(currency="EUR", tax_classes={"standard": 200}, products=products)


def planogram() -> Planogram:
    """Cola in both slots of g1, bread and water on g2."""
    return Planogram(slots={"g1-0": COLA, "g1-1": COLA, "g2-0": BREAD, "g2-1": WATER})


def hand(kind, at_s, gtin, slot_id, quantity=1, gondola_id=None, product=0.97, sure=0.97, track="t1") -> ShelfEvent:
    return ShelfEvent(
        event_id=f"{kind}-{at_s}-{gtin}-{slot_id}", store_id="shop", at_ns=at(at_s), kind=kind, kind_probability=sure,
        persons=(Candidate(value=track, probability=0.98),), products=(Candidate(value=gtin, probability=product),),
        quantities=(Candidate(value=str(quantity), probability=0.97),),
        gondola_id=gondola_id or slot_id.split("-")[0], slot_id=slot_id, t0_ns=at(at_s), t1_ns=at(at_s + 0.5),
    )  # fmt: skip


def pick(at_s, gtin, slot_id, quantity=1, **more) -> ShelfEvent:
    return hand("pick", at_s, gtin, slot_id, quantity, **more)


def put_back(at_s, gtin, slot_id, quantity=1, **more) -> ShelfEvent:
    return hand("put_back", at_s, gtin, slot_id, quantity, **more)


def opened(at_s, visit_id="v-abcd1", party_size=1) -> VisitOpened:
    return VisitOpened(
        event_id=f"{visit_id}-open", store_id="shop", at_ns=at(at_s), visit_id=visit_id, gate_id="gate",
        shopper_id="anna", party_size=party_size,
    )  # fmt: skip


def bound(at_s, visit_id="v-abcd1", track="t1") -> TrackBound:
    return TrackBound(
        event_id=f"{visit_id}-{track}-{at_s}", store_id="shop", at_ns=at(at_s), visit_id=visit_id, track_id=track
    )


def without_pass(at_s, visit_id="v-zzzz9", track="t9", behind=None) -> PersonWithoutPass:
    return PersonWithoutPass(
        event_id=f"{visit_id}-open", store_id="shop", at_ns=at(at_s), visit_id=visit_id, gate_id="gate",
        track_id=track, behind_visit_id=behind,
    )  # fmt: skip


def closed(at_s, visit_id="v-abcd1", events=()) -> VisitClosed:
    return VisitClosed(
        event_id=f"{visit_id}-close", store_id="shop", at_ns=at(at_s), visit_id=visit_id, gate_id="gate",
        event_ids=tuple(e.event_id for e in events),
    )  # fmt: skip


def receipt(at_s, lines=(), notes=(), version=1, visit_id="v-abcd1") -> ReceiptIssued:
    return ReceiptIssued(
        event_id=f"r-{visit_id}-{version}", store_id="shop", at_ns=at(at_s), receipt_id=f"r-{visit_id}",
        version=version, visit_id=visit_id, shopper_id="anna", currency="EUR", lines=tuple(lines), total_minor=0,
        taxes=(), held_for_review=False, notes=tuple(notes), entered_at_ns=T0, left_at_ns=at(at_s),
    )  # fmt: skip
