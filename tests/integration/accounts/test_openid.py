# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in through a real OpenID Connect provider on loopback, without a browser."""

import time

import pytest
import requests

from pipeline.accounts import Accounts, AccountSettings
from pipeline.accounts.secrets import new_token
from pipeline.accounts.settings import OpenIdProvider
from pipeline.errors import AccountError, SignInRefused
from pipeline.state import Database
from tests.openid_provider import Provider
from tests.web_server import running


@pytest.fixture
def provider():
    made = []

    def app(url):
        made.append(Provider(url, "walkout", "a secret"))
        return made[0].app()

    with running(app):
        yield made[0]


@pytest.fixture
def accounts(provider, tmp_path, monkeypatch):
    monkeypatch.setenv("THE_SECRET", "a secret")
    database = Database(f"sqlite:///{tmp_path}/state.sqlite")

    def make(**settings):
        openid = OpenIdProvider(
            name="corp", title="Corp", issuer=provider.issuer, client_id="walkout", client_secret_env="THE_SECRET",
            **settings,
        )  # fmt: skip
        return Accounts(database, AccountSettings(public_url="http://shop.test", openid=(openid,)))

    yield make
    database.close()


def through(accounts, token=None, back_with=None):
    """Leave, let the provider send us back, come back."""
    openid, token = accounts.openid("corp"), token or new_token()
    answer = requests.get(openid.leave(token, accounts.back_url(openid)), allow_redirects=False)
    query = dict(pair.split("=", 1) for pair in answer.headers["location"].partition("?")[2].split("&"))
    return accounts.with_openid(openid, back_with or token, query)


def test_a_shopper_comes_and_comes_again(accounts):
    accounts = accounts()
    user = through(accounts)
    assert user.name == "Clara" and user.roles == {"shopper"} and user.address == "clara@example.org"
    assert user.shopper_id and user.staff_name is None
    assert through(accounts).user_id == user.user_id


def test_a_verified_address_is_the_shopper_who_has_it(accounts, provider):
    accounts = accounts()
    known = accounts.users.shopper("clara@example.org")
    assert through(accounts).user_id == known.user_id


def test_an_address_that_nobody_verified_is_not_believed(accounts, provider):
    accounts = accounts()
    known = accounts.users.shopper("clara@example.org")
    provider.person["email_verified"] = False
    user = through(accounts)
    assert user.user_id != known.user_id and user.address is None


def test_groups_give_roles_and_take_them(accounts, provider):
    accounts = accounts(role=None, roles={"reviewers": "reviewer", "floor": "operator"})
    provider.person["groups"] = ["reviewers", "others"]
    user = through(accounts)
    assert user.roles == {"reviewer"} and user.staff_name == "corp.42" and user.shopper_id is None
    provider.person["groups"] = ["floor"]
    assert through(accounts).roles == {"operator"}
    provider.person["groups"] = []
    with pytest.raises(SignInRefused, match="without one of its groups"):
        through(accounts)
    assert accounts.users.by_id(user.user_id).roles == frozenset()


def test_nobody_without_a_group_where_groups_are_asked_for(accounts):
    with pytest.raises(SignInRefused, match="Corp: nobody without one of its groups"):
        through(accounts(role=None, roles={"reviewers": "reviewer"}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"iss": "https://elsewhere.example"},
        {"aud": "another client"},
        {"nonce": "another sign-in's"},
        {"exp": int(time.time()) - 3600},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_an_id_token_that_is_not_for_this_sign_in_is_refused(accounts, provider, wrong):
    provider.tampered = wrong
    with pytest.raises(SignInRefused, match="Corp"):
        through(accounts())


def test_a_way_back_of_another_browser_is_refused(accounts):
    with pytest.raises(SignInRefused, match="not begun in this browser"):
        through(accounts(), back_with=new_token())


def test_new_keys_of_the_provider_are_fetched_and_strange_ones_refused(accounts, provider):
    accounts = accounts()
    through(accounts)
    provider.new_key()
    assert through(accounts).name == "Clara"
    provider.forger = Provider("http://elsewhere", "walkout").key
    with pytest.raises(SignInRefused):
        through(accounts)


def test_a_provider_that_is_away_is_one_line(accounts, provider, tmp_path):
    gone = OpenIdProvider(name="gone", title="Gone", issuer="http://127.0.0.1:9", client_id="walkout")
    database = Database(f"sqlite:///{tmp_path}/other.sqlite")
    accounts = Accounts(database, AccountSettings(openid=(gone,)))
    with pytest.raises(AccountError, match=r"openid gone: http://127.0.0.1:9/.well-known"):
        accounts.openid("gone").leave(new_token(), "http://shop.test/back")
    database.close()


def test_an_issuer_without_https_is_refused(tmp_path):
    plain = OpenIdProvider(name="plain", title="Plain", issuer="http://idp.example", client_id="walkout")
    database = Database(f"sqlite:///{tmp_path}/other.sqlite")
    with pytest.raises(AccountError, match="issuer must be https"):
        Accounts(database, AccountSettings(openid=(plain,)))
    database.close()
