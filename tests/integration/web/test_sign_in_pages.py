# SPDX-License-Identifier: AGPL-3.0-or-later
"""Signing in and out in a browser."""


def test_a_shopper_signs_in_with_the_code_that_was_sent(person, served):
    page = person(None)
    page.goto("/shop")
    assert "/sign-in?next=" in page.url
    page.get_by_label("Mail address").fill("anna@example.org")
    page.get_by_role("button", name="Send me a code").click()
    code = page.locator("[data-code]").inner_text()
    page.get_by_label("Code", exact=True).fill(code)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/shop**")
    assert not page.problems


def test_staff_sign_in_with_a_password_and_out_again(person, served):
    page = person(None)
    page.goto("/review")
    page.get_by_role("link", name="Staff sign in").click()
    page.get_by_label("Name").fill("reviewer")
    page.get_by_label("Password").fill(served.passwords["reviewer"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/review")
    page.goto("/account")
    page.get_by_role("button", name="Sign out", exact=True).click()
    page.goto("/review")
    assert "/sign-in" in page.url


def test_each_role_has_its_page_and_no_other(person):
    for who, own, other in (
        ("anna", "/shop", "/review"),
        ("reviewer", "/review", "/floor"),
        ("operator", "/floor", "/review"),
    ):
        page = person(who)
        assert page.goto(own).status == 200
        assert page.goto(other).status == 403
