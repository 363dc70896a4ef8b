# SPDX-License-Identifier: AGPL-3.0-or-later
"""What a running service says about itself: structured logs, metrics, health and readiness."""
