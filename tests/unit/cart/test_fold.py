# SPDX-License-Identifier: AGPL-3.0-or-later
import pytest

from pipeline.cart.fold import CartState, cart_of, fold, missing
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import StaffDecision, TrackBound
from tests.unit.cart.events import BREAD, COLA, T0, WATER, S, pick, put_back, visit


def bill(catalogue, *shelf_events, rules=None, **kwargs):
    events = visit(*shelf_events, **kwargs)
    return receipt_of(fold(CartState(), *events), "v1", catalogue, rules or BillingRules())


def lines_of(receipt):
    return [(line.gtin, line.quantity, line.status) for line in receipt.lines]


def test_certain_picks_are_billed(catalogue):
    receipt = bill(catalogue, pick(1), pick(2, BREAD), pick(3, COLA, quantity=2))
    assert lines_of(receipt) == [(BREAD, 1, "billed"), (COLA, 3, "billed")]
    assert receipt.total_minor == 101 + 3 * 149
    assert not receipt.held_for_review
    assert receipt.shopper_id == "anna"


def test_what_is_put_back_is_not_billed_and_taking_it_again_is(catalogue):
    assert lines_of(bill(catalogue, pick(1), put_back(2))) == []
    assert lines_of(bill(catalogue, pick(1), put_back(2), pick(3))) == [(COLA, 1, "billed")]


def test_put_back_of_something_never_taken_is_a_note_not_a_discount(catalogue):
    receipt = bill(catalogue, put_back(1), pick(2))
    assert lines_of(receipt) == [(COLA, 1, "billed")]
    assert [(n.gtin, n.quantity, n.event_ids) for n in receipt.notes] == [(COLA, 1, ("put_back-1",))]
    assert receipt.held_for_review


def test_putting_back_more_than_was_taken_notes_the_difference(catalogue):
    receipt = bill(catalogue, pick(1), put_back(2, quantity=3))
    assert lines_of(receipt) == []
    assert sum(n.quantity for n in receipt.notes) == 2


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (pick(1, {COLA: 0.5, WATER: 0.45}), "which product"),
        (pick(1, sure=0.6), "may not have been a pick"),
        (pick(1, person={"t1": 0.55, "t9": 0.45}), "somebody else"),
        (pick(1, quantity="many"), "not plausible"),
        (pick(1, quantity=-1), "not plausible"),
        (pick(1, quantity=1_000_000), "not plausible"),
        (pick(1, quantity="9" * 5000), "not plausible"),
        (pick(1, "4006381333931"), "not in the catalogue"),
    ],
)
def test_what_is_not_certain_is_held_and_says_why(catalogue, event, reason):
    receipt = bill(catalogue, event)
    (line,) = receipt.lines
    assert line.status == "held" and reason in line.reason
    assert line.quantity == 1
    assert receipt.total_minor == 0 and receipt.taxes == () and receipt.held_for_review


def test_the_certain_part_of_a_quantity_is_billed_and_the_rest_held(catalogue):
    receipt = bill(catalogue, pick(1, quantity={2: 0.5, 3: 0.45}))
    assert lines_of(receipt) == [(COLA, 2, "billed"), (COLA, 1, "held")]


def test_a_doubtful_put_back_makes_the_unit_doubtful(catalogue):
    receipt = bill(catalogue, pick(1), pick(2), put_back(3, sure=0.6))
    assert lines_of(receipt) == [(COLA, 1, "billed"), (COLA, 1, "held")]
    held = receipt.lines[1]
    assert "put back" in held.reason and "put_back-3" in held.event_ids


def test_only_what_is_in_the_cart_can_be_put_back(catalogue):
    # The camera leans to water, but the shopper has only cola.
    receipt = bill(catalogue, pick(1), put_back(2, {WATER: 0.6, COLA: 0.4}))
    assert lines_of(receipt) == []
    assert receipt.notes == ()


def test_a_put_back_of_what_was_doubtful_takes_it_out(catalogue):
    assert lines_of(bill(catalogue, pick(1, {COLA: 0.5, WATER: 0.45}), put_back(2, WATER))) == []


def test_nobody_is_billed_for_a_track_without_a_visit(catalogue):
    assert bill(catalogue, pick(1, person="tailgater")).lines == ()


def test_tracks_of_one_visit_add_up(catalogue):
    second = TrackBound(event_id="again", store_id="shop", at_ns=T0, visit_id="v1", track_id="t2")
    events = pick(1, person={"t1": 0.5, "t2": 0.45, "t9": 0.05})
    assert lines_of(bill(catalogue, events, others=[second])) == [(COLA, 1, "billed")]


def test_the_more_probable_visit_gets_the_item(catalogue):
    theirs = TrackBound(event_id="b2", store_id="shop", at_ns=T0, visit_id="v2", track_id="t2")
    event = pick(1, person={"t2": 0.8, "t1": 0.2})
    assert bill(catalogue, event, others=[theirs]).lines == ()


def test_a_track_counts_from_its_binding_on(catalogue):
    later = TrackBound(event_id="b2", store_id="shop", at_ns=T0 + 5 * S, visit_id="v2", track_id="t1")
    assert lines_of(bill(catalogue, pick(4), pick(6), others=[later])) == [(COLA, 1, "billed")]


def test_events_after_the_exit_or_not_named_by_the_closing_are_not_billed(catalogue):
    assert bill(catalogue, pick(11), until_s=10).lines == ()
    events = [*visit(pick(1)), pick(2, event_id="stray")]
    assert lines_of(receipt_of(fold(CartState(), *events), "v1", catalogue, BillingRules())) == [(COLA, 1, "billed")]


def test_an_event_that_never_came_is_noted_and_holds_the_receipt(catalogue):
    events = [e for e in visit(pick(1), pick(2)) if e.event_id != "pick-2"]
    state = fold(CartState(), *events)
    assert missing(state, "v1") == {"pick-2"}
    receipt = receipt_of(state, "v1", catalogue, BillingRules())
    assert receipt.held_for_review and receipt.notes[0].event_ids == ("pick-2",)


def test_the_live_cart_of_an_open_visit(catalogue):
    opened, bound, first, second, _ = visit(pick(1), pick(2, BREAD))
    state = fold(CartState(), opened, bound, first)
    assert missing(state, "v1") is None
    assert [u.gtin for u in cart_of(state, "v1", BillingRules()).units] == [COLA]
    state = fold(state, second)
    assert [u.gtin for u in cart_of(state, "v1", BillingRules()).units] == [COLA, BREAD]


def test_an_open_visit_cannot_be_billed(catalogue):
    with pytest.raises(ValueError, match="not closed"):
        receipt_of(fold(CartState(), *visit(pick(1))[:-1]), "v1", catalogue, BillingRules())


@pytest.mark.parametrize("field", ["person", "product", "kind", "quantity"])
@pytest.mark.parametrize("value", [0.5, 1.01])
def test_rules_are_checked(field, value):
    with pytest.raises(ValueError, match=field):
        BillingRules(**{field: value})


def test_a_clock_that_jumps_back_an_hour_holds_everything(catalogue):
    """The closing lies before the opening; what was taken on either side of the jump is on the receipt, held."""
    events = visit(pick(1), pick(2 - 3600, BREAD), until_s=10 - 3600)
    receipt = receipt_of(fold(CartState(), *events), "v1", catalogue, BillingRules())
    assert lines_of(receipt) == [(COLA, 1, "held")]
    assert "clock jumped back" in receipt.lines[0].reason
    assert [(n.gtin, n.event_ids) for n in receipt.notes] == [(BREAD, ("pick--3598",))]
    assert receipt.total_minor == 0 and receipt.held_for_review and receipt.left_at_ns >= receipt.entered_at_ns


def test_staff_settle_doubts_before_the_exit(catalogue):
    def decided(decision, **kwargs):
        return StaffDecision(
            event_id=f"d-{decision}", store_id="shop", at_ns=T0 + 50 * S, visit_id="v1", decision=decision,
            staff_id="s1", **kwargs,
        )  # fmt: skip

    doubtful = pick(1, {COLA: 0.5, WATER: 0.45})
    assert lines_of(bill(catalogue, doubtful, others=[decided("bill")])) == [(COLA, 1, "billed")]
    assert lines_of(bill(catalogue, doubtful, others=[decided("bill", gtin=WATER)])) == [(WATER, 1, "billed")]
    assert lines_of(bill(catalogue, doubtful, others=[decided("drop")])) == []
    other = decided("drop", shelf_event_ids=("pick-2",))
    assert lines_of(bill(catalogue, doubtful, pick(2, BREAD), others=[other])) == [
        (BREAD, 1, "billed"),
        (COLA, 1, "held"),
    ]
