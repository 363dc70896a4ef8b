# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who there is to sign in on a run."""

from __future__ import annotations

from sqlalchemy import select

from pipeline.cart.tables import receipts
from pipeline.site import Site


def shoppers_of(site: Site) -> list[str]:
    """Everybody who has a receipt, or shows a pass in the recording: while that is run they have none yet."""
    query = select(receipts.c.shopper_id).where(receipts.c.shopper_id.is_not(None)).distinct()
    found = set(site.database.run(lambda db: db.execute(query).scalars().all()))
    taps = site.shop.recording.taps if site.shop.recording else ()
    others = {tap.shopper_id for tap in taps if tap.kind == "entry"} - found
    return [*sorted(found), *sorted(others)]
