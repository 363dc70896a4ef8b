# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the crash test compares when the dust has settled."""

from __future__ import annotations

import json
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import select

from pipeline.cart.fold import CartState, fold
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.cart.tables import receipts
from pipeline.eventlog import open_log
from pipeline.eventlog.codec import DeadLetter, encode
from pipeline.messages import DEAD_LETTER_TOPIC
from pipeline.payment.accounts import list_payments
from pipeline.state import Database


@dataclass
class Outcome:
    """What happened and what differs; `problems` is empty when all is as it must be."""

    figures: dict = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def get(url: str):
    """JSON from an address."""
    with urllib.request.urlopen(url, timeout=30) as answer:
        return json.load(answer)


def stored_receipts(state_url: str) -> list[tuple[str, bytes]]:
    """(visit, receipt as JSON) of every row: a visit billed twice is there twice."""
    database = Database(state_url)
    with database.transaction() as db:
        rows = db.execute(select(receipts.c.visit_id, receipts.c.body)).all()
    database.close()
    return [(visit_id, bytes(body)) for visit_id, body in rows]


def compare_receipts(found, calm, goods, visits, outcome: Outcome) -> None:
    """With an undisturbed run's, and with what the fold makes of each visit's own events."""
    pure = {}
    for events in visits:
        visit_id = events[0].visit_id
        pure[visit_id] = encode(receipt_of(fold(CartState(), *events), visit_id, goods, BillingRules()))
    disturbed = dict(found)
    for name, other in (("an undisturbed run", dict(calm)), ("the fold alone", pure)):
        wrong = [v for v in sorted(disturbed.keys() | other.keys()) if disturbed.get(v) != other.get(v)]
        outcome.figures[f"receipts_as_{name.replace(' ', '_')}"] = len(disturbed) - len(wrong)
        if wrong:
            outcome.problems.append(f"{len(wrong)} receipts differ from {name}, e.g. {wrong[:3]}")
    if len(found) != len(disturbed):
        outcome.problems.append(f"{len(found) - len(disturbed)} visits have more than one receipt")


def compare_payments(state_url: str, calm_url: str, banks: list[str], outcome: Outcome) -> None:
    """Payments with their calls, and what the two providers have."""
    listed = []
    for url in (state_url, calm_url):
        database = Database(url)
        listed.append({p["visit_id"]: p for p in list_payments(database)})
        database.close()
    disturbed, calm = listed
    wrong = [v for v in sorted(disturbed.keys() | calm.keys()) if disturbed.get(v) != calm.get(v)]
    outcome.figures["payments_as_an_undisturbed_run"] = len(disturbed) - len(wrong)
    outcome.figures["payment_states"] = dict(Counter(p["state"] for p in disturbed.values()))
    if wrong:
        outcome.problems.append(
            f"{len(wrong)} payments differ, e.g. {disturbed.get(wrong[0])} and {calm.get(wrong[0])}"
        )
    held = [sorted(_of_money(a) for a in get(f"{url}/v1/authorizations")) for url in banks]
    outcome.figures["authorizations_at_the_provider"] = len(held[0])
    if held[0] != held[1]:
        outcome.problems.append(f"the providers differ: {len(held[0])} and {len(held[1])} authorizations")


def _of_money(authorization: dict) -> str:
    """What an authorization comes to, without the provider's own number and times."""
    kept = {k: v for k, v in sorted(authorization.items()) if k not in ("reference", "id") and not k.endswith("at_ns")}
    return json.dumps(kept, sort_keys=True)


def compare_log(log_url: str, found, sent: Counter, outcome: Outcome) -> None:
    """Receipts in the log with those in the database, and the dead letter with the garbage that was sent."""
    disturbed = dict(found)
    log = open_log(log_url)
    published = Counter()
    for record in _read_all(log, "walkout.receipts"):
        published[record.event.visit_id] += 1
        if encode(record.event) != disturbed.get(record.event.visit_id):
            outcome.problems.append(f"the log has another receipt of {record.event.visit_id} than the database")
    log.close()
    if published.keys() != disturbed.keys():
        outcome.problems.append(f"{len(published)} visits have receipts in the log, {len(disturbed)} in the database")
    outcome.figures["receipts_in_the_log_again"] = sum(published.values()) - len(published)
    letters = Counter(_dead_letters(log_url))
    garbage = {place for place, mark in sent.items() if mark == -1}
    outcome.figures["garbage_in_dead_letter"] = len(letters.keys() & garbage)
    outcome.figures["dead_letters_again"] = sum(letters.values()) - len(letters)
    if letters.keys() != garbage:
        missing, more = len(garbage - letters.keys()), len(letters.keys() - garbage)
        outcome.problems.append(f"{missing} records of garbage miss in the dead letter, {more} are there that are none")


def _read_all(log, topic: str):
    reader, ends = log.read(f"look-{time.time_ns()}", [topic]), log.ends([topic])
    read_to = dict.fromkeys(ends, 0)
    while any(read_to[place] < end for place, end in ends.items()):
        batch = reader.poll(1.0, 2000)
        yield from batch.records
        read_to.update(batch.positions)
    reader.close()


def _dead_letters(log_url: str) -> list[str]:
    """Letter ids, as often as they are there."""
    consumer = KafkaConsumer(bootstrap_servers=log_url.removeprefix("kafka://"), auto_offset_reset="earliest")
    places = [TopicPartition(DEAD_LETTER_TOPIC, p) for p in consumer.partitions_for_topic(DEAD_LETTER_TOPIC)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends, found = consumer.end_offsets(places), []
    while any(consumer.position(place) < end for place, end in ends.items()):
        for records in consumer.poll(1000).values():
            found += [DeadLetter.model_validate_json(r.value).letter_id for r in records]
    consumer.close()
    return found
