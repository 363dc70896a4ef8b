# SPDX-License-Identifier: AGPL-3.0-or-later
"""Health, readiness and metrics of a process over HTTP.

`/healthz`: does it still turn over? (A process that waits for its database does; one that hangs is to be restarted.)
`/readyz`: can it work now? (200, or 503 with the reasons.) `/metrics`: Prometheus. The same answers come from a small
server of the standard library, for services that have no other pages, and from a FastAPI router
(`pipeline.observe.router`).
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from pipeline.errors import OutputError

PATHS = ("/healthz", "/readyz", "/metrics")

Check = Callable[[], str | None]
"""Why the process cannot work now, or None when it can."""


class Health:
    """What a process knows about itself. `silence_s`: after so long without a `beat` it counts as hanging."""

    def __init__(self, *, silence_s: float = 120.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._silence_s, self._clock = silence_s, clock
        self._beat_s = clock()
        self._checks: dict[str, Check] = {}

    def add(self, name: str, check: Check) -> None:
        self._checks[name] = check

    def beat(self) -> None:
        """The main loop came round once more."""
        self._beat_s = self._clock()

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body for one of `PATHS`; 404 for any other."""
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, generate_latest()
        if path == "/healthz":
            silent_s = self._clock() - self._beat_s
            problems = {"loop": f"has not come round for {silent_s:.0f} s"} if silent_s > self._silence_s else {}
        elif path == "/readyz":
            problems = {name: why for name, check in self._checks.items() if (why := check()) is not None}
        else:
            return 404, "application/json", json.dumps({"error": f"expected one of {', '.join(PATHS)}"}).encode()
        body = {"status": "not ok", "problems": problems} if problems else {"status": "ok"}
        return (503 if problems else 200), "application/json", json.dumps(body).encode()


class HealthServer:
    """Answers on `host:port` from a thread of its own; port 0 takes a free one, see `port`."""

    def __init__(self, health: Health, host: str, port: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                status, content_type, body = health.answer(self.path.partition("?")[0])
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments) -> None:
                """Probes come every few seconds; they are not news."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as error:
            raise OutputError(f"health and metrics: cannot listen on {host}:{port}: {error.strerror}") from None
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def serving_health(port: int | None, host: str = "127.0.0.1") -> Iterator[Health]:
    """Health of a process, answered for on `port` meanwhile; nowhere without one."""
    health = Health()
    server = None if port is None else HealthServer(health, host, port)
    try:
        yield health
    finally:
        if server is not None:
            server.close()
