# SPDX-License-Identifier: AGPL-3.0-or-later
"""The real broker and the real database of `deploy/`, for tests and benchmarks."""

import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def _load(path: str) -> ModuleType:
    name = "walkout_" + path.removesuffix(".py").replace("/", "_")
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, ROOT / path)
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


kafka = _load("deploy/kafka/broker.py")
postgres = _load("deploy/postgres/server.py")


def missing() -> str | None:
    """Why there can be no broker or no database here; None when both can be started."""
    problems = [p for p in (kafka.missing_tools(), postgres.missing_tools()) if p]
    return "; ".join(problems) or None


@contextmanager
def running_postgres() -> Iterator:
    """A server in a temporary folder that its unprivileged user can reach (pytest's folders are root's own)."""
    folder = Path(tempfile.mkdtemp(prefix="walkout-postgres-"))
    folder.chmod(0o755)
    server = postgres.Server(folder / "data", postgres.free_port())
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def running_kafka(folder: Path) -> Iterator:
    broker = kafka.Broker(folder, kafka.free_port())
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()
