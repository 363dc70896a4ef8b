# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is deleted when it is old, and above all what is not."""

import pytest
from sqlalchemy import insert, select, update
from typer.testing import CliRunner

from pipeline.cart.aggregator import Aggregator
from pipeline.cart.desk import Desk
from pipeline.cart.tables import events, exits, receipts
from pipeline.cli import app
from pipeline.eventlog import open_log
from pipeline.payment.bank import Bank
from pipeline.payment.desk import TOPICS, PaymentDesk
from pipeline.payment.settings import PaymentSettings
from pipeline.payment.tables import notices, payments
from pipeline.retention import prune
from pipeline.review.tables import cases
from pipeline.state import Database
from tests.unit.cart.events import T0, S, pick, visit

DAY = 86_400 * S
LATER = T0 + 100 * DAY
"""Before this, everything that the tests below make is old."""


@pytest.fixture
def shop(tmp_path, catalogue):
    """Reads and bills what it is given; both files stay open."""

    class Shop:
        log = open_log(f"sqlite:///{tmp_path}/log.sqlite")
        state = Database(f"sqlite:///{tmp_path}/state.sqlite")

        def bill(self, *given):
            self.log.append(given)
            aggregator = Aggregator(self.log, self.state, catalogue, timer_s=0)
            bank = Bank(tmp_path / "bank.sqlite")
            desk = PaymentDesk(self.log, self.state, bank, PaymentSettings())
            aggregator.catch_up(self.log.ends(("walkout.visits", "walkout.shelf-events")))
            desk.catch_up(self.log.ends(TOPICS))
            for part in (aggregator, desk, bank):
                part.close()

        def ids(self, table=events, column="event_id"):
            with self.state.transaction() as db:
                return set(db.execute(select(table.c[column])).scalars())

        def change(self, statement):
            with self.state.transaction() as db:
                db.execute(statement)

    shop = Shop()
    yield shop
    shop.state.close()
    shop.log.close()


def test_events_of_a_visit_that_is_billed_and_paid_go_and_its_receipt_stays(shop):
    shop.bill(*visit(pick(1), pick(2)))
    assert prune(shop.state, T0 - DAY).events == 0
    counted = prune(shop.state, LATER, dry_run=True)
    assert counted.events == len(shop.ids()) == 5 and counted.events_kept == 0
    assert prune(shop.state, LATER) == counted and shop.ids() == set()
    assert shop.ids(receipts, "visit_id") == shop.ids(exits, "visit_id") == shop.ids(payments, "visit_id") == {"v1"}


def test_an_old_exit_that_is_read_again_afterwards_makes_no_second_receipt(shop):
    events = visit(pick(1))
    shop.bill(*events)
    prune(shop.state, LATER, shop.log)
    shop.bill(*events)
    with shop.state.transaction() as db:
        assert len(db.execute(select(receipts.c.version)).all()) == 1


def test_what_somebody_has_to_look_at_is_kept(shop):
    """A held receipt, an exit that waits, a payment that is owed, a case that is open; and what younger visits name."""
    waiting = visit(pick(1, event_id="w1"), pick(2, event_id="never"), track="t2", visit_id="waits")
    shop.bill(*visit(pick(1, sure=0.5, event_id="h1"), visit_id="held"))
    shop.bill(*visit(pick(3, event_id="o1", person="t3"), track="t3", visit_id="owed"))
    shop.bill(*visit(pick(3, event_id="c1", person="t4"), track="t4", visit_id="case"))
    shop.bill(*visit(pick(3, event_id="d1", person="t5"), track="t5", visit_id="done"))
    shop.log.append([e for e in waiting if e.event_id != "never"])
    reading = Aggregator(shop.log, shop.state, small(), timer_s=0)
    while reading.step(0):
        pass
    reading.close()
    shop.change(update(payments).where(payments.c.visit_id == "owed").values(state="open"))
    shop.change(insert(cases).values(**case("case", "open")))
    done = prune(shop.state, LATER)
    assert {"h1", "o1", "c1", "w1"} <= shop.ids() and "d1" not in shop.ids()
    assert done.events == 4 and done.events_kept == len(shop.ids())

    shop.change(update(payments).where(payments.c.visit_id == "owed").values(state="paid"))
    shop.change(update(cases).values(state="resolved", decided_ns=LATER + 1))
    prune(shop.state, LATER)
    assert "o1" not in shop.ids() and "c1" in shop.ids()  # decided lately: it may be asked about again
    prune(shop.state, LATER + DAY)
    assert "c1" not in shop.ids() and {"h1", "w1"} <= shop.ids()


def test_an_event_that_a_younger_visit_names_too_is_kept(shop):
    """Somebody's hand near another one's: both closings name it, one of them is old."""
    shared = pick(1, person={"t1": 0.8, "t2": 0.2}, event_id="shared")
    old, young = visit(shared, until_s=50), visit(shared, track="t2", visit_id="v2", until_s=5000)
    shop.bill(*old, *[e for e in young if e.event_id != "shared"])
    prune(shop.state, T0 + 100 * S)
    assert "shared" in shop.ids() and "v1-open" not in shop.ids() and "v2-open" in shop.ids()


def test_a_correction_makes_a_visit_young_again(shop, catalogue):
    from pipeline.cart.corrections import RemoveLine

    shop.bill(*visit(pick(1), pick(2)))
    desk = Desk(shop.state, catalogue, clock=lambda: LATER + 1)
    with shop.state.transaction() as db:
        receipt_id = db.execute(select(receipts.c.receipt_id)).scalar()
    receipt = desk.newest(receipt_id)
    desk.correct(receipt, [RemoveLine(line_id=receipt.lines[0].line_id)], by="s7", reason="looked at it")
    assert prune(shop.state, LATER).events == 0


def test_notices_go_and_the_log_keeps_receipts_and_where_its_topics_end(shop):
    shop.bill(*visit(pick(1), pick(2)))
    shop.change(insert(notices).values(provider="test", notice_id="n1", kind="captured", at_ns=T0))
    ends = shop.log.ends(("walkout.visits", "walkout.shelf-events", "walkout.receipts"))
    done = prune(shop.state, LATER, shop.log)
    assert done.notices == 1 and done.log_records == 3  # opening, binding, the first pick
    assert shop.log.ends(tuple(topic for topic, _ in ends)) == ends


def test_the_command_counts_first_and_deletes_then(shop, tmp_path):
    shop.bill(*visit(pick(1), pick(2)))
    asked = ["state", "prune", f"sqlite:///{tmp_path}/state.sqlite", "--log", f"sqlite:///{tmp_path}/log.sqlite"]
    said = CliRunner().invoke(app, [*asked, "--dry-run"]).output
    assert said.startswith("would be deleted: 5 events, ") and shop.ids()
    said = CliRunner().invoke(app, asked).output
    assert said.startswith("deleted: 5 events, ") and not shop.ids()
    assert CliRunner().invoke(app, [*asked[:3], "--keep-days", "29"]).exit_code == 2


def small():
    from tests.unit.cart.events import small_catalogue

    return small_catalogue()


def case(visit_id, state):
    return {
        "case_id": f"case-{visit_id}", "store_id": "shop", "visit_id": visit_id, "receipt_id": f"r-{visit_id}",
        "origin": "dispute", "kind": "not-taken", "claimed_quantity": 0, "text": "", "amount_minor": 1,
        "currency": "EUR", "cameras": "[]", "opened_version": 1, "opened_ns": T0, "promise_ns": T0, "state": state,
        "reason": "", "difference_minor": 0,
    }  # fmt: skip
