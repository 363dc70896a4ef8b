# SPDX-License-Identifier: AGPL-3.0-or-later
"""A receipt in the parts that its page shows."""

from types import SimpleNamespace

import pytest

from pipeline.cart.fold import CartState, fold
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.messages import TrackBound
from pipeline.web.shopper import views
from pipeline.web.shopper.receipt_pages import _rates
from pipeline.web.shopper.views import ReceiptView
from tests.unit.cart.events import BREAD, COLA, T0, WATER, pick, small_catalogue, visit


def receipt(*events, rules=None, **kwargs):
    return receipt_of(fold(CartState(), *visit(*events, **kwargs)), "v1", small_catalogue(), rules or BillingRules())


def payment(state="paid", version=1, open_minor=0, calls=()):
    made = [{"kind": kind, "amount_minor": amount, "state": how} for kind, amount, how in calls]
    return {"state": state, "version": version, "open_minor": open_minor, "calls": made}


def test_lines_by_person_what_is_held_and_what_is_let_go():
    second = TrackBound(event_id="b2", store_id="shop", at_ns=T0, visit_id="v1", track_id="t2", member=2)
    doubtful = pick(4, {WATER: 0.5, BREAD: 0.4})
    view = ReceiptView.of([receipt(pick(1), pick(2, BREAD, person="t2"), doubtful, others=[second])])
    assert [(g.member, [x.gtin for x in g.lines], g.total_minor) for g in view.groups] == [
        (1, [COLA], 149), (2, [BREAD], 101),
    ]  # fmt: skip
    assert [x.gtin for x in view.held] == [WATER] and view.free == () and view.items == 2
    assert views.doubt_text(view.held[0].reason) == views.DOUBTS["product"]
    let_go = ReceiptView.of([receipt(doubtful, rules=BillingRules(doubtful="let-go"))])
    assert [x.gtin for x in let_go.free] == [WATER] and let_go.held == () and let_go.groups == ()


def test_one_person_is_not_numbered():
    (group,) = ReceiptView.of([receipt(pick(1))]).groups
    assert group.member is None


@pytest.mark.parametrize(
    ("given", "label", "paid", "waiting"),
    [
        (None, "Being paid", 0, True),
        (payment("working"), "Being paid", 0, True),
        (payment(version=2), "Being paid", 0, True),  # of another version: this one's is under way
        (payment(calls=[("authorize", 149, "approved"), ("capture", 149, "approved")]), "Paid", 149, False),
        (
            payment(calls=[("capture", 149, "approved"), ("refund", 49, "approved"), ("refund", 9, "declined")]),
            "Paid", 100, False,
        ),
        (payment("open", open_minor=149), "Payment open", 0, False),
        (payment("blocked"), "Payment being looked at", 0, False),
    ],
)  # fmt: skip
def test_what_is_said_of_the_payment(given, label, paid, waiting):
    said = views.payment_of(given, receipt(pick(1)))
    assert (said["label"], said["paid_minor"], said["waiting"]) == (label, paid, waiting)


def test_nothing_taken_is_nothing_to_pay():
    assert views.payment_of(None, receipt())["label"] == "Nothing to pay"


def test_what_was_said_of_a_line_and_of_everything():
    line, whole = (
        SimpleNamespace(line_id=i, kind="not-taken", state="resolved", outcome="remove") for i in ("1", None)
    )
    assert views.kind_text(line) == "I didn't take this" and views.kind_text(whole) == "I took none of this"
    assert views.outcome_text(line) == "We took it off."
    assert views.outcome_text(SimpleNamespace(state="open")) == "Somebody is looking at it."


@pytest.mark.parametrize(("language", "rates"), [("en", {"20", "5.5"}), ("fr", {"20", "5,5"})])
def test_tax_rates_are_written_as_in_the_reader_s_language(language, rates):
    assert set(_rates(receipt(pick(1), pick(2, BREAD)), language).values()) == rates
