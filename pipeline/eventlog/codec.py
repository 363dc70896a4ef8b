# SPDX-License-Identifier: AGPL-3.0-or-later
"""Events to bytes and back; what cannot be read becomes a `DeadLetter`.

Bodies are JSON. `at_ns` and the other times need 64-bit integers: a reader in a language whose numbers are doubles must
read them as text or big integers. CloudEvents 1.0 attributes go beside the body (Kafka protocol binding, binary mode:
headers named `ce_…`); reading does not need them.
"""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from pipeline.errors import MessageError, NewerSchemaError
from pipeline.messages import SCHEMA_VERSION, TOPIC_OF, Event

CONTENT_TYPE = b"application/json; charset=utf-8"
LONGEST_BODY = 512 * 1024
_LONGEST_KEY = 16 * 1024
_EVENT = TypeAdapter(Event)
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class DeadLetter(BaseModel):
    """A record that no reader could use: why, where it was, and its bytes, to be repaired and sent again.

    Of a record of more than `LONGEST_BODY` bytes there is only the beginning, and `reason` says so: in base64 the whole
    would be larger than Kafka takes, and whoever must bury it could never go on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    letter_id: str
    reason: str
    topic: str
    partition: int
    offset: int
    key_base64: str | None
    body_base64: str

    @classmethod
    def of(cls, reason: str, topic: str, partition: int, offset: int, key: bytes | None, body: bytes) -> DeadLetter:
        """The id is the record's place: two readers that meet the same record write the same letter."""
        if len(body) > LONGEST_BODY:
            reason = f"{reason} (here are the first {LONGEST_BODY} of its {len(body)} bytes)"
        return cls(
            letter_id=f"{topic}/{partition}/{offset}",
            reason=reason,
            topic=topic,
            partition=partition,
            offset=offset,
            key_base64=None if key is None else base64.b64encode(key[:_LONGEST_KEY]).decode("ascii"),
            body_base64=base64.b64encode(body[:LONGEST_BODY]).decode("ascii"),
        )

    @property
    def body(self) -> bytes:
        return base64.b64decode(self.body_base64)


def encode(event: Event) -> bytes:
    """The event as JSON."""
    return event.model_dump_json().encode("utf-8")


def cloudevent_headers(event: Event) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 attributes of an event as Kafka headers."""
    return [
        ("content-type", CONTENT_TYPE),
        ("ce_specversion", b"1.0"),
        ("ce_id", event.event_id.encode()),
        ("ce_source", f"/walkout/stores/{event.store_id}".encode()),
        ("ce_type", f"walkout.{event.type}.v{event.schema_version}".encode()),
        ("ce_time", rfc3339(event.at_ns).encode()),
    ]


def rfc3339(at_ns: int) -> str:
    """Nanoseconds since the Unix epoch as RFC 3339 in UTC, all nine decimals."""
    seconds, rest = divmod(at_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def decode(body: bytes) -> Event:
    """Bytes from a log to an event.

    Raises `NewerSchemaError` when a newer version of walkout wrote it, else `MessageError` naming the first field that
    is wrong. Nothing is converted or dropped: a number written as text, or a field that we do not know, is an error. So
    is a NUL in a text, which PostgreSQL cannot keep.
    """
    if b"\\u0000" in body and _NUL.search(body):
        raise MessageError("a text with a NUL in it, which databases cannot keep")
    try:
        event = _EVENT.validate_json(body, strict=True)
    except ValidationError as error:
        raise _explain(body, error) from None
    if event.schema_version > SCHEMA_VERSION:
        raise _newer(event.schema_version)
    return event


def _explain(body: bytes, error: ValidationError) -> MessageError:
    try:
        data = json.loads(body)
    except (ValueError, RecursionError) as why:
        return MessageError(f"not JSON: {why}")
    if not isinstance(data, dict):
        return MessageError(f"expected a JSON object, got {type(data).__name__}")
    version = data.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        return _newer(version)
    kind = data.get("type")
    if not isinstance(kind, str) or kind not in TOPIC_OF:
        return MessageError(f"type: expected one of {', '.join(TOPIC_OF)}, got {str(kind)[:80]!r}")
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"][1:]) or "message"
    return MessageError(f"{kind}: {where}: {first['msg']}")


def _newer(version: int) -> NewerSchemaError:
    return NewerSchemaError(
        f"schema_version {version} is newer than {SCHEMA_VERSION}, which this walkout reads: update walkout"
    )
