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
        raise OutputError("state postgresql://walkout@db-1.internal/shop: connection refused")

    @router.get("/ours")
    def ours() -> None:
        raise ZeroDivisionError("a secret detail")

    return TestClient(create_app(router, max_body_bytes=200), raise_server_exceptions=False)


def test_a_body_reaches_its_route_whole(client):
    assert client.post("/echo", json={"text": "x" * 150}).json() == {"text": "x" * 150}


def test_the_worlds_fault_is_503_and_what_it_is_is_in_the_log_alone(client, caplog):
    with caplog.at_level(logging.WARNING):
        answer = client.get("/world")
    number = answer.json()["error"].partition("error ")[2].partition(",")[0]
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
    assert "db-1" not in answer.text and "postgresql" not in answer.text
    assert any(number in line and "db-1.internal" in line for line in (r.getMessage() for r in caplog.records))


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
