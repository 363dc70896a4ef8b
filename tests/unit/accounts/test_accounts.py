# SPDX-License-Identifier: AGPL-3.0-or-later
"""Codes and links, passwords, sessions."""

import pytest
from sqlalchemy import text

from pipeline.accounts import Accounts, AccountSettings
from pipeline.errors import AccountError, SignInRefused
from pipeline.review import audit
from tests.account_checks import HOUR, MINUTE, a_whole_life


def ask(accounts, address="anna@example.org"):
    request = accounts.codes.ask(address)
    sent = accounts.sender.last(address)
    return request, sent.code, sent.link.rpartition("/")[2]


def wrong(code):
    return f"{(int(code) + 1) % 1_000_000:06d}"


def test_a_whole_life(accounts, clock):
    a_whole_life(accounts, clock)


# --- codes ---


def test_a_code_is_good_once(accounts):
    request, code, _ = ask(accounts)
    accounts.with_code(request, f" {code[:3]} {code[3:]} ")
    with pytest.raises(SignInRefused, match="used, too old"):
        accounts.with_code(request, code)


def test_a_link_is_good_once_and_its_code_goes_with_it(accounts):
    request, code, link = ask(accounts)
    accounts.with_link(link)
    with pytest.raises(SignInRefused, match="used or too old"):
        accounts.with_link(link)
    with pytest.raises(SignInRefused):
        accounts.with_code(request, code)


def test_a_code_works_only_in_the_browser_that_asked(accounts):
    _, code, _ = ask(accounts)
    other, _, _ = ask(accounts, "ben@example.org")
    with pytest.raises(SignInRefused, match="wrong code"):
        accounts.with_code(other, code if code != accounts.sender.last("ben@example.org").code else wrong(code))


def test_five_wrong_codes_end_it_even_for_the_right_one(accounts):
    request, code, _ = ask(accounts)
    for _ in range(5):
        with pytest.raises(SignInRefused, match="wrong code"):
            accounts.with_code(request, wrong(code))
    with pytest.raises(SignInRefused, match="tried too often"):
        accounts.with_code(request, code)


def test_codes_and_links_run_out(accounts, clock):
    request, code, _ = ask(accounts)
    _, _, link = ask(accounts)
    clock.wait(10 * MINUTE)
    with pytest.raises(SignInRefused):
        accounts.with_code(request, code)
    with pytest.raises(SignInRefused):
        accounts.with_link(link)


def test_of_many_requests_of_one_address_three_stay_open(accounts, clock):
    asked = []
    for _ in range(5):
        asked.append(ask(accounts))
        clock.wait(1)
    for request, code, _ in asked[:2]:
        with pytest.raises(SignInRefused):
            accounts.with_code(request, code)
    for request, code, _ in asked[2:]:
        accounts.with_code(request, code)


def test_the_database_holds_no_code_link_token_or_password(accounts, database):
    request, code, link = ask(accounts)
    user = accounts.staff.add("rita", ["admin"], "a long password", by="test")
    token = accounts.sessions.start(user.user_id, "password")
    with database.transaction() as db:
        tables = ("account_codes", "account_sessions", "account_users")
        kept = repr([db.execute(text(f"SELECT * FROM {table}")).all() for table in tables])
    assert not [secret for secret in (request, f"'{code}'", link, token, "a long password") if secret in kept]
    assert "$argon2id$" in kept


@pytest.mark.parametrize(
    "address", ["", "anna", "a b@example.org", "anna@", "@x", "<a>@example.org", "a@b@c", "a" * 300]
)
def test_what_is_no_address_is_refused(accounts, address):
    with pytest.raises(AccountError, match="expected a mail address"):
        accounts.codes.ask(address)


def test_where_nobody_new_may_come_only_known_addresses_do(database, clock):
    accounts = Accounts(database, AccountSettings(sender="development", sign_up=False), clock)
    request, code, _ = ask(accounts)
    with pytest.raises(SignInRefused, match="nobody with this address"):
        accounts.with_code(request, code)
    accounts.users.shopper("anna@example.org")
    request, code, _ = ask(accounts)
    assert accounts.with_code(request, code).shopper_id


def test_without_a_sender_codes_say_what_is_missing(database):
    with pytest.raises(AccountError, match="names no sender"):
        Accounts(database).codes.ask("anna@example.org")


# --- staff ---


def test_wrong_names_and_wrong_passwords_say_the_same(accounts):
    accounts.staff.add("rita", ["reviewer"], "a long password", by="test")
    for name, password in (("rita", "another password"), ("nobody", "a long password")):
        with pytest.raises(SignInRefused, match=r"^wrong name or password$"):
            accounts.with_password(name, password)


@pytest.mark.parametrize("password", ["", "short", "x" * 201])
def test_weak_and_endless_passwords_are_refused(accounts, password):
    with pytest.raises(AccountError, match="10 to 200 characters"):
        accounts.staff.add("rita", ["reviewer"], password, by="test")


def test_roles_and_names_are_checked(accounts):
    with pytest.raises(AccountError, match="role 'boss': expected one of reviewer"):
        accounts.staff.add("rita", ["boss"], "a long password", by="test")
    with pytest.raises(AccountError, match="staff name"):
        accounts.staff.add("ri ta", ["reviewer"], "a long password", by="test")


def test_a_new_password_signs_out_who_had_the_old_one(accounts):
    user = accounts.staff.add("rita", ["reviewer"], "a long password", by="test")
    token = accounts.sessions.start(user.user_id, "password")
    accounts.staff.set_password(user.user_id, "another password", by="test")
    assert accounts.sessions.find(token) is None
    assert accounts.with_password("rita", "another password")


def test_a_password_of_weaker_times_is_hashed_anew(accounts, database):
    from argon2 import PasswordHasher

    user = accounts.staff.add("rita", ["reviewer"], "a long password", by="test")
    old = PasswordHasher(time_cost=1, memory_cost=64).hash("a long password")
    with database.transaction() as db:
        db.execute(text("UPDATE account_users SET password = :old"), {"old": old})
    accounts.with_password("rita", "a long password")
    assert accounts.users.password_hash("rita")[1] != old
    assert accounts.with_password("rita", "a long password").user_id == user.user_id


# --- sessions ---


def test_a_session_ends_when_it_is_not_used(accounts, clock):
    token = accounts.sessions.start(accounts.users.shopper("anna@example.org").user_id, "code")
    for _ in range(3):
        clock.wait(11 * HOUR)
        assert accounts.sessions.find(token)
    clock.wait(12 * HOUR)
    assert accounts.sessions.find(token) is None


def test_a_session_ends_after_thirty_days_however_much_it_is_used(accounts, clock):
    token = accounts.sessions.start(accounts.users.shopper("anna@example.org").user_id, "code")
    for _ in range(30 * 3 - 1):
        clock.wait(8 * HOUR)
        assert accounts.sessions.find(token)
    clock.wait(8 * HOUR)
    assert accounts.sessions.find(token) is None


def test_signing_in_again_ends_the_session_that_the_browser_had(accounts):
    user_id = accounts.users.shopper("anna@example.org").user_id
    first = accounts.sessions.start(user_id, "code")
    second = accounts.sessions.start(user_id, "code", instead_of=first)
    assert accounts.sessions.find(first) is None and accounts.sessions.find(second)


def test_signing_out_everywhere(accounts):
    anna, ben = (accounts.users.shopper(f"{name}@example.org").user_id for name in ("anna", "ben"))
    tokens = [accounts.sessions.start(who, "code") for who in (anna, anna, ben)]
    accounts.sessions.end_all(anna)
    assert [accounts.sessions.find(token) is not None for token in tokens] == [False, False, True]


def test_the_last_admin_stays(accounts):
    first = accounts.staff.add("ada", ["admin"], "a long password", by="test")
    with pytest.raises(AccountError, match="the only admin"):
        accounts.staff.close(first.user_id, by="test")
    with pytest.raises(AccountError, match="the only admin"):
        accounts.staff.set_roles(first.user_id, ["reviewer"], by="test")
    second = accounts.staff.add("bob", ["admin"], "a long password", by="test")
    accounts.staff.close(first.user_id, by="bob")
    with pytest.raises(AccountError, match="the only admin"):
        accounts.staff.close(second.user_id, by="test")
    accounts.staff.reopen(first.user_id, by="bob")
    assert accounts.with_password("ada", "a long password")


def test_what_is_done_to_staff_is_in_the_audit_trail(accounts, database):
    user = accounts.staff.add("rita", ["reviewer"], "a long password", by="ada")
    accounts.staff.set_roles(user.user_id, ["operator"], by="ada")
    accounts.staff.change_password(user.user_id, "a long password", "another password")
    accounts.staff.close(user.user_id, by="ada")
    with database.transaction() as db:
        audit.verify(db)
        entries = [(e.kind, e.by, e.about["staff"], e.about["roles"]) for e in audit.history(db)]
    assert entries == [
        ("staff-added", "ada", "rita", ["reviewer"]),
        ("staff-roles", "ada", "rita", ["operator"]),
        ("staff-password", "rita", "rita", ["operator"]),
        ("staff-closed", "ada", "rita", ["operator"]),
    ]


def test_one_changes_ones_password_with_the_old_one(accounts):
    user = accounts.staff.add("rita", ["reviewer"], "a long password", by="test")
    with pytest.raises(AccountError, match="the old password is wrong"):
        accounts.staff.change_password(user.user_id, "a wrong password", "another password")
    accounts.staff.change_password(user.user_id, "a long password", "another password")
    assert accounts.with_password("rita", "another password")
