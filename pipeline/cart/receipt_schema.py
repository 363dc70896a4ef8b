# SPDX-License-Identifier: AGPL-3.0-or-later
"""The JSON Schema (2020-12) of a receipt, made from `messages.py`.

::

    walkout receipt schema > deploy/receipt.schema.json
"""

from __future__ import annotations

import json
from typing import Any

from pipeline.messages import SCHEMA_VERSION, ReceiptIssued


def document() -> dict[str, Any]:
    """One receipt, as `receipts.json` lists them and as the topic `walkout.receipts` carries them."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Written by `walkout receipt schema`; schema_version {SCHEMA_VERSION}. Times are nanoseconds "
        "since the Unix epoch and need 64-bit integers; money is in ISO 4217 minor units.",
        **ReceiptIssued.model_json_schema(mode="serialization"),
        "title": "walkout receipt",
    }


def text() -> str:
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"
