# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who there is to sign in on a run."""

from __future__ import annotations

from sqlalchemy import select

from pipeline.cart.tables import receipts
from pipeline.web.site import Site


def shoppers_of(site: Site) -> list[str]:
    """Everybody who has a receipt."""
    query = select(receipts.c.shopper_id).where(receipts.c.shopper_id.is_not(None)).distinct()
    return sorted(site.database.run(lambda db: db.execute(query).scalars().all()))
