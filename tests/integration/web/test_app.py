# SPDX-License-Identifier: AGPL-3.0-or-later
"""What every router gets from the application: errors that say something and show nothing, and a limit on bodies."""

import logging

import pytest
from fastapi import APIRouter
from fastapi.testclient import TestClient
from pydantic import BaseModel

from pipeline.errors import OutputError
from pipeline.web import create_app


class Said(BaseModel):
    text: str


@pytest.fixture
def client():
    router = APIRouter()

    @router.post("/echo")
    def echo(said: Said) -> Said:
        return said

    @router.get("/world")
    def world() -> None:
        raise OutputError("state: the database does not answer")

    @router.get("/ours")
    def ours() -> None:
        raise ZeroDivisionError("a secret detail")

    return TestClient(create_app(router, max_body_bytes=200), raise_server_exceptions=False)


def test_a_body_reaches_its_route_whole(client):
    assert client.post("/echo", json={"text": "x" * 150}).json() == {"text": "x" * 150}


def test_the_worlds_fault_is_503_with_one_line(client):
    answer = client.get("/world")
    assert (answer.status_code, answer.json()) == (503, {"error": "state: the database does not answer"})
    assert answer.headers["retry-after"] == "1"


def test_our_fault_is_500_and_its_traceback_is_in_the_log_alone(client, caplog):
    with caplog.at_level(logging.ERROR):
        answer = client.get("/ours")
    number = answer.json()["error"].split()[2].rstrip(";")
    assert answer.status_code == 500 and "secret" not in answer.text
    assert any(number in r.getMessage() and r.exc_info for r in caplog.records)


def test_a_large_body_is_refused_whatever_its_length_claims(client):
    def chunks():
        for _ in range(10):
            yield b"x" * 100

    assert client.post("/echo", json={"text": "x" * 500}).status_code == 413
    assert client.post("/echo", content=chunks()).status_code == 413


def test_a_wrong_body_is_the_callers_fault(client):
    assert client.post("/echo", content=b"{").status_code == 422
