# SPDX-License-Identifier: AGPL-3.0-or-later
"""stripe-mock, Stripe's own stand-in made from its API description: requests that it does not know are refused."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

VERSION = "v0.203.0"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port: int, process: subprocess.Popen, timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{process.args}: nothing listens on port {port}") from None
            time.sleep(0.05)


@pytest.fixture(scope="session")
def stripe_mock():
    """URL of a running stripe-mock; built once by Go into its own GOPATH, which CI may keep."""
    pytest.importorskip("stripe", reason="needs Stripe's library: pip install 'walkout[stripe]'")
    port = free_port()
    command = [_stripe_mock(), "-http-port", str(port), "-https-port", str(free_port())]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for(port, process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


def _stripe_mock() -> str:
    here = shutil.which("stripe-mock")
    if here:
        return here
    go = shutil.which("go") or ("/usr/local/go/bin/go" if Path("/usr/local/go/bin/go").exists() else None)
    if go is None:
        pytest.skip("needs stripe-mock, or Go to build it: install Go (https://go.dev/doc/install) or stripe-mock")
    gopath = subprocess.run([go, "env", "GOPATH"], capture_output=True, text=True, check=True).stdout.strip()
    binary = Path(gopath) / "bin" / "stripe-mock"
    if not binary.exists():
        build = [go, "install", f"github.com/stripe/stripe-mock@{VERSION}"]
        made = subprocess.run(build, capture_output=True, text=True, env={**os.environ, "GOBIN": ""}, timeout=600)
        if made.returncode:
            pytest.skip(f"stripe-mock could not be built: {made.stderr.strip().splitlines()[-1]}")
    return str(binary)
