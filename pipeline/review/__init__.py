# SPDX-License-Identifier: AGPL-3.0-or-later
"""Disputes, lines held for review, what people decided about them, and the trail of who did what."""
