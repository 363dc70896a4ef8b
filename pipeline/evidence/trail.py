# SPDX-License-Identifier: AGPL-3.0-or-later
"""What is done to evidence goes to the audit trail, in the transaction that does it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection

from pipeline.review import audit


def note(db: Connection, kind: str, by: str, about: dict[str, Any], store_id: str) -> None:
    """`kind`: evidence-erased or evidence-expired; `by`: who did it; `about`: ids and counts, nothing that people wrote
    (the trail cannot be erased)."""
    audit.append(db, kind, by, about, store_id=store_id)
