# SPDX-License-Identifier: AGPL-3.0-or-later
"""What every service's command is told: its log, and where it says how it is."""

from __future__ import annotations

from typing import Annotated

import typer

Log = Annotated[
    str, typer.Option("--log", envvar="WALKOUT_LOG_URL", help="Event log: kafka://HOST:PORT or sqlite:///FILE.")
]
Port = Annotated[int | None, typer.Option("--port", help="Serve /healthz, /readyz and /metrics here.")]
Host = Annotated[str, typer.Option("--host", help="Address to serve them on.")]
Group = Annotated[str, typer.Option("--group", help="Consumer group; members of one share the stores.")]
