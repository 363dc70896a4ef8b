# SPDX-License-Identifier: AGPL-3.0-or-later
"""How far each consumer group has read, who reads now, and what it has yet to publish.

Fencing. `epoch` is a fencing token: whoever is given partitions raises it in all their rows at once (`claim`), and
every later transaction of that member locks its rows and compares (`hold`). A member that was paused, cut off or
thought dead while its partitions moved on finds a higher number and must not write. Positions and epoch are rows of the
database that also takes the results, so nothing depends on clocks, on the broker's generations (which start again when
the broker loses its group) or on who was told first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import (
    Column,
    Connection,
    Index,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    bindparam,
    select,
    update,
)

from pipeline.errors import FencedError
from pipeline.eventlog.log import Place, Positions
from pipeline.state.bulk import insert_all, insert_missing
from pipeline.state.schema import METADATA, Big, Identity

positions = Table(
    "positions", METADATA,
    Column("consumer_group", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", Big, nullable=True),  # null: nothing read yet, begin where the reader is set up to
    Column("epoch", Big, nullable=False),
    Column("owner", String, nullable=False),
)  # fmt: skip

outbox = Table(
    "outbox", METADATA,
    Column("number", Identity, primary_key=True, autoincrement=True),
    Column("consumer_group", String, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("event_id", String, nullable=False, unique=True),
    Column("body", LargeBinary, nullable=False),
    Index("ix_outbox_consumer_group_partition", "consumer_group", "partition"),
)  # fmt: skip


def claim(db: Connection, group: str, places: Iterable[Place], owner: str) -> dict[Place, tuple[int | None, int]]:
    """Take over `places`: for each the offset to go on from (None: never read) and the epoch that holds from now on."""
    wanted = sorted(places)
    if not wanted:
        return {}
    new = [{"consumer_group": group, "topic": t, "partition": p, "epoch": 0, "owner": ""} for t, p in wanted]
    db.execute(insert_missing(db, positions), new)
    rows = db.execute(_rows(group, wanted)).all()
    db.execute(
        _AT.values(epoch=positions.c.epoch + 1, owner=owner),
        [{"g": group, "t": topic, "p": partition} for topic, partition in wanted],
    )
    found = {(row.topic, row.partition): row for row in rows}
    return {place: (found[place].next_offset, found[place].epoch + 1) for place in wanted}


def hold(db: Connection, group: str, epochs: Mapping[Place, int]) -> dict[Place, int | None]:
    """Lock the rows of these places for the rest of the transaction and return their offsets.

    Raises `FencedError` when one of them has another epoch than the given one: somebody else has it now.
    """
    if not epochs:
        return {}
    rows = db.execute(_rows(group, epochs)).all()
    found = {(row.topic, row.partition): row for row in rows}
    for place, epoch in epochs.items():
        row = found.get(place)
        if row is None or row.epoch != epoch:
            now = "nobody" if row is None else f"{row.owner} (epoch {row.epoch}, not {epoch})"
            raise FencedError(f"group {group}: {place[0]}/{place[1]} now belongs to {now}")
    return {place: found[place].next_offset for place in epochs}


def advance(db: Connection, group: str, to: Positions) -> None:
    """Everything before `to` has been dealt with."""
    if to:
        rows = [{"g": group, "t": topic, "p": partition, "offset": offset} for (topic, partition), offset in to.items()]
        db.execute(_AT.values(next_offset=bindparam("offset")), rows)


def enqueue(db: Connection, group: str, rows: Sequence[tuple[int, str, bytes]]) -> None:
    """Events to be published after the commit: partition they follow from, event id, body."""
    named = [{"consumer_group": group, "partition": p, "event_id": i, "body": body} for p, i, body in rows]
    insert_all(db, outbox, named)


def _rows(group: str, places: Iterable[Place]) -> Select:
    """The rows of these places (and some of their neighbours), locked, always in one order: no deadlocks."""
    topics, partitions = {topic for topic, _ in places}, {partition for _, partition in places}
    return (
        select(positions)
        .where(
            positions.c.consumer_group == group,
            positions.c.topic.in_(sorted(topics)),
            positions.c.partition.in_(sorted(partitions)),
        )
        .order_by(positions.c.topic, positions.c.partition)
        .with_for_update()
    )


_AT = update(positions).where(
    positions.c.consumer_group == bindparam("g"),
    positions.c.topic == bindparam("t"),
    positions.c.partition == bindparam("p"),
)
