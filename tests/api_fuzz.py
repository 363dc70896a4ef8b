# SPDX-License-Identifier: AGPL-3.0-or-later
"""Random requests, good and bad ones, to every operation of the pages' API, as every role, with schemathesis.

The full run: `python -m tests.api_fuzz --requests 10000`; a short one is among the integration tests.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partialmethod
from pathlib import Path
from unittest.mock import patch

import httpx

from pipeline.cart.aggregator import receipts_after
from pipeline.web.operator import floor_api
from pipeline.web.shopper.hub import LiveHub
from tests.web_site import Served, make_run, served

PEOPLE = ("anna", "reviewer", "operator", "admin", None)


@dataclass
class Count:
    """Put around the application: what was answered, as the server saw it."""

    statuses: Counter = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    """Paths that were answered with 200."""

    def __call__(self, app):
        async def counted(scope, receive, send):
            async def note(message):
                if message["type"] == "http.response.start" and scope["path"].startswith("/api/"):
                    self.statuses[message["status"]] += 1
                    if message["status"] == 200:
                        self.answered.add(scope["path"])
                    if message["status"] >= 500:
                        query = scope["query_string"].decode("latin-1")
                        self.broken.append(f"{message['status']} {scope['method']} {scope['path']}?{query}")
                await send(message)

            await app(scope, receive, note if scope["type"] == "http" else send)

        return counted

    @property
    def requests(self) -> int:
        return self.statuses.total()


def known(site: Served) -> dict[str, list]:
    """What there is on the site, by the names that the API has for it."""
    shop, database = site.site.shop, site.site.database
    receipts = [receipt for _, receipt in receipts_after(database, 0)]
    headers = {"Authorization": f"Bearer {site.token('operator')}"}
    state = httpx.get(f"{site.url}/api/v1/floor/state", headers=headers, timeout=120).json()
    inside = httpx.get(f"{site.url}/api/v1/floor/timeline", headers=headers, timeout=120).json()
    middle_ms = (inside["begin_ms"] + inside["end_ms"]) // 2
    return {
        "receipt_id": [r.receipt_id for r in receipts],
        "visit_id": [r.visit_id for r in receipts],
        "line_id": sorted({line.line_id for r in receipts for line in r.lines}),
        "event_id": sorted({i for r in receipts for line in r.lines for i in line.event_ids}),
        "case_id": [case.case_id for case in site.site.review.queue()],
        "version": [1, 2],
        "gtin": sorted(shop.catalogue.by_gtin),
        "claimed_gtin": sorted(shop.catalogue.by_gtin),
        "quantity": [1, 2],
        "camera_id": sorted(shop.layout.camera_by_id),
        "slot_id": sorted(shop.planogram.slots),
        "item_id": [item["item_id"] for item in state["items"]],
        "at_ms": [middle_ms, inside["end_ms"]],
        "from_ms": [middle_ms],
        "when": ["before", "after"],
        "kind": ["catalogue", "planogram", "not-taken", "missing-item"],
    }


def with_values(schema: dict, values: dict[str, list]) -> dict:
    """The schema with what there is beside what there may be: half of what is asked for exists, the rest is random."""

    def widened(name: str, one: dict) -> dict:
        return {"anyOf": [{"enum": values[name]}, one]} if values.get(name) else one

    for operations in schema["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = widened(parameter["name"], parameter["schema"])
    for model in schema["components"]["schemas"].values():
        for name, one in model.get("properties", {}).items():
            model["properties"][name] = widened(name, one)
    return schema


@contextmanager
def _short_streams() -> Iterator[None]:
    """Streams of events end after a moment instead of minutes."""
    with ExitStack() as stack:
        for module, name in ((floor_api, "_LIFETIME_S"), (floor_api, "_HEARTBEAT_S")):
            stack.enter_context(patch.object(module, name, 0.1))
        stack.enter_context(
            patch.object(LiveHub, "stream", partialmethod(LiveHub.stream, lifetime_s=0.2, heartbeat_s=0.1))
        )
        yield


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
    with served(make_run(folder), around=count) as site, _short_streams():
        schema = folder / "openapi.json"
        described = httpx.get(f"{site.url}/api/v1/openapi.json", timeout=120).json()
        schema.write_text(json.dumps(with_values(described, known(site))), encoding="utf-8")
        seed = 0
        while count.requests < requests:
            for who in PEOPLE:
                command = [
                    tool(), "run", str(schema), "--url", site.url, "--max-examples", str(examples),
                    "--phases", phases, "--checks", "not_a_server_error", "--continue-on-failure",
                    "--seed", str(seed), "--generation-database", "none", "--no-shrink", "--no-color",
                    "--request-timeout", "20", "--suppress-health-check", "all", "--warnings", "off",
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
