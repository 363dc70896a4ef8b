# SPDX-License-Identifier: AGPL-3.0-or-later
"""The compose file by parsing: containers are not to be had everywhere. It must describe the broker of broker.py."""

import xml.etree.ElementTree as ET
from pathlib import Path

import yaml

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_compose_runs_the_same_kafka_as_the_archives():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    kafka = compose["services"]["kafka"]
    xml = {"m": "http://maven.apache.org/POM/4.0.0"}
    pom = ET.parse(DEPLOY / "kafka" / "pom.xml")
    versions = [
        d.find("m:version", xml).text
        for d in pom.iterfind(".//m:dependency", xml)
        if d.find("m:artifactId", xml).text == "kafka_2.13"
    ]
    assert kafka["image"].split(":")[1] == versions[0]


def test_compose_is_reachable_under_the_name_it_tells_clients():
    kafka = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["kafka"]
    environment = kafka["environment"]
    assert all(isinstance(value, str) for value in environment.values())
    port = environment["KAFKA_ADVERTISED_LISTENERS"].rsplit(":", 1)[1]
    assert any(mapping.endswith(f":{port}:{port}") for mapping in kafka["ports"])
    assert f"PLAINTEXT://:{port}" in environment["KAFKA_LISTENERS"]
    assert "broker" in environment["KAFKA_PROCESS_ROLES"]


def test_every_volume_is_used_and_no_port_is_open_to_the_world():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"].values()
    assert {v.split(":")[0] for service in services for v in service["volumes"]} == set(compose["volumes"])
    assert all(port.startswith("127.0.0.1:") for service in services for port in service["ports"])


def test_compose_has_a_database_and_no_password_in_it():
    postgres = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["postgres"]
    assert postgres["image"].startswith("postgres:")
    assert postgres["environment"]["POSTGRES_PASSWORD"].startswith("${WALKOUT_POSTGRES_PASSWORD:?")
