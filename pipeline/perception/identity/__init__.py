# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whether a label still means the person whom it meant before: what `walkout run` says of it as events."""
