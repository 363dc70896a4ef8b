# SPDX-License-Identifier: AGPL-3.0-or-later
"""The crash test of `tests/benchmarks/crash_test.py`, small: real Kafka, real PostgreSQL, processes that are killed."""

import pytest

from tests import servers

pytestmark = [pytest.mark.kafka, pytest.mark.slow]


def test_killed_aggregators_lose_and_repeat_nothing(kafka_tools, tmp_path):
    from rich.progress import Progress

    from tests.benchmarks.crash_test import Plan, run

    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'walkout[postgres]'")
    if problem := servers.postgres.missing_tools():
        pytest.skip(f"needs PostgreSQL: {problem}")
    size = {"kills": 12, "visits": 100, "restarts": 1, "pauses": 2, "desk_kills": 3, "stores": 12, "partitions": 4}
    plan = Plan(**size, seconds=40, session_s=6)
    with Progress(disable=True) as progress:
        outcome = run(plan, tmp_path, progress)
    assert outcome.problems == []
    assert outcome.figures["kills"] == 12 and outcome.figures["broker_restarts"] == 1
    assert outcome.figures["receipts_as_an_undisturbed_run"] == outcome.figures["receipts_as_the_fold_alone"] == 100
    assert outcome.figures["payments_as_an_undisturbed_run"] == 100
    assert outcome.figures["garbage"] == outcome.figures["garbage_in_dead_letter"] > 0
