# SPDX-License-Identifier: AGPL-3.0-or-later
"""The operator in a browser: the floor while a run is played again, settings, imports."""

import json
import re
from pathlib import Path

import httpx
import pytest
import yaml
from playwright.sync_api import expect

from calibration.catalogue import load_catalogue
from pipeline.review import audit
from tests.scripted_shop import ANNA, BEN, COLA, START_NS, Visitor

PATIENCE_MS = 20_000
GUEST = Visitor("guest", 2.0, 1.5, stay_s=4.0)
"""Walks in like the others and shows no pass."""


@pytest.fixture
def floor(person):
    """The floor page at the recording's beginning, playing."""

    def open_page(**options):
        page = person("operator", **options)
        page.goto("/floor")
        expect(page.locator("#link")).not_to_have_text("connecting", timeout=PATIENCE_MS)
        return page

    return open_page


def begin_ms() -> int:
    return START_NS // 1_000_000


def at_s(page) -> float:
    return (int(page.locator("#seek").input_value()) - begin_ms()) / 1000


def look_at(page, second: float) -> None:
    """Choose a moment on the time line by hand."""
    page.locator("#seek").evaluate(
        "(range, at) => { range.value = at; range.dispatchEvent(new Event('input')); "
        "range.dispatchEvent(new Event('change')); }",
        begin_ms() + round(second * 1000),
    )


def pause(page) -> None:
    page.get_by_role("button", name="Pause").click()


def picture(page) -> str:
    """What the canvas shows."""
    return page.locator("#plan").evaluate("canvas => canvas.toDataURL()")


def test_the_floor_moves_while_the_run_is_played_and_says_who_came_and_went(floor):
    page = floor()
    page.get_by_label("2×").check()
    page.get_by_text("came in").first.wait_for()
    first = picture(page)
    expect(page.locator("#visits tbody tr")).not_to_have_count(0, timeout=PATIENCE_MS)
    assert re.search(r"[0-9A-F]{4}", page.locator("#visits tbody tr").first.inner_text())
    page.wait_for_timeout(500)
    assert picture(page) != first
    page.get_by_label("max").check()
    page.get_by_text("end of the recording").wait_for()
    page.get_by_text("took Cola").first.wait_for()
    assert page.get_by_text("left the shop").count() == 2
    assert page.locator("#receipts li").count() == 2 and "held for review" in page.locator("#receipts").inner_text()
    assert page.get_by_role("button", name="Play again").is_visible()
    assert not page.problems


def test_a_moment_is_chosen_on_the_time_line_and_people_are_where_they_were(floor, served):
    page = floor()
    pause(page)
    look_at(page, 4.5)
    expect(page.locator("#people")).to_have_text("2", timeout=PATIENCE_MS)
    assert page.locator("#inside").inner_text() == "2"
    look_at(page, 0.6)
    expect(page.locator("#people")).to_have_text("1", timeout=PATIENCE_MS)
    assert page.locator("#events li").count() == 0
    state = page.request.get(f"/api/v1/floor/state?at_ms={begin_ms() + 4500}").json()
    assert len(state["frame"]["p"]) == 2 and len(state["visits"]) == 2
    assert "anna" not in json.dumps(state) and "ben" not in json.dumps(state)  # nobody has a name on the floor


def test_it_is_played_with_the_keyboard_alone(floor):
    page = floor()
    page.locator("#play").focus()
    page.keyboard.press("Enter")
    page.get_by_text("paused").wait_for()
    before = at_s(page)
    page.locator("#seek").focus()
    page.keyboard.press("End")
    expect(page.locator("#receipts li")).to_have_count(2, timeout=PATIENCE_MS)
    assert at_s(page) > before
    page.keyboard.press("Home")
    expect(page.locator("#events li")).to_have_count(0, timeout=PATIENCE_MS)
    page.locator("h1").click()
    page.keyboard.press(" ")
    page.get_by_text("came in").first.wait_for()


def test_a_cart_is_shown_for_whom_one_points_at(floor):
    page = floor()
    pause(page)
    look_at(page, 4.8)  # anna has taken two things and put back none yet
    expect(page.locator("#people")).to_have_text("2", timeout=PATIENCE_MS)
    rows = page.locator("#visits button")
    rows.nth(0).focus()
    page.locator("#cart li").first.wait_for()
    assert {"Cola", "Bread"} <= set(re.findall(r"Cola|Bread", page.locator("#cart").inner_text()))
    place = page.locator("#plan").evaluate(
        """canvas => {
            const box = [0, 0, 6, 2], m = 0.45, wide = canvas.clientWidth, high = canvas.clientHeight;
            const scale = Math.min(wide / (box[2] + 2 * m), high / (box[3] + 2 * m));
            const left = (wide - scale * (box[2] + 2 * m)) / 2, down = (high - scale * (box[3] + 2 * m)) / 2;
            return [left + (3.0 + m) * scale, high - down - (1.0 + m) * scale];
        }"""
    )
    page.locator("#plan").hover(position={"x": place[0], "y": place[1]})
    page.locator("#tip li").first.wait_for()
    assert "€2.50" in page.locator("#tip").inner_text()


def test_cameras_show_what_they_see_and_how_they_are(floor):
    page = floor()
    page.locator("[data-camera=cam1] img:not([hidden])").wait_for()
    assert page.locator("[data-camera=cam1] [data-state]").inner_text() == "live"
    answer = page.request.get("/api/v1/floor/cameras/cam1/still")
    assert answer.headers["content-type"] == "image/jpeg" and answer.body().startswith(b"\xff\xd8")
    assert page.request.get("/api/v1/floor/cameras/cam9/still").status == 404


def test_shelves_that_run_low_are_counted_by_staff(floor, served):
    page = floor()
    pause(page)
    look_at(page, 13)
    answer = page.evaluate("walkout.send('/api/v1/floor/slots/g-1/count', {units: 1})")
    assert answer == {"units": 1}
    page.reload()
    page.get_by_label("max").check()
    page.get_by_text("1 of").first.wait_for()
    page.get_by_role("button", name="Filled up: Bread").click()
    page.get_by_text("No shelf is running low.").wait_for()
    with served.site.database.transaction() as db:
        kinds = [e.kind for e in audit.parse(audit.export(db))]
    assert kinds.count("shelf-counted") == 2


@pytest.mark.parametrize(
    ("at_ms", "status"), [(0, 422), (9_223_372_036_854, 422), (1 << 53, 422), (9_223_372_036_853, 200)]
)
def test_a_count_in_a_year_that_no_database_can_hold_is_refused(served, at_ms, status):
    url, headers = f"{served.url}/api/v1/floor/slots/g-0/count", {"Authorization": f"Bearer {served.token('operator')}"}
    assert httpx.post(url, headers=headers, json={"units": 1, "at_ms": at_ms}, timeout=30).status_code == status


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("phone", [False, True])
def test_no_page_is_wider_than_its_screen(floor, scheme, phone):
    page = floor(phone=phone, color_scheme=scheme)
    for path in ("/floor", "/floor/settings/store", "/floor/settings/entry", "/floor/imports"):
        page.goto(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
    assert not page.problems


def test_the_page_is_small(floor, served):
    page = floor()
    sizes = page.evaluate(
        "performance.getEntriesByType('resource').filter(e => /static/.test(e.name)).map(e => e.decodedBodySize)"
    )
    html = len(page.request.get("/floor").body())
    assert sum(sizes) + html < 150_000


def test_it_speaks_french(floor):
    page = floor(locale="fr-FR")
    page.get_by_role("heading", name="Dans le magasin").wait_for()
    page.get_by_label("max").check()
    page.get_by_text("fin de l’enregistrement").wait_for()
    assert page.get_by_text("a pris Cola").count() and "€" in page.locator("#receipts").inner_text()
    page.goto("/floor/imports")
    assert page.get_by_text("Choisissez un fichier CSV").is_visible()


@pytest.mark.parametrize("path", ["/floor", "/floor/settings/store", "/floor/settings/entry", "/floor/imports"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(floor, path, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = floor(color_scheme=scheme)
    page.goto(path)
    page.wait_for_timeout(800)
    found = [v for v in Axe().run(page).response["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"][:120] for n in v["nodes"]]) for v in found] == []


def test_only_operators_see_the_floor(person, served):
    for who in ("anna", "reviewer"):
        page = person(who)
        assert page.goto("/floor").status == 403
        for path in ("state", "plan", "timeline", "stream", "cameras/cam1/still", "visits/v/cart"):
            assert page.request.get(f"/api/v1/floor/{path}").status == 403
    assert person(None).request.get("/api/v1/floor/state").status == 401


# --- settings ---


def store(served) -> Path:
    return served.site.shop.folder


def test_a_wrong_setting_keeps_the_form_and_is_named(person, served):
    page = person("operator")
    page.goto("/floor/settings/store")
    page.get_by_label("How sure the person must be").fill("1,7")
    page.get_by_label("Name of the shop").fill("Chez Nous")
    page.get_by_role("button", name="Save").click()
    alert = page.get_by_role("alert")
    assert "1 setting is not right" in alert.inner_text() and "How sure the person must be" in alert.inner_text()
    wrong = page.get_by_label("How sure the person must be")
    assert wrong.input_value() == "1,7" and wrong.get_attribute("aria-invalid") == "true"
    assert page.get_by_label("Name of the shop").input_value() == "Chez Nous"
    assert not (store(served) / "settings.yaml").exists()
    alert.get_by_role("link", name="How sure the person must be").click()
    wrong.fill("0,8")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    saved = yaml.safe_load((store(served) / "settings.yaml").read_text())
    assert saved == {"billing": {"person": 0.8}, "paper": {"store_name": "Chez Nous"}}
    with served.site.database.transaction() as db:
        entry = [e for e in audit.parse(audit.export(db)) if e.kind == "settings-changed"][-1]
    assert entry.about["changed"] == ["billing.person", "paper.store_name"]
    assert entry.by == "operator"
    (store(served) / "settings.yaml").unlink()


def test_two_who_change_settings_at_once_do_not_lose_anything(person, served):
    first, second = person("operator"), person("admin")
    for page in (first, second):
        page.goto("/floor/settings/entry")
    first.get_by_label("How far clocks may be apart").fill("7")
    first.get_by_role("button", name="Save").click()
    first.get_by_text("Saved.").wait_for()
    second.get_by_label("How far clocks may be apart").fill("9")
    second.get_by_role("button", name="Save").click()
    assert "changed meanwhile" in second.get_by_role("alert").inner_text()
    assert second.get_by_label("How far clocks may be apart").input_value() == "9"
    assert yaml.safe_load((store(served) / "entry.yaml").read_text()) == {"skew_s": 7}
    (store(served) / "entry.yaml").unlink()


def test_what_runs_on_the_machine_is_for_admins(person, served):
    page = person("operator")
    page.goto("/floor/settings/store")
    assert page.get_by_label("Network that finds people").is_disabled()
    assert page.goto("/floor/settings/store?form=text").status == 200
    assert page.locator("textarea[name=yaml]").count() == 0
    admin = person("admin")
    admin.goto("/floor/settings/store?form=text")
    admin.get_by_label("settings.yaml").fill("billing: {person: 3}\n")
    admin.get_by_role("button", name="Save").click()
    assert "How sure the person must be" in admin.get_by_role("alert").inner_text()
    assert admin.get_by_label("settings.yaml").input_value() == "billing: {person: 3}\n"


# --- imports ---


def choose(page, kind, name, body: bytes):
    page.goto("/floor/imports")
    form = page.locator(f"[data-import={kind}]")
    form.locator("input[type=file]").set_input_files({"name": name, "mimeType": "text/csv", "buffer": body})
    form.get_by_role("button", name="Show what would change").click()
    return form


def test_a_latin_1_file_with_semicolons_is_shown_and_then_applied(person, served):
    page = person("operator")
    choose(page, "catalogue", "prix.csv", f"EAN;Libellé;Prix TTC\r\n{COLA};Colà glacé;1,59\r\n".encode("latin-1"))
    page.get_by_role("heading", name="What would change").wait_for()
    text = page.locator("main").inner_text()
    assert "Windows-1252" in text and "separated by semicolon" in text and "1 changed" in text
    assert "Cola → Colà glacé" in text and "1.49 → 1.59" in text
    catalogue = store(served) / "catalogue.yaml"
    assert load_catalogue(catalogue).by_gtin[COLA].price_minor == 149  # nothing yet
    page.get_by_role("button", name="Make 1 change").click()
    page.get_by_text("1 change was made.").wait_for()
    product = load_catalogue(catalogue).by_gtin[COLA]
    assert (product.name, product.price_minor) == ("Colà glacé", 159)
    (backup,) = store(served).glob("catalogue.*.yaml.bak")
    backup.replace(catalogue)


def test_wrong_rows_are_named_and_nothing_can_be_applied(person, served):
    page = person("operator")
    body = f"gtin,price,tax_class\n{COLA},1.59,\n{COLA[:-1]}3,2.00,\n{COLA},1.10,\n2000000000022,1.234,luxury\n"
    choose(page, "catalogue", "bad.csv", body.encode())
    page.get_by_text("rows are wrong").wait_for()
    rows = page.locator(".bad-rows tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == ["3", "4", "5", "5"]
    assert "check digit" in rows[0] and "line 2 already" in rows[1]
    assert page.get_by_role("button", name=re.compile("Make")).count() == 0


def test_a_file_of_50_mb_is_refused_politely_and_not_sent(person, served, tmp_path):
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(50_000_000)
    page = person("operator")
    page.goto("/floor/imports")
    sent = []
    page.on("request", lambda request: "/imports/" in request.url and sent.append(request.url))
    form = page.locator("[data-import=catalogue]")
    form.locator("input[type=file]").set_input_files(huge)
    form.get_by_role("button", name="Show what would change").click()
    assert "The file has 50 MB; at most 5 MB" in form.get_by_role("alert").inner_text()
    assert sent == []


def test_a_workbook_is_told_to_be_saved_as_csv(person, served):
    page = person("operator")
    form = choose(page, "planogram", "plan.xlsx", b"PK\x03\x04" + bytes(200))
    form.get_by_text("save it as CSV first").wait_for()
    assert form.get_by_role("button", name="Show what would change").is_enabled()


def test_an_export_comes_back_without_a_change(person, served):
    page = person("operator")
    for kind in ("catalogue", "planogram"):
        answer = page.request.get(f"/floor/exports/{kind}.csv?separator=semicolon")
        assert "attachment" in answer.headers["content-disposition"]
        choose(page, kind, f"{kind}.csv", answer.body())
        page.get_by_text("nothing changes").wait_for()
        page.get_by_role("button", name="Leave it").click()
        page.wait_for_url("**/floor/imports")


# --- somebody without a pass ---


@pytest.fixture(scope="module")
def tailgated(tmp_path_factory):
    """A run in which somebody came in behind anna and ben without showing anything."""
    from pipeline import runtime
    from tests.scripted_shop import stages, write_recording
    from tests.web_site import served as serve

    folder = tmp_path_factory.mktemp("tailgated")
    recording = write_recording(folder / "recording", (ANNA, BEN))
    runtime.run(recording, folder / "run", video=False, progress=False, stages=stages(ANNA, BEN, GUEST))
    with serve(folder / "run") as site:
        yield site


def test_somebody_without_a_pass_is_shown_at_once(browser, tailgated):
    from pipeline.web.browsing import context_options

    context = browser.new_context(**context_options(tailgated.url))
    context.add_cookies([tailgated.cookie("operator")])
    page = context.new_page()
    page.goto("/floor")
    alert = page.locator("#alerts .notice")
    alert.wait_for(timeout=30_000)
    seen_ms = int(page.locator("#seek").input_value())
    state = page.request.get(f"/api/v1/floor/state?at_ms={seen_ms}").json()
    (visit,) = [v for v in state["visits"] if v["without_pass"]]
    assert seen_ms - visit["since_ms"] < 1500  # a footage second is one of the clock: it was shown within that
    assert "Somebody without a pass" in alert.inner_text() and visit["label"] in alert.inner_text()
    assert "no pass" in page.locator("#visits").inner_text()
    context.close()
