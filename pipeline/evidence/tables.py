# SPDX-License-Identifier: AGPL-3.0-or-later
"""The index of the evidence: what there is of each event, where it lies, and which visits were erased."""

from __future__ import annotations

from sqlalchemy import Column, Float, Index, Integer, String, Table, Text

from pipeline.state.schema import METADATA, Big

items = Table(
    "evidence_items", METADATA,
    Column("item_id", String, primary_key=True),
    Column("store_id", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("kind", String, nullable=False),  # clip, before, after
    Column("camera_id", String, nullable=False),
    Column("rank", Integer, nullable=False),  # 0: the camera that saw it best
    Column("visit_id", String),  # whose pixels are clear; null: everybody is blurred
    Column("visit_ids", Text, nullable=False),  # JSON: all visits that the event may belong to, the likeliest first
    Column("t0_ns", Big, nullable=False),
    Column("t1_ns", Big, nullable=False),
    Column("width_px", Integer, nullable=False),
    Column("height_px", Integer, nullable=False),
    Column("fps", Float, nullable=False),
    Column("frames", Integer, nullable=False),
    Column("state", String, nullable=False),  # ready, missing, corrupt, expired, erased
    Column("reason", Text, nullable=False),
    Column("path", String),  # of the picture or film in the storage; null: there is none (any more)
    Column("bytes", Big, nullable=False),
    Column("sha256", String),
    Column("overlay_path", String),
    Column("overlay_sha256", String),
    Column("kept_ns", Big, nullable=False),  # when it was stored, which retention counts from
    Index("ix_evidence_items_event_id", "event_id"),
    Index("ix_evidence_items_visit_id", "visit_id"),
    Index("ix_evidence_items_state_kept_ns", "state", "kept_ns"),
)  # fmt: skip

erased_visits = Table(
    "evidence_erased_visits", METADATA,
    Column("visit_id", String, primary_key=True),
    Column("at_ns", Big, nullable=False),
    Column("by", String, nullable=False),
    Column("reason", Text, nullable=False),
)  # fmt: skip
