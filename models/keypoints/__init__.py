# SPDX-License-Identifier: AGPL-3.0-or-later
"""A second look at each person found: a small network that puts the 17 key points right."""
