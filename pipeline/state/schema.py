# SPDX-License-Identifier: AGPL-3.0-or-later
"""The one collection of tables, and which modules fill it."""

from __future__ import annotations

from importlib import import_module

from sqlalchemy import BigInteger, Integer, MetaData

ROOMS = (
    "pipeline.state.positions",
    "pipeline.cart.tables",
    "pipeline.cart.desk_tables",
    "pipeline.payment.tables",
    "pipeline.gate.tables",
    "pipeline.accounts.tables",
    "pipeline.evidence.tables",
    "pipeline.review.tables",
    "pipeline.operations.tables",
)
"""Modules that define tables on `METADATA`. A new room adds itself here, and a file to `migrations/versions`."""

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Big = BigInteger
"""64 bits in both databases: nanoseconds, minor units, offsets."""

Identity = BigInteger().with_variant(Integer, "sqlite")
"""For primary keys that count up: SQLite counts only in a column whose type is INTEGER."""


def all_tables() -> MetaData:
    """`METADATA` with the tables of every room in it."""
    for room in ROOMS:
        import_module(room)
    return METADATA
