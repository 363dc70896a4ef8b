# SPDX-License-Identifier: AGPL-3.0-or-later
"""The event log's contract as AsyncAPI 3.0, made from `messages.py`.

::

    python -m pipeline.eventlog.asyncapi > deploy/asyncapi.yaml
"""

from __future__ import annotations

from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from pipeline.eventlog.codec import DeadLetter
from pipeline.messages import DEAD_LETTER_TOPIC, SCHEMA_VERSION, TOPIC_OF, Event

HEADER = "# Written by `python -m pipeline.eventlog.asyncapi > deploy/asyncapi.yaml`.\n"

_TOPICS = {
    "walkout.visits": "Visits from the pass at the gate to the exit.",
    "walkout.shelf-events": "What hands took from shelves and put on them, with candidates and probabilities.",
    "walkout.receipts": "The bills of closed visits.",
    "walkout.payments": "What became of the payment of each visit.",
    "walkout.disputes": "Receipts that somebody has to look at, and what was decided.",
    DEAD_LETTER_TOPIC: "Records of any topic that no reader could use, with the reason and the original bytes.",
}
_CLOUDEVENTS = {
    "ce_specversion": {"type": "string", "const": "1.0"},
    "ce_id": {"type": "string", "description": "the event's `event_id`: the same when it is written again"},
    "ce_source": {"type": "string", "examples": ["/walkout/stores/nanostore"]},
    "ce_type": {"type": "string", "examples": [f"walkout.shelf-event.v{SCHEMA_VERSION}"]},
    "ce_time": {"type": "string", "format": "date-time", "description": "`at_ns` with nine decimals"},
    "content-type": {"type": "string", "const": "application/json; charset=utf-8"},
}


def document() -> dict[str, Any]:
    """The whole contract as plain values."""
    events: dict[str, type[BaseModel]] = {m.model_fields["type"].default: m for m in get_args(get_args(Event)[0])}
    _, definitions = models_json_schema(
        [(m, "serialization") for m in (*events.values(), DeadLetter)], ref_template="#/components/schemas/{model}"
    )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "walkout event log",
            "version": str(SCHEMA_VERSION),
            "license": {"name": "AGPL-3.0-or-later"},
            "description": (
                "Key of every event: the store id, so that a store's events of one topic keep their order; topics keep "
                "no order among each other. Delivery is at least once: drop repeats by `event_id`. Integers have 64 "
                "bits: times do not fit into doubles. A reader refuses messages of a newer `schema_version`."
            ),
        },
        "defaultContentType": "application/json",
        "channels": {
            _name(topic): {
                "address": topic,
                "description": description,
                "messages": {m: {"$ref": f"#/components/messages/{m}"} for m in _messages_on(topic)},
            }
            for topic, description in _TOPICS.items()
        },
        "operations": {
            f"{verb}-{_name(topic)}": {"action": verb, "channel": {"$ref": f"#/channels/{_name(topic)}"}}
            for topic in _TOPICS
            for verb in ("send", "receive")
        },
        "components": {
            "messages": {
                **{kind: _message(kind, model, "#/components/messageTraits/event") for kind, model in events.items()},
                "dead-letter": _message("dead-letter", DeadLetter, None),
            },
            "messageTraits": {
                "event": {
                    "headers": {"type": "object", "properties": _CLOUDEVENTS, "required": sorted(_CLOUDEVENTS)},
                    "bindings": {"kafka": {"key": {"type": "string", "description": "store id"}}},
                }
            },
            "schemas": definitions["$defs"],
        },
    }


def text() -> str:
    """The document as YAML, keys in the order of writing."""
    return HEADER + yaml.safe_dump(document(), sort_keys=False, allow_unicode=True, width=110)


def _name(topic: str) -> str:
    return topic.removeprefix("walkout.")


def _messages_on(topic: str) -> list[str]:
    return [kind for kind, of in TOPIC_OF.items() if of == topic] or ["dead-letter"]


def _message(kind: str, model: type[BaseModel], trait: str | None) -> dict[str, Any]:
    message: dict[str, Any] = {
        "name": kind,
        "summary": (model.__doc__ or "").strip().splitlines()[0],
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }
    if trait:
        message["traits"] = [{"$ref": trait}]
    return message


if __name__ == "__main__":
    print(text(), end="")
