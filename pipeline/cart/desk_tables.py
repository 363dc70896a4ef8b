# SPDX-License-Identifier: AGPL-3.0-or-later
"""Tables of the staff's desk: what was decided about open visits, coupons, and corrections to be published."""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, LargeBinary, String, Table

from pipeline.state.schema import METADATA, Big

desk_events = Table(  # coupons presented and decisions of staff, for visits that have no receipt yet
    "desk_events", METADATA,
    Column("event_id", String, primary_key=True),
    Column("visit_id", String, nullable=False),
    Column("at_ns", Big, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_desk_events_visit_id", "visit_id"),
)  # fmt: skip

coupons = Table(
    "coupons", METADATA,
    Column("coupon_id", String, primary_key=True),
    Column("promotion_id", String, nullable=False),
    Column("shopper_id", String, nullable=False),  # whose it is now
    Column("state", String, nullable=False),  # free, presented (to visit_id) or spent (on visit_id's receipt)
    Column("visit_id", String),
    Column("expires_ns", Big),
    Index("ix_coupons_visit_id", "visit_id"),
    Index("ix_coupons_shopper_id", "shopper_id"),
)  # fmt: skip

coupon_gifts = Table(  # codes with which somebody else may take a coupon over; of the code only a digest is kept
    "coupon_gifts", METADATA,
    Column("coupon_id", String, primary_key=True),
    Column("code_digest", String, nullable=False, unique=True),
    Column("from_shopper_id", String, nullable=False),
    Column("expires_ns", Big, nullable=False),
)  # fmt: skip

corrections = Table(  # stored as receipts already, not in the log yet
    "corrections", METADATA,
    Column("event_id", String, primary_key=True),
    Column("partition", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("ix_corrections_partition", "partition"),
)  # fmt: skip
