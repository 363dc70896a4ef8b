# SPDX-License-Identifier: AGPL-3.0-or-later
"""What whoever runs a shop needs: the floor as it is and as it was, the shelves' stock, the shop's files.

Rules and data behind the operator's pages (`pipeline/web/operator`); nothing here knows of HTTP.
"""
