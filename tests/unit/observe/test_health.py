# SPDX-License-Identifier: AGPL-3.0-or-later
"""Health, readiness and metrics: the same answers from the small server and from the web application."""

import json
import urllib.error
import urllib.request
import uuid

import pytest

from pipeline.errors import OutputError
from pipeline.observe import metrics
from pipeline.observe.health import Health, HealthServer


@pytest.fixture
def health():
    now = [0.0]
    health = Health(silence_s=10, clock=lambda: now[0])
    health.now = now
    return health


def by_server(health):
    server = HealthServer(health, "127.0.0.1", 0)

    def get(path):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return get, server.close


def by_application(health):
    testclient = pytest.importorskip("fastapi.testclient", reason="needs FastAPI: pip install 'walkout[web]'")
    from pipeline.observe.router import health_router
    from pipeline.web import create_app

    client = testclient.TestClient(create_app(health_router(health)))
    return lambda path: ((answer := client.get(path)).status_code, answer.text), client.close


@pytest.fixture(params=[by_server, by_application])
def get(request, health):
    get, close = request.param(health)
    yield get
    close()


def test_not_ready_says_why_and_ready_when_the_reason_has_gone(health, get):
    why = ["the database is away"]
    health.add("state", lambda: why[0])
    status, body = get("/readyz")
    assert status == 503 and json.loads(body)["problems"] == {"state": "the database is away"}
    assert get("/healthz")[0] == 200  # waiting is not hanging
    why[0] = None
    assert get("/readyz") == (200, '{"status": "ok"}')


def test_metrics_are_what_prometheus_reads(get):
    group = uuid.uuid4().hex
    metrics.EVENTS.labels(group, "visit-opened").inc(3)
    status, body = get("/metrics")
    assert status == 200
    assert f'walkout_events_total{{consumer_group="{group}",type="visit-opened"}} 3.0' in body


def test_a_loop_that_hangs_is_not_healthy(health):
    get, close = by_server(health)
    assert get("/healthz")[0] == 200
    health.now[0] = 11.0
    status, body = get("/healthz")
    assert status == 503 and "11 s" in json.loads(body)["problems"]["loop"]
    health.beat()
    assert get("/healthz")[0] == 200
    close()


def test_a_port_that_is_taken_is_one_line(health):
    server = HealthServer(health, "127.0.0.1", 0)
    with pytest.raises(OutputError, match=f"cannot listen on 127.0.0.1:{server.port}"):
        HealthServer(health, "127.0.0.1", server.port)
    server.close()
