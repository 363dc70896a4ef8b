# SPDX-License-Identifier: AGPL-3.0-or-later
"""The demo leaves the reviewer a case, on a real run."""

import pytest
from sqlalchemy import select

from pipeline.cart.records import Records
from pipeline.cart.tables import events
from pipeline.eventlog.codec import decode
from pipeline.site import open_site
from sim.demo import KIND, TEXT, dispute_a_line
from tests.films import keep_films
from tests.web_site import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Anna and ben are billed for bread; there are films of ben's alone."""
    folder = make_run(tmp_path_factory.mktemp("shop"))
    with open_site(folder) as site:
        [receipt] = Records(site.database, site.store_id).page("ben").receipts
        [line] = [line for line in receipt.lines if line.status == "billed"]
        query = select(events.c.body).where(events.c.event_id.in_(line.event_ids), events.c.type == "shelf-event")
        for body in site.database.run(lambda db: db.execute(query).scalars().all()):
            keep_films(site, decode(body), {"cam1": 0.0, "cam2": 0.13}, receipt.visit_id)
    return folder


def test_a_line_with_films_is_disputed_and_says_that_the_demo_did_it(run):
    made = dispute_a_line(run)
    with open_site(run) as site:
        view = site.review.view(made.case_id)
        [asked] = [line for line in view.lines if line.asked]
        assert (view.case.kind, view.case.text, view.case.state) == (KIND, TEXT, "open")
        assert view.case.shopper_id == made.shopper_id == "ben" and asked.line.name == made.name
        assert any(clip.state == "ready" for event in asked.events for clip in event.clips)
        assert site.review.waiting() == made.waiting, "with those that the shop holds itself"
        assert made.case_id in {case.case_id for case in site.review.queue()}
    again = dispute_a_line(run)
    assert (again.case_id, again.waiting) == (made.case_id, made.waiting), "once, however often the demo asks"


def test_what_it_prints_does_the_same_by_hand(run, capsys):
    from pipeline.review.cli import dispute

    made = dispute_a_line(run)
    words = made.command(run).split()
    where, shopper, receipt, kind = words[3:7]
    dispute(where, shopper, receipt, kind, line=words[8])
    assert capsys.readouterr().out.strip() == made.case_id
