# SPDX-License-Identifier: AGPL-3.0-or-later
"""Pages and API. No rule lives here: a router turns a request into a call and its answer into JSON."""

from pipeline.web.app import create_app

__all__ = ["create_app"]
