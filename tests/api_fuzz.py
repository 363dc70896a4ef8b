# SPDX-License-Identifier: AGPL-3.0-or-later
"""Random requests, good and bad ones, to every operation of the pages' API, as every role, with schemathesis.

The full run: `python -m tests.api_fuzz --requests 10000`; a short one is among the integration tests.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests.web_site import make_run, served

PEOPLE = ("anna", "reviewer", "operator", "admin", None)


@dataclass
class Count:
    """Put around the application: what was answered, as the server saw it."""

    statuses: Counter = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def __call__(self, app):
        async def counted(scope, receive, send):
            async def note(message):
                if message["type"] == "http.response.start" and scope["path"].startswith("/api/"):
                    self.statuses[message["status"]] += 1
                    if message["status"] >= 500:
                        query = scope["query_string"].decode("latin-1")
                        self.broken.append(f"{message['status']} {scope['method']} {scope['path']}?{query}")
                await send(message)

            await app(scope, receive, note if scope["type"] == "http" else send)

        return counted

    @property
    def requests(self) -> int:
        return self.statuses.total()


def tool() -> str | None:
    """The command, beside the Python that runs."""
    return shutil.which("schemathesis", path=str(Path(sys.executable).parent)) or shutil.which("schemathesis")


def fuzz(
    folder: Path, requests: int, examples: int, *, phases: str = "examples,coverage,fuzzing",
    told: Callable[[str], None] = lambda _line: None,
) -> Count:  # fmt: skip
    """Serve a small run in `folder` and ask until at least so many requests were answered; everybody asks in every
    round, each with new seeds."""
    count = Count()
    with served(make_run(folder), around=count) as site:
        schema = folder / "openapi.json"
        schema.write_bytes(httpx.get(f"{site.url}/api/v1/openapi.json", timeout=120).content)
        seed = 0
        while count.requests < requests:
            for who in PEOPLE:
                command = [
                    tool(), "run", str(schema), "--url", site.url, "--max-examples", str(examples),
                    "--phases", phases, "--checks", "not_a_server_error", "--continue-on-failure",
                    "--seed", str(seed), "--generation-database", "none", "--no-shrink", "--no-color",
                    "--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off",
                    "--exclude-path-regex", "/(live|stream|events)$",  # streams that never end
                    "--exclude-path", "/api/v1/session",  # which would sign the rounds out
                ]  # fmt: skip
                if who is not None:
                    command += ["--header", f"Authorization: Bearer {site.token(who)}"]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=1800)
                told(f"{who or 'nobody'}: {count.requests} requests so far, broken: {count.broken[:3]}")
                if done.returncode not in (0, 1):
                    raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
            seed += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--examples", type=int, default=60, help="for each operation and role, a round")
    asked = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="walkout-fuzz-") as folder:
        count = fuzz(Path(folder), asked.requests, asked.examples, told=lambda line: print(line, flush=True))
    print(f"{count.requests} requests in {time.monotonic() - began:.0f} s")
    for status, number in sorted(count.statuses.items()):
        print(f"  {status}: {number}")
    for line in sorted(set(count.broken))[:50]:
        print(line)
    sys.exit(1 if count.broken else 0)


if __name__ == "__main__":
    main()
