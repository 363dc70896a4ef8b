# SPDX-License-Identifier: AGPL-3.0-or-later
"""What keeps strangers, other sites and other shoppers out; over HTTP, on a real run."""

import re
import shutil

import httpx
import pytest

from pipeline.web import site_app as site_app_module
from tests.web_site import served as serve


@pytest.fixture
def client(served):
    with httpx.Client(base_url=served.url, follow_redirects=False) as client:
        yield client


@pytest.fixture
def own_run(run, tmp_path):
    """A copy: serving a run gives its staff new passwords."""
    return shutil.copytree(run, tmp_path / "run")


def csrf(answer):
    return re.search(r'name="csrf-token" content="([0-9a-f]{64})"', answer.text)[1]


def signed_in(served, who):
    return httpx.Client(base_url=served.url, cookies={"walkout-session": served.token(who)})


def test_what_every_page_says_to_the_browser(client):
    for path in ("/sign-in", "/nothing", "/static/style.css", "/api/v1/session"):
        headers = client.get(path).headers
        assert "script-src 'self';" in headers["content-security-policy"]
        assert "unsafe-inline" not in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "same-origin"
        assert "server" not in headers or "walkout" not in headers["server"]
    assert client.get("/sign-in").headers["cache-control"] == "no-store"
    style = re.search(r"/static/style.css\?v=\w+", client.get("/sign-in").text)[0]
    assert "immutable" in client.get(style).headers["cache-control"]


def test_nobody_sees_a_page_without_signing_in(client):
    for path in ("/shop", "/review", "/floor", "/home", "/account", "/staff"):
        answer = client.get(path)
        assert answer.status_code == 303 and answer.headers["location"].startswith("/sign-in?next=")
    answer = client.get("/api/v1/session")
    assert answer.status_code == 401 and answer.json()["error"]


@pytest.mark.parametrize("who", ["anna", "reviewer", "operator"])
def test_only_admins_manage_staff(served, who):
    with signed_in(served, who) as client:
        assert client.get("/staff").status_code == 403
        token = csrf(client.get("/account"))
        answer = client.post("/staff", data={"name": "mallory", "role": "admin", "csrf_token": token})
    assert answer.status_code == 403 and served.site.accounts.users.by_staff_name("mallory") is None


# --- forms of other sites ---


def test_a_form_without_the_token_does_nothing(served):
    with signed_in(served, "anna") as client:
        for token in ("", "0" * 64):
            assert client.post("/sign-out", data={"csrf_token": token}).status_code == 403
        assert client.get("/account").status_code == 200
        right = csrf(client.get("/account"))
        assert client.post("/sign-out", headers={"X-CSRF-Token": right}).status_code == 303
        assert client.get("/account").status_code == 303


def test_somebody_elses_token_does_nothing(served):
    with signed_in(served, "anna") as anna, signed_in(served, "ben") as ben:
        token = csrf(ben.get("/account"))
        assert anna.post("/sign-out", data={"csrf_token": token}).status_code == 403


def test_nobody_is_signed_in_by_a_form_of_another_site(client, served):
    data = {"name": "reviewer", "password": served.passwords["reviewer"]}
    assert client.post("/sign-in/staff", data=data).status_code == 403
    token = csrf(client.get("/sign-in?staff=1"))
    answer = client.post("/sign-in/staff", data={**data, "csrf_token": token})
    assert answer.status_code == 303 and "walkout-session" in answer.cookies


def test_programs_with_a_token_of_their_own_need_none(served, client):
    given = {"staff_name": "reviewer", "password": served.passwords["reviewer"]}
    token = client.post("/api/v1/session", json=given, headers={"X-CSRF-Token": ""})
    assert token.status_code == 200, token.text
    bearer = {"Authorization": f"Bearer {token.json()['token']}"}
    with httpx.Client(base_url=served.url, headers=bearer) as program:
        assert program.get("/api/v1/session").json()["roles"] == ["reviewer"]
        assert program.delete("/api/v1/session").status_code == 204
        assert program.get("/api/v1/session").status_code == 401


# --- sessions ---


def test_the_session_cookie(served, client):
    token = csrf(client.get("/sign-in?staff=1"))
    data = {"name": "operator", "password": served.passwords["operator"], "csrf_token": token}
    cookie = client.post("/sign-in/staff", data=data).headers["set-cookie"]
    assert "walkout-session=" in cookie and "HttpOnly" in cookie and "SameSite=lax" in cookie


def test_with_https_cookies_belong_to_this_host_alone(own_run):
    with serve(own_run, public_url="https://shop.test") as site, httpx.Client(base_url=site.url) as client:
        answer = client.get("/sign-in")
        cookie = answer.headers["set-cookie"]
        assert cookie.startswith("__Host-walkout-form=") and "Secure" in cookie and "Domain" not in cookie
        assert "max-age=" in answer.headers["strict-transport-security"]


def test_signing_in_makes_a_new_session_and_ends_the_old_one(served):
    old = served.token("reviewer")
    with httpx.Client(base_url=served.url, cookies={"walkout-session": old}) as client:
        token = csrf(client.get("/sign-in?staff=1"))
        data = {"name": "operator", "password": served.passwords["operator"], "csrf_token": token}
        new = client.post("/sign-in/staff", data=data).cookies["walkout-session"]
    assert new != old and served.site.accounts.sessions.find(old) is None


def test_a_session_of_somebody_whose_account_was_closed_is_nothing(served):
    user = served.site.accounts.staff.add("temp", ["reviewer"], "a long password", by="test")
    with signed_in(served, "temp") as client:
        assert client.get("/review").status_code == 200
        served.site.accounts.staff.close(user.user_id, by="test")
        assert client.get("/review").status_code == 303


@pytest.mark.parametrize("there", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_after_signing_in_one_never_lands_on_another_site(served, client, there):
    token = csrf(client.get("/sign-in?staff=1"))
    data = {"name": "operator", "password": served.passwords["operator"], "csrf_token": token, "next": there}
    assert client.post("/sign-in/staff", data=data).headers["location"] == "/"


# --- too much ---


def test_passwords_cannot_be_tried_for_long(own_run):
    with serve(own_run, sign_in_per_account="3/minute") as site, httpx.Client(base_url=site.url) as client:
        token = csrf(client.get("/sign-in?staff=1"))
        data = {"name": "reviewer", "password": "wrong", "csrf_token": token}
        answers = [client.post("/sign-in/staff", data=data) for _ in range(4)]
        assert [a.status_code for a in answers] == [400, 400, 400, 429]
        assert int(answers[-1].headers["retry-after"]) >= 1 and "Too many tries" in answers[-1].text
        given = {"staff_name": "reviewer", "password": site.passwords["reviewer"]}
        assert client.post("/api/v1/session", json=given, headers={"X-CSRF-Token": token}).status_code == 429


def test_one_client_cannot_ask_for_codes_without_end(own_run):
    with serve(own_run, sign_in_per_client="5/minute") as site, httpx.Client(base_url=site.url) as client:
        token = csrf(client.get("/sign-in"))
        codes = [
            client.post("/sign-in", data={"address": f"a{n}@example.org", "csrf_token": token}).status_code
            for n in range(7)
        ]
    assert codes == [200] * 5 + [429] * 2


def test_fifty_megabytes_are_refused_in_a_page_and_in_json(served):
    with signed_in(served, "anna") as client:
        page = client.post("/account/password", content=b"x" * 50_000_000, timeout=30)
        api = client.post("/api/v1/session", content=b"x" * 50_000_000, timeout=30)
    assert page.status_code == 413 and "too large" in page.text
    assert api.status_code == 413 and "at most" in api.json()["error"]


# --- what goes wrong ---


def test_pages_and_programs_are_told_each_in_their_way(served):
    with signed_in(served, "anna") as client:
        page, api = client.get("/nothing"), client.get("/api/v1/nothing")
    assert page.status_code == 404 and "There is no such page." in page.text and "<html" in page.text
    assert api.status_code == 404 and api.json() == {"error": "Not Found"}


def test_a_state_that_is_away_is_a_page_that_says_later(served, monkeypatch):
    from pipeline.errors import StateError

    def away(token):
        raise StateError("state postgresql://secret-host/db: does not answer")

    monkeypatch.setattr(served.site.accounts.sessions, "find", away)
    with httpx.Client(base_url=served.url, cookies={"walkout-session": "x"}) as client:
        page, api = client.get("/shop"), client.get("/api/v1/session")
    assert page.status_code == api.status_code == 503
    assert "cannot answer now" in page.text and "secret-host" not in page.text + api.text


def test_our_mistake_is_a_page_with_a_number_and_all_headers(served, monkeypatch):
    monkeypatch.setattr(served.site.accounts.sessions, "of", lambda user_id: 1 / 0)
    with signed_in(served, "anna") as client:
        page = client.get("/account")
    assert page.status_code == 500 and re.search(r"<code>[0-9a-f]{12}</code>", page.text)
    assert "division" not in page.text and "script-src 'self'" in page.headers["content-security-policy"]


def test_areas_are_what_the_application_is_made_of():
    assert all(hasattr(area, name) for area in site_app_module.AREAS for name in ("router", "NAV", "UPLOADS"))


# --- languages ---


def test_the_page_speaks_the_browsers_language_or_the_chosen_one(client):
    french = {"Accept-Language": "de, fr;q=0.8, en;q=0.5"}
    assert '<html lang="fr">' in client.get("/sign-in", headers=french).text
    assert '<html lang="en">' in client.get("/sign-in", headers={"Accept-Language": "de"}).text
    token = csrf(client.get("/sign-in"))
    answer = client.post("/language", data={"to": "fr", "next": "/sign-in", "csrf_token": token})
    assert answer.headers["location"] == "/sign-in"
    assert '<html lang="fr">' in client.get("/sign-in", headers={"Accept-Language": "en"}).text
