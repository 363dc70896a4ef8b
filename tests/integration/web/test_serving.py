# SPDX-License-Identifier: AGPL-3.0-or-later
"""`walkout web ...` as a command."""

import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from tests.web_site import make_run

WALKOUT = [sys.executable, "-m", "pipeline.cli"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("shop"))


def walkout(*arguments, **more):
    done = subprocess.run([*WALKOUT, *map(str, arguments)], capture_output=True, text=True, timeout=120, **more)
    return done.returncode, done.stdout, done.stderr


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def test_serve_prints_sign_ins_that_work_and_ends_with_the_first_signal(run):
    port = free_port()
    command = [*WALKOUT, "web", "serve", str(run), "--demo", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            url = f"http://127.0.0.1:{port}"
            for _ in range(600):
                try:
                    httpx.get(f"{url}/sign-in", timeout=10)
                    break
                except httpx.TransportError:
                    assert server.poll() is None, server.stderr.read()
                    time.sleep(0.2)
            busy = walkout("web", "serve", run, "--port", port)
        finally:
            server.send_signal(signal.SIGINT)
            said, _ = server.communicate(timeout=60)
    assert busy[0] == 2 and f"127.0.0.1:{port} is taken" in busy[2]
    assert "anna@example.org" in said and "ben@example.org" in said
    assert len(re.findall(r"password \S{12}", said)) == 3
    assert server.returncode in (0, 130)


def test_staff_by_command(run):
    code, said, _ = walkout("web", "staff", "add", run, "rita", "--role", "reviewer", "--role", "operator")
    assert code == 0 and re.fullmatch(r"rita: reviewer, operator; password \S{16}\n", said)
    code, said, _ = walkout("web", "staff", "list", run)
    assert "rita  operator, reviewer" in said
    code, _, told = walkout("web", "staff", "add", run, "rita", "--role", "boss")
    assert code == 2 and "role 'boss': expected one of reviewer, operator, admin" in told
    code, _, told = walkout("web", "staff", "close", run, "nobody")
    assert code == 2 and "no member of staff 'nobody'" in told


def test_codes_are_not_shown_to_a_network(run):
    (run.parent / "recording" / "accounts.yaml").write_text("sender: development\n")
    try:
        code, _, told = walkout("web", "serve", run, "--host", "0.0.0.0", "--port", free_port())
    finally:
        (run.parent / "recording" / "accounts.yaml").unlink()
    assert code == 2 and "shows everybody's codes" in told


def test_a_folder_that_is_neither_a_run_nor_a_store(tmp_path):
    code, _, told = walkout("web", "serve", tmp_path, "--port", free_port())
    assert code == 2 and "neither a recording" in told and "Traceback" not in told
