# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signed webhooks as the Standard Webhooks specification has them (version 1, symmetric): HMAC-SHA256 over
`id.timestamp.body`, in the headers `webhook-id`, `webhook-timestamp` (s) and `webhook-signature`."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping

from pipeline.errors import SignatureError

TOLERANCE_S = 300


def sign(secret: str, notice_id: str, at_s: int, body: bytes) -> dict[str, str]:
    """The headers of a webhook."""
    return {
        "webhook-id": notice_id,
        "webhook-timestamp": str(at_s),
        "webhook-signature": f"v1,{_signature(secret, notice_id, str(at_s), body)}",
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> str:
    """The webhook's id. `SignatureError` when a header is missing, the signature wrong, or it is older than
    `TOLERANCE_S` (or from the future by as much): an old one may be somebody's recording."""
    given = {name.lower(): value for name, value in headers.items()}
    try:
        notice_id, at, signatures = (given[f"webhook-{name}"] for name in ("id", "timestamp", "signature"))
    except KeyError as error:
        raise SignatureError(f"webhook: header {error} is missing") from None
    if not (at.isascii() and at.isdigit() and len(at) <= 12):
        raise SignatureError(f"webhook: webhook-timestamp must be whole seconds, got {at[:40]!r}")
    expected = _signature(secret, notice_id, at, body)
    offered = [part.partition(",")[2] for part in signatures.split(" ") if part.startswith("v1,")]
    if not any(hmac.compare_digest(expected.encode(), one.encode()) for one in offered):
        raise SignatureError("webhook: the signature is not of this body and secret")
    if abs(now_s - int(at)) > TOLERANCE_S:
        raise SignatureError(f"webhook: signed {now_s - int(at):.0f} s ago, {TOLERANCE_S} s are allowed")
    return notice_id


def _signature(secret: str, notice_id: str, at: str, body: bytes) -> str:
    signed = b".".join((notice_id.encode(), at.encode(), body))
    return base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode("ascii")
