# SPDX-License-Identifier: AGPL-3.0-or-later
"""A real Kafka broker for the tests in this folder."""

import pytest

from tests import servers

broker_module = servers.kafka


@pytest.fixture(scope="session")
def kafka_tools():
    """Skip where there is no Java, and no Maven to fetch the broker with."""
    pytest.importorskip("kafka", reason="needs kafka-python: pip install 'walkout[kafka]'")
    if problem := broker_module.missing_tools():
        pytest.skip(f"needs a Kafka broker: {problem}")
    broker_module.install()


@pytest.fixture
def broker(kafka_tools, tmp_path):
    """A broker of the test's own on a free port; `broker.kill()` and `broker.start()` as often as needed."""
    broker = broker_module.Broker(tmp_path / "kafka", broker_module.free_port())
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def shared_broker(kafka_tools, tmp_path_factory):
    """A broker for the tests of one module that do not stop it; each test uses its own store and group."""
    broker = broker_module.Broker(tmp_path_factory.mktemp("kafka"), broker_module.free_port())
    broker.start()
    yield broker
    broker.stop()
