# SPDX-License-Identifier: AGPL-3.0-or-later
"""What must outlive a crash: one database (SQLite by default, PostgreSQL by URL), its tables and their history.

Every room defines its own tables on the one `METADATA` and imports nothing of another room's. How tables came to be is
written down in `migrations/versions`, one numbered file a room and change; `walkout state upgrade` applies them.
"""

from pipeline.state.database import Database
from pipeline.state.schema import METADATA, Big, Identity

__all__ = ["METADATA", "Big", "Database", "Identity"]
