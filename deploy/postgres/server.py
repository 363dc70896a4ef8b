# SPDX-License-Identifier: AGPL-3.0-or-later
"""A PostgreSQL server of one's own without containers, from the distribution's package, for trying out and for tests.

::

    python deploy/postgres/server.py run --data /tmp/walkout-postgres --port 5433    # in the foreground, prints its URL

It never touches the system's cluster: its own folder, its own port, on 127.0.0.1 and without passwords. PostgreSQL
refuses to run as root; then it runs as `postgres`, or `nobody`, and the folder is given to that user.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = "postgresql"
_USER = "walkout"


class ServerError(RuntimeError):
    """The server cannot be set up or started; the text says what to do."""


def programs() -> Path | None:
    """The folder with `initdb` and `postgres`, the newest version that is installed; None when there is none."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    return max(
        (p.parent for p in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda p: int(p.parent.name),
        default=None,
    )


def missing_tools() -> str | None:
    """One line on what to install, or None when everything is there."""
    return None if programs() else f"initdb and postgres not found: apt-get install {PACKAGES}"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One server on 127.0.0.1:`port` that keeps its data in `data`, which all users must be able to reach (below /tmp,
    not below a home). The same folder can be started again."""

    def __init__(self, data: Path, port: int = 5433) -> None:
        self.data, self.port = Path(data).resolve(), port
        self.process: subprocess.Popen | None = None
        self._as = {"user": _unprivileged().pw_uid, "group": _unprivileged().pw_gid} if os.getuid() == 0 else {}

    def url(self, database: str = _USER) -> str:
        return f"postgresql://{_USER}@127.0.0.1:{self.port}/{database}"

    def start(self, timeout_s: float = 300.0) -> None:
        """Make the cluster the first time, start, and wait until the server answers."""
        if problem := missing_tools():
            raise ServerError(problem)
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        command = [
            str(programs() / "postgres"), "-D", str(self.data), "-p", str(self.port),
            "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.data}",
        ]  # fmt: skip
        with (self.data / "server.log").open("ab") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd="/",
                start_new_session=True,
                **self._as,
            )
        deadline = time.monotonic() + timeout_s
        while self._run("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port), check=False):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                tail = (self.data / "server.log").read_text(errors="replace").splitlines()[-10:]
                raise ServerError("PostgreSQL did not start:\n" + "\n".join(tail))
            time.sleep(0.1)

    def create(self, database: str) -> str:
        """A new, empty database; returns its URL."""
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", _USER, database)
        return self.url(database)

    def stop(self, timeout_s: float = 30.0) -> None:
        """Fast shutdown: connections are cut, everything committed is on disk."""
        self._end(signal.SIGINT, timeout_s)

    def kill(self, timeout_s: float = 30.0) -> None:
        """Immediate shutdown, as a crash: the next start recovers from the write-ahead log."""
        self._end(signal.SIGQUIT, timeout_s)

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def _initialise(self) -> None:
        self.data.mkdir(parents=True, exist_ok=True)
        self.data.chmod(0o700)
        if self._as:
            shutil.chown(self.data, self._as["user"], self._as["group"])
        self._run("initdb", "-D", str(self.data), "-U", _USER, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync")
        # `postgres --single` makes the database of the URL without a server
        single = [str(programs() / "postgres"), "--single", "-D", str(self.data), "postgres"]
        sql = f"CREATE DATABASE {_USER}\n"
        done = subprocess.run(single, input=sql, capture_output=True, text=True, cwd="/", **self._as)
        if done.returncode:
            raise ServerError(f"cannot make a database: {done.stderr}")

    def _run(self, program: str, *arguments: str, check: bool = True) -> int:
        command = [str(programs() / program), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **self._as)
        if check and done.returncode:
            raise ServerError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
        return done.returncode


def _unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise ServerError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody")


def main() -> int:
    parser = argparse.ArgumentParser(description="A PostgreSQL server for trying out and for tests.")
    parser.add_argument("command", choices=("run",))
    parser.add_argument("--port", type=int, default=5433)
    parser.add_argument("--data", type=Path, required=True)
    arguments = parser.parse_args()
    server = Server(arguments.data, arguments.port)
    try:
        server.start()
        print(server.url(), flush=True)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        server.process.wait()
    except ServerError as error:
        print(f"postgres: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, SystemExit):
        server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
