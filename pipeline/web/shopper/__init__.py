# SPDX-License-Identifier: AGPL-3.0-or-later
"""The shopper's pages and API: pass, live cart, receipts, disputes, coupons, leaving."""
