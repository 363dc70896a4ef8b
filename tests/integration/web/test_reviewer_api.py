# SPDX-License-Identifier: AGPL-3.0-or-later
"""The review API without a browser: who may, what is answered, what is done once."""

from __future__ import annotations

import httpx
import pytest

from pipeline.cart.desk import newest_in
from pipeline.review import audit
from tests.films import keep_films
from tests.waiting import until
from tests.web_site import Served, make_run
from tests.web_site import served as serve


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with serve(make_run(tmp_path_factory.mktemp("shop"))) as site:
        until(site.site.review.queue, "no case was opened")
        yield site


@pytest.fixture(scope="module")
def case(served: Served):
    """Ben's cola that is held, with films of its event."""
    [case] = served.site.review.queue()
    view = served.site.review.view(case.case_id)
    [event] = [e.event for line in view.lines if line.asked for e in line.events]
    keep_films(served.site, event, {"cam1": 0.0}, case.visit_id)
    return served.site.review.view(case.case_id)


def client(served: Served, who: str | None) -> httpx.Client:
    headers = {"Authorization": f"Bearer {served.token(who)}"} if who else {}
    return httpx.Client(base_url=f"{served.url}/api/v1/review", headers=headers, timeout=30)


def clip_of(case) -> str:
    return next(e.clips[0].clip_id for line in case.lines if line.asked for e in line.events)


@pytest.mark.parametrize(
    ("who", "status"), [(None, 401), ("anna", 403), ("operator", 403), ("reviewer", 200), ("admin", 200)]
)
def test_only_reviewers_see_evidence(served, case, who, status) -> None:
    with client(served, who) as api:
        paths = ("queue", f"cases/{case.case.case_id}", f"clips/{clip_of(case)}", "audit/export", "products?q=cola")
        assert {api.get(f"/{path}").status_code for path in paths} == {status}


def test_a_film_is_answered_in_ranges_and_without_traces(served, case) -> None:
    with client(served, "reviewer") as api:
        whole = api.get(f"/clips/{clip_of(case)}")
        part = api.get(f"/clips/{clip_of(case)}", headers={"Range": "bytes=4-7"})
        assert (part.status_code, part.content) == (206, whole.content[4:8]) and part.content == b"ftyp"
        assert "no-store" in whole.headers["cache-control"]
        overlay = api.get(f"/clips/{clip_of(case)}/overlay").json()
        assert len(overlay["frames"]) == 41 and overlay["frames"][0]["people"][0]["mine"] is True
        assert api.get("/clips/none").status_code == 404


def test_nobody_is_named_in_it(served, case) -> None:
    with client(served, "reviewer") as api:
        queue, one = api.get("/queue"), api.get(f"/cases/{case.case.case_id}")
        assert case.case.shopper_id == "ben" and '"ben"' not in queue.text + one.text
        assert queue.json()["cases"][0]["shopper"] == one.json()["case"]["shopper"] != ""


def test_a_decision_is_taken_once_and_a_key_means_one_request(served, case) -> None:
    case_id, version = case.case.case_id, case.receipt.version
    with client(served, "reviewer") as api:
        post = {"url": f"/cases/{case_id}/decisions", "json": {"action": "quantity", "quantity": 2, "version": version}}
        assert api.post(**post).status_code == 422, "no key"
        stale = {**post, "json": {**post["json"], "version": version + 5}, "headers": {"Idempotency-Key": "key-stale"}}
        assert api.post(**stale).status_code == 409
        key = {"Idempotency-Key": "key-00000001"}
        first, again = api.post(**post, headers=key), api.post(**post, headers=key)
        assert first.status_code == again.status_code == 200
        assert again.json() == {**first.json(), "repeated": True} and first.json()["version"] == version + 1
        other = {**post, "json": {"action": "confirm"}}
        assert api.post(**other, headers=key).status_code == 409, "the key was another request's"
        assert api.post(**post, headers={"Idempotency-Key": "key-00000002"}).status_code == 409, "it is decided"
        assert api.post("/cases/none/decisions", json={"action": "confirm"}, headers=key).status_code == 404
    newest = served.site.database.run(lambda db: newest_in(db, case.receipt.receipt_id))
    assert newest.version == version + 1


def test_the_export_is_the_chain(served, case) -> None:
    with client(served, "reviewer") as api:
        lines = api.get("/audit/export").text.splitlines()
        heads = api.get("/audit/verification").json()
    assert heads["whole"] is True
    found = audit.check(audit.parse(lines))
    assert {store: head.hash for store, head in found.items()} == {s: h["hash"] for s, h in heads["heads"].items()}
