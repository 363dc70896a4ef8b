# SPDX-License-Identifier: AGPL-3.0-or-later
"""A small catalogue, and short ways to write down what happens in a visit."""

from calibration.catalogue import Catalogue
from pipeline.messages import Candidate, Event, ShelfEvent, TrackBound, VisitClosed, VisitOpened

COLA, BREAD, WATER = "2000000000015", "2000000000022", "2000000000039"
S = 1_000_000_000
T0 = 1_700_000_000 * S


def candidates(given) -> tuple[Candidate, ...]:
    return tuple(Candidate(value=str(v), probability=p) for v, p in given.items())


def shelf(kind, at_s, product=COLA, person="t1", quantity=1, sure=0.95, event_id=None) -> ShelfEvent:
    """`product`, `person`, `quantity`: one value, or value -> probability."""

    def spread(value):
        return candidates(value if isinstance(value, dict) else {value: 0.97})

    at_ns = T0 + round(at_s * S)
    return ShelfEvent(
        event_id=event_id or f"{kind}-{at_s}", store_id="shop", at_ns=at_ns, kind=kind, kind_probability=sure,
        persons=spread(person), products=spread(product), quantities=spread(quantity), gondola_id="g1",
        slot_id="g1-1", t0_ns=at_ns - S // 2, t1_ns=at_ns + S // 2,
    )  # fmt: skip


def pick(at_s, *args, **kwargs) -> ShelfEvent:
    return shelf("pick", at_s, *args, **kwargs)


def put_back(at_s, *args, **kwargs) -> ShelfEvent:
    return shelf("put_back", at_s, *args, **kwargs)


def visit(*shelf_events, track="t1", shopper="anna", visit_id="v1", others=(), until_s=100) -> list[Event]:
    """Opening, binding, shelf events and the closing that names them all; `others`: bindings of other visits."""
    opened = VisitOpened(
        event_id=f"{visit_id}-open", store_id="shop", at_ns=T0, visit_id=visit_id, gate_id="gate", shopper_id=shopper
    )
    bound = TrackBound(event_id=f"{visit_id}-bound", store_id="shop", at_ns=T0, visit_id=visit_id, track_id=track)
    before = [opened, bound, *others, *shelf_events]
    closed = VisitClosed(
        event_id=f"{visit_id}-close", store_id="shop", at_ns=T0 + round(until_s * S), visit_id=visit_id,
        gate_id="gate", event_ids=tuple(e.event_id for e in before),
    )  # fmt: skip
    return [*before, closed]


def small_catalogue() -> Catalogue:
    def product(gtin, name, price_minor, tax_class):
        return {
            "gtin": gtin, "name": name, "price_minor": price_minor, "tax_class": tax_class,
            "shape": "can", "size_m": (0.06, 0.06, 0.12), "weight_g": 330,
        }  # fmt: skip

    return Catalogue(
        currency="EUR",
        tax_classes={"standard": 200, "reduced": 55},
        products=[
            product("2000000000015", "Cola", 149, "standard"),
            product("2000000000022", "Bread", 101, "reduced"),
            product("2000000000039", "Water", 55, "standard"),
        ],
    )
