# SPDX-License-Identifier: AGPL-3.0-or-later
"""A decision killed with SIGKILL at every step there is, from the click to the refund: around every begin and commit of
the state. Whoever clicks again, with the same key, finds what an undisturbed click makes."""

import itertools
import json
import os
import shutil
import signal
from pathlib import Path

import pytest
from sqlalchemy import event

from pipeline.review import audit
from tests.killing import Steps, in_a_process
from tests.unit.review.shop import ANNA, BEN, Shop


def work(folder: Path, step: Steps) -> None:
    """A dispute, a refund, units that move to the other shopper; then everything is published and paid."""
    shop = Shop(folder)
    for moment in ("begin", "commit"):
        event.listen(shop.database._engine, moment, step)
    lines = {x.gtin: x.line_id for x in first(shop).lines}
    cola, bread = (lines[g] for g in sorted(lines)[:2])
    mine, theirs = first(shop).receipt_id, shop.receipt("v2").receipt_id
    refund = shop.desk.open_dispute("anna", mine, bread, "wrong-price")
    moved = shop.desk.open_dispute("anna", mine, cola, "not-taken")
    shop.desk.resolve(refund, "refund", "rita", "click", amount_minor=30)
    shop.settle()
    shop.desk.resolve(moved, "move", "rita", "click", to_receipt_id=theirs)
    shop.settle()
    shop.close()


def first(shop: Shop):
    return next(r for r in shop.aggregator.receipts() if r.visit_id == "v1" and r.version == 1)


def outcome(folder: Path):
    """All that must be the same in every run."""
    shop = Shop(folder)
    with shop.database.transaction() as db:
        audit.verify(db)
        entries = [(e.kind, e.by, dict(e.about)) for e in audit.parse(audit.export(db))]
    reader, published = shop.log.read("count", ["walkout.receipts"]), {}
    while records := reader.poll(0).records:
        published.update((r.event.event_id, r.event.version) for r in records)
    reader.close()
    found = {
        "receipts": [r.model_dump(mode="json") for r in shop.aggregator.receipts()],
        "published": sorted(published.items()),
        "cases": [vars(c) for c in (*shop.desk.queue(), *shop.desk.resolved())],
        "told": sorted(m.model_dump_json() for m in shop.told()),
        "audit": entries, "books": shop.books(), "payments": [shop.payment(v) for v in ("v1", "v2")],
        "paid": [shop.paid(v) for v in ("v1", "v2")],
    }  # fmt: skip
    shop.close()
    return json.loads(json.dumps(found))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop") / "finished"
    folder.mkdir()
    shop = Shop(folder)
    shop.tell(ANNA, BEN)
    shop.close()
    return folder


def test_killed_at_every_step(tmp_path, finished):
    shutil.copytree(finished, tmp_path / "k0")
    ended, steps = in_a_process(work, tmp_path / "k0")
    assert ended == 0 and steps > 30
    undisturbed = outcome(tmp_path / "k0")
    assert undisturbed["paid"] == [149 + 101 - 149 - 30, 2 * 149]
    every, killed = int(os.environ.get("WALKOUT_CRASH_EVERY", "6")), 0  # 1: every step, which takes minutes
    for k in itertools.count(1, every):
        folder = tmp_path / f"k{k}"
        shutil.copytree(finished, folder)
        ended, _ = in_a_process(work, folder, kill_at=k)
        assert ended in (0, -signal.SIGKILL), f"step {k}: the process ended by itself with {ended}"
        if ended == 0:
            break
        killed += 1
        ended, _ = in_a_process(work, folder)
        assert ended == 0, f"killed at step {k}: the next process did not get through"
        assert outcome(folder) == undisturbed, f"killed at step {k} of about {steps}"
        shutil.rmtree(folder)
    assert killed > 30 // every
    print(f"killed at {killed} steps: receipts, cases, messages, trail, ledger and payments as in an undisturbed run")
