# SPDX-License-Identifier: AGPL-3.0-or-later
"""The Prometheus metrics of the money path, in one place so that dashboards have one list to look at.

They are counted per process: a record that is read again after a crash is counted again there, though it changes
nothing in the state.
"""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

EVENTS = Counter("walkout_events", "Events dealt with and committed.", ["consumer_group", "type"])
DEAD_LETTERS = Counter(
    "walkout_dead_letters", "Records that could not be used, by the topic they came from.", ["topic"]
)
LAG = Gauge(
    "walkout_lag_records", "Records not dealt with yet, in the partitions of this process.",
    ["consumer_group", "topic", "partition"],
)  # fmt: skip
PARTITIONS = Gauge("walkout_partitions", "Partitions (of all topics) that this process has.", ["consumer_group"])
FENCED = Counter(
    "walkout_fenced", "Transactions refused because another process has the partitions.", ["consumer_group"]
)
STATE_REACHABLE = Gauge("walkout_state_reachable", "1 while the state database answers.")
LOG_REACHABLE = Gauge("walkout_log_reachable", "0 while the Kafka that this process uses cannot be reached.")
SPOOLED = Gauge("walkout_spooled_events", "Events of a live shop on its own disk that the event log does not have yet.")
RECEIPTS = Counter("walkout_receipts", "Receipts put out.", ["status"])
TIME_TO_RECEIPT = Histogram(
    "walkout_time_to_receipt_seconds", "From the exit, by the store's clock, to the receipt being in the log.",
    buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10, 30, 60, 300),
)  # fmt: skip
EXITS_WITHOUT_ENTRY = Counter("walkout_exits_without_entry", "Exits of visits that nobody ever entered.")
GATE_TAPS = Counter(
    "walkout_gate_taps", "What was shown at gates, by the answer: open, or why not.", ["gate", "answer"]
)
WITHOUT_PASS = Counter("walkout_visits_without_pass", "People who came in on nobody's pass.", ["gate"])
PAYMENTS = Counter("walkout_payments", "Payments by how they ended.", ["outcome"])
EVIDENCE = Counter("walkout_evidence_items", "Clips and stills of shelf events, by what became of them.", ["state"])
