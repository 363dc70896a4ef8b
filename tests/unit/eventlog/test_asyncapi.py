# SPDX-License-Identifier: AGPL-3.0-or-later
from pathlib import Path

import yaml

from pipeline.eventlog import asyncapi
from pipeline.messages import DEAD_LETTER_TOPIC, TOPIC_OF

FILE = Path(__file__).parents[3] / "deploy" / "asyncapi.yaml"


def test_the_shipped_file_is_up_to_date():
    assert FILE.read_text(encoding="utf-8") == asyncapi.text(), f"run: python -m pipeline.eventlog.asyncapi > {FILE}"


def test_every_topic_and_message_is_described():
    contract = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    channels = {c["address"]: set(c["messages"]) for c in contract["channels"].values()}
    assert set(channels) == {*TOPIC_OF.values(), DEAD_LETTER_TOPIC}
    for kind, topic in TOPIC_OF.items():
        assert kind in channels[topic]
        assert (
            contract["components"]["schemas"][
                contract["components"]["messages"][kind]["payload"]["$ref"].rsplit("/", 1)[1]
            ]["properties"]["type"]["const"]
            == kind
        )


def test_every_reference_leads_somewhere():
    contract = yaml.safe_load(FILE.read_text(encoding="utf-8"))

    def references(value):
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = list(references(contract))
    assert found
    for reference in found:
        place = contract
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]
