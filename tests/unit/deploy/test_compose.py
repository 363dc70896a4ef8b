# SPDX-License-Identifier: AGPL-3.0-or-later
"""The compose file by parsing: containers are not to be had everywhere. It must describe the broker of broker.py."""

import re
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import typer
import yaml

from pipeline.cli import app

ROOT = Path(__file__).parents[3]
DEPLOY = Path(__file__).parents[3] / "deploy"


def services():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]


def ours():
    return {name: service for name, service in services().items() if service["image"].startswith("walkout")}


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
    told = dict(one.split("://") for one in environment["KAFKA_ADVERTISED_LISTENERS"].split(","))
    bound = dict(one.split("://") for one in environment["KAFKA_LISTENERS"].split(","))
    port = told["PLAINTEXT"].partition(":")[2]
    assert any(mapping.endswith(f":{port}:{port}") for mapping in kafka["ports"])
    assert bound["PLAINTEXT"] == f":{port}"
    host, _, inside = told["INSIDE"].partition(":")
    assert (
        host == "kafka"
        and bound["INSIDE"] == f":{inside}"
        and environment["KAFKA_INTER_BROKER_LISTENER_NAME"] == "INSIDE"
    )
    assert {one.partition(":")[0] for one in environment["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")} == set(
        bound
    )
    log = urlsplit(services()["cart"]["environment"]["WALKOUT_LOG_URL"])
    assert log.netloc == f"{host}:{inside}"
    assert "broker" in environment["KAFKA_PROCESS_ROLES"]


def test_every_volume_is_used_and_no_port_is_open_to_the_world():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"].values()
    volumes = {v.split(":")[0] for service in services for v in service.get("volumes", ())}
    assert {v for v in volumes if not v.startswith("$")} == set(compose["volumes"])
    assert all(port.startswith("127.0.0.1:") for service in services for port in service.get("ports", ()))


def test_compose_has_a_database_and_no_password_in_it():
    postgres = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))["services"]["postgres"]
    assert postgres["image"].startswith("postgres:")
    assert postgres["environment"]["POSTGRES_PASSWORD"].startswith("${WALKOUT_POSTGRES_PASSWORD:?")


def test_compose_has_every_service_of_a_chain():
    assert set(ours()) == {"tables", "gate", "cart", "bank", "pay", "review", "web", "cameras"}
    for name, service in ours().items():
        assert (ROOT / "deploy" / service["build"]["context"] / service["build"]["dockerfile"]).is_file()
        assert name in ("tables", "bank") or service["healthcheck"]["test"][:2] == ["CMD", "python"]
        assert set(service["depends_on"]) <= set(services())


@pytest.mark.parametrize("name", sorted(ours()))
def test_every_command_is_one_that_walkout_has_and_asks_for_its_own_port(name, monkeypatch):
    """Parsed by the command itself, with the environment that it has in its container."""
    service = ours()[name]
    for variable, value in service["environment"].items():
        monkeypatch.setenv(variable, value)
    command, words = typer.main.get_command(app), list(service["command"])
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    context = command.make_context(name, words)
    if (port := context.params.get("port")) and "healthcheck" in service:
        assert f"127.0.0.1:{port}/" in service["healthcheck"]["test"][-1]
    for mapping in service.get("ports", ()):
        assert mapping.endswith(f":{port}") and context.params["host"] == "0.0.0.0"
    mounted = {volume.rstrip(":ro").rpartition(":")[2] for volume in service.get("volumes", ())}
    for word in words:
        assert not word.startswith("/") or "/" + word.split("/")[1] in mounted


def test_the_image_takes_what_there_is_and_runs_walkout_as_nobody_special():
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    kept = {line[1:] for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = [name for line in re.findall(r"^COPY (.+) \S+$", text, re.M) for name in line.split()]
    assert set(copied) == kept and all((ROOT / name).exists() for name in copied)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = re.search(r'"\.\[(.+)\]"', text)[1].split(",")
    assert set(extras) <= set(project["optional-dependencies"]) and {"kafka", "postgres", "web"} <= set(extras)
    assert 'ENTRYPOINT ["walkout"]' in text and "walkout" in project["scripts"]
    uid = re.search(r"--uid (\d+)", text)[1]
    assert re.search(r"^USER walkout$", text, re.M) and all(f":-{uid}}}" in s["user"] for s in ours().values())
