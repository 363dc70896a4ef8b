# SPDX-License-Identifier: AGPL-3.0-or-later
"""Every page that a role's links lead to, in a real browser, on a phone and a desktop, light and dark."""

import pytest

from pipeline.web.browsing import pages_of
from pipeline.web.looking import look_at

PEOPLE = [None, "anna", "reviewer", "operator", "admin"]
HEAVIEST_BYTES = 150_000


@pytest.fixture(params=PEOPLE, ids=[who or "nobody" for who in PEOPLE])
def who(request):
    return request.param


@pytest.fixture(params=[False, True], ids=["desktop", "phone"])
def phone(request):
    return request.param


def test_nothing_is_wrong_with_any_page(person, served, who, phone, record_property):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = person(who, phone=phone)
    page.emulate_media(reduced_motion="reduce")  # colours then change at once: there is no fading to wait for
    found = pages_of(served.app, page, "/sign-in" if who is None else "/")
    assert found
    wrong = []
    for one in found:
        page.problems.clear()
        page.emulate_media(color_scheme="light")
        look = look_at(page, one.path)
        record_property(one.path, f"{look.weight_bytes} bytes, first paint {look.paint_ms} ms")
        print(f"{one.path}: {look.weight_bytes / 1000:.0f} kB, first paint {look.paint_ms or 0:.0f} ms")
        if look.weight_bytes > HEAVIEST_BYTES:
            wrong.append(f"{one.path}: {look.weight_bytes} bytes without pictures")
        if look.overflow_px > 0:
            wrong.append(f"{one.path}: {look.overflow_px} px wider than the screen")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("document.getAnimations().every(a => a.playState !== 'running')")
            for violation in axe.run(page).response["violations"]:
                if violation["impact"] in ("serious", "critical"):
                    said = [f"{n['html'][:160]} ({n['failureSummary'][:300]})" for n in violation["nodes"][:3]]
                    wrong.append(f"{one.path} {scheme}: {violation['id']}: {'; '.join(said)}")
        wrong += [f"{one.path}: {problem}" for problem in page.problems]
    assert wrong == []


def test_every_page_has_one_title_one_heading_and_a_language(person, served, who):
    page = person(who, locale="fr-FR")
    for one in pages_of(served.app, page, "/sign-in" if who is None else "/"):
        page.goto(one.path)
        assert page.locator("h1").count() == 1, one.path
        assert page.locator("html").get_attribute("lang") == "fr", one.path
        assert page.title().strip(" ·") and not page.title().startswith(" ·"), one.path


def test_the_keyboard_alone_is_enough_to_sign_in(person):
    page = person(None)
    page.goto("/sign-in")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.type("anna@example.org")
    page.keyboard.press("Enter")
    page.wait_for_url("**/sign-in")
    code = page.locator("[data-code]").inner_text()
    assert page.evaluate("document.activeElement.name") == "code"
    page.keyboard.type(code)
    page.keyboard.press("Enter")
    page.wait_for_url("**/shop**")


def test_what_has_the_focus_can_be_seen(person):
    page = person("anna")
    page.goto("/account")
    for _ in range(8):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):  # past the last one
            break
        outline = page.evaluate(
            "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"
        )
        assert outline[0] != "none" and float(outline[1].removesuffix("px")) >= 2


def test_light_and_dark_follow_the_switch_and_stay(person):
    page = person(None, color_scheme="light")
    page.goto("/sign-in")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.get_by_role("button", name="Light or dark").click()
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert light != dark
    page.reload()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
