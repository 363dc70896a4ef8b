# SPDX-License-Identifier: AGPL-3.0-or-later
"""The reviewer at work, in a browser, on a run with real films."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sqlalchemy import select

from pipeline.cart.tables import events, receipts
from pipeline.eventlog.codec import decode
from pipeline.messages import ReceiptIssued, ShelfEvent
from pipeline.payment.accounts import list_payments
from tests.films import keep_films
from tests.scripted_shop import ANNA, BEN, BREAD, COLA, stages
from tests.waiting import until
from tests.web_site import Served, make_run
from tests.web_site import served as serve

CAMERAS = {"cam1": 0.0, "cam2": 0.13}


@pytest.fixture
def served(tmp_path):
    """Each test decides cases, so each has a shop of its own: anna's bread, ben's bread and a cola that is held."""
    with serve(make_run(tmp_path)) as site:
        for receipt in stored(site):
            for event in shelf_events(site, [i for line in receipt.lines for i in line.event_ids]):
                keep_films(site.site, event, CAMERAS, receipt.visit_id)
        until(lambda: site.site.review.queue(), "what is held is a case")
        yield site


@pytest.fixture
def person(person):
    """Patient: a shop with films is more work for a machine than a page of text."""

    def make(*who, **options):
        page = person(*who, **options)
        page.context.set_default_timeout(60_000)
        return page

    return make


def stored(served: Served) -> list[ReceiptIssued]:
    query = select(receipts.c.body).order_by(receipts.c.version)
    return [decode(b) for b in served.site.database.run(lambda db: db.execute(query).scalars().all())]


def newest(served: Served, shopper: str) -> ReceiptIssued:
    return [r for r in stored(served) if r.shopper_id == shopper][-1]


def shelf_events(served: Served, event_ids) -> list[ShelfEvent]:
    query = select(events.c.body).where(events.c.event_id.in_(list(event_ids)), events.c.type == "shelf-event")
    return [decode(b) for b in served.site.database.run(lambda db: db.execute(query).scalars().all())]


def dispute(served: Served, kind: str = "not-taken", shopper: str = "anna", **given) -> str:
    receipt = newest(served, shopper)
    return served.site.review.open_dispute(shopper, receipt.receipt_id, receipt.lines[0].line_id, kind, **given)


def paid(served: Served, shopper: str) -> int:
    """What the provider has taken less what it has given back, in minor units."""
    visit_id = newest(served, shopper).visit_id
    [payment] = [p for p in list_payments(served.site.database) if p["visit_id"] == visit_id]
    sign = {"capture": 1, "refund": -1}
    return sum(sign.get(c["kind"], 0) * c["amount_minor"] for c in payment["calls"] if c["state"] == "approved")


def shown(page, expression: str) -> None:
    """Wait for it (Playwright's own waiting evaluates text in the page, which its content policy forbids)."""
    until(lambda: page.evaluate(expression), expression, 60)


def opened(page, case_id: str):
    page.goto(f"/review/cases/{case_id}")
    shown(page, "[...document.querySelectorAll('[role=tabpanel]:not([hidden]) video')].every(v => v.readyState > 1)")
    return page


PLACES = """() => [...document.querySelectorAll('[role=tabpanel]:not([hidden]) figure:has(video)')]
    .map(f => Number(f.dataset.start) + f.querySelector('video').currentTime)"""
TOLD = "document.querySelector('[role=tabpanel]:not([hidden]) [data-say]').textContent"


def settled(page):
    shown(page, "[...document.querySelectorAll('[role=tabpanel]:not([hidden]) video')].every(v => !v.seeking)")
    return page.evaluate(PLACES)


def test_a_case_is_settled_with_two_keys_and_the_next_one_opens(served, person) -> None:
    case_id = dispute(served)
    page = opened(person("reviewer"), case_id)
    assert page.locator("h1").inner_text() == "“I didn't take this”"
    for key in ("r", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(f"**/review/cases/*?done={case_id}")
    assert "line removed. €1.01 is paid back." in page.locator(".flash").inner_text()
    assert page.locator("h1").inner_text() == "Held: not sure enough", "the next case"
    assert newest(served, "anna").version == 2 and not newest(served, "anna").lines
    until(lambda: paid(served, "anna") == 0, "the money goes back")
    assert page.problems == []


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["c", "Enter"], {("Bread", 1, "billed"), ("Cola", 1, "billed")}),
        (["q", "3", "Enter"], {("Bread", 1, "billed"), ("Cola", 3, "billed")}),
        (["m", "Enter"], {("Bread", 1, "billed")}),
        (["r", "Enter"], {("Bread", 1, "billed")}),
    ],
)
def test_each_decision_takes_three_keys_at_most(served, person, keys, expected) -> None:
    [case] = served.site.review.queue()
    page = opened(person("reviewer"), case.case_id)
    assert len(keys) <= 3
    for key in keys:
        page.keyboard.press(key)
    page.wait_for_url("**/review?done=*")
    assert {(x.name, x.quantity, x.status) for x in newest(served, "ben").lines} == expected
    if keys[0] == "m":
        assert {x.name for x in newest(served, "anna").lines} == {"Bread", "Cola"}


def test_another_product_is_found_by_typing(served, person) -> None:
    case_id = dispute(served, "other-product", gtin=COLA)
    page = opened(person("reviewer"), case_id)
    page.keyboard.press("p")
    assert page.evaluate("document.activeElement.value") == COLA, "what the shopper says comes first"
    page.keyboard.press("Tab")  # any letter leads to the search, too
    page.locator("dialog[open] input[type=search]").focus()
    page.keyboard.type("col")
    shown(page, "document.querySelector('dialog[open] [data-found]').textContent.startsWith('1 ')")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**?done={case_id}")
    assert [x.name for x in newest(served, "anna").lines] == ["Cola"]


def test_the_films_step_by_frames_and_stay_together(served, person) -> None:
    page = opened(person("reviewer"), dispute(served))
    start = settled(page)
    assert len(start) == 2 and start[0] == pytest.approx(start[1], abs=0.002), "one moment in both"
    page.keyboard.press("ArrowRight")
    forward = settled(page)
    assert forward[0] - start[0] == pytest.approx(0.1, abs=0.005), "one frame of the large camera"
    assert forward[0] == pytest.approx(forward[1], abs=0.002)
    assert "One frame forward, 0.10 seconds after the reach" in page.evaluate(TOLD)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    back = settled(page)
    assert back[0] - start[0] == pytest.approx(-0.1, abs=0.005)
    page.keyboard.press("Home")
    page.keyboard.press("v")
    page.keyboard.press("Space")
    drifts, places = [], []
    for _ in range(8):
        page.wait_for_timeout(200)
        places.append(page.evaluate(PLACES))
        if min(places[-1]) > 0.3:  # the second camera begins later
            drifts.append(abs(places[-1][0] - places[-1][1]))
    page.keyboard.press("Space")
    assert places[-1][0] > places[0][0] + 0.3, "it plays"
    assert drifts and max(drifts) < 0.1, f"within a frame of each other while they play: {drifts}"
    stopped = settled(page)
    assert stopped[0] == pytest.approx(stopped[1], abs=0.002)
    assert page.problems == []


def test_cameras_are_enlarged_and_boxes_switched_by_keys(served, person) -> None:
    page = opened(person("reviewer"), dispute(served))
    large = "document.querySelector('figure.is-large')?.dataset.camera ?? null"
    painted = """() => { const c = document.querySelector('figure.is-large canvas');
        return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0); }"""
    shown(page, f"({painted})()")
    page.keyboard.press("2")
    assert page.evaluate(large) == "cam2" and "cam2 enlarged" in page.evaluate(TOLD)
    page.keyboard.press("0")
    assert page.evaluate(large) is None
    page.keyboard.press("1")
    page.keyboard.press("o")
    assert page.evaluate(TOLD) == "boxes off, hands off"
    shown(page, f"!({painted})()")
    page.locator("[data-keys-on]").uncheck()
    page.keyboard.press("o")
    assert page.evaluate(TOLD) == "boxes off, hands off", "keys are off"


def test_a_film_that_is_gone_or_damaged_says_so_and_the_case_goes_on(served, person) -> None:
    case_id = dispute(served)
    [event] = shelf_events(served, newest(served, "anna").lines[0].event_ids)
    first, second = served.site.evidence.clips(event.event_id)
    files = {path.stem: path for path in (served.site.folder / "evidence").rglob("*.mp4")}
    files[first.clip_id].unlink()
    damaged = files[second.clip_id]
    damaged.write_bytes(damaged.read_bytes()[::-1])  # as long as before: found out when it is read
    page = person("reviewer")
    page.goto(f"/review/cases/{case_id}")
    page.wait_for_selector("figure.is-gone:nth-of-type(2) .view-reason")
    assert page.locator("figure .view-reason").all_inner_texts() == [
        "This clip is missing.\nit is not in the storage any more",
        "This clip is damaged and cannot be played.",
    ]
    page.keyboard.press("Space")
    assert "no clip" in page.evaluate(TOLD)
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**?done={case_id}")
    assert newest(served, "anna").version == 2


def test_two_clicks_on_refund_pay_back_once(served, person) -> None:
    case_id = dispute(served, "wrong-price")
    page = opened(person("reviewer"), case_id)
    assert paid(served, "anna") == 101
    page.keyboard.press("f")
    page.fill("dialog[open] input[name=amount]", "0.40")
    both = page.evaluate(
        """() => {
            const form = document.querySelector('dialog[open] form');
            const body = () => new URLSearchParams(new FormData(form));
            const send = () => fetch(form.getAttribute('action'), {method: 'POST', redirect: 'manual', body: body()});
            return Promise.all([send(), send()]).then(answers => answers.map(answer => answer.type));
        }"""
    )
    assert both == ["opaqueredirect"] * 2, "both are answered as done"
    page.locator("dialog[open] .primary").dblclick()
    page.wait_for_url(f"**?done={case_id}")
    receipt = newest(served, "anna")
    assert (receipt.version, receipt.total_minor) == (2, 61)
    until(lambda: paid(served, "anna") == 61, "40 go back")
    time.sleep(1.2)
    assert paid(served, "anna") == 61, "once"


def test_who_is_on_a_case_is_seen_and_others_are_kept_out(served, person) -> None:
    case_id = dispute(served)
    first = opened(person("reviewer"), case_id)
    shown(first, "document.querySelector('[data-claimed]').textContent === 'You are on it'")
    other = person("admin")
    other.goto("/review")
    assert other.locator(f"[data-row='{case_id}'] td:nth-child(6)").inner_text() == "reviewer"
    opened(other, case_id)
    shown(other, "document.querySelector('[data-claimed]').textContent === 'reviewer is on it'")
    other.keyboard.press("r")
    other.keyboard.press("Enter")
    assert "reviewer is on it" in other.locator(".flash-wrong").inner_text()
    assert newest(served, "anna").version == 1
    first.goto("/review")
    until(lambda: served.site.review.read(case_id).claimed_by is None, "who leaves a case lets it go")


def test_a_decision_can_be_taken_again(served, person) -> None:
    case_id = dispute(served)
    page = opened(person("reviewer"), case_id)
    for key in ("r", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url(f"**?done={case_id}")
    page.keyboard.press("u")
    page.wait_for_url(f"**/review/cases/{case_id}")
    assert page.locator("del").inner_text() == "1 × Bread", "what was taken off is still to be seen"
    assert page.locator("#decide-title").inner_text() == "Decide again"
    page.keyboard.press("a")
    page.keyboard.press("Enter")  # the line that was taken off is what is offered first
    page.wait_for_url(f"**?done={case_id}")
    receipt = newest(served, "anna")
    assert (receipt.version, receipt.total_minor) == (3, 101)
    case = served.site.review.read(case_id)
    assert (case.outcome, case.difference_minor, case.upheld) == ("add", 0, False)
    kinds = [h.entry.kind for h in served.site.review.view(case_id).history if h.entry]
    assert [k for k in kinds if k not in ("case-claimed", "case-released")] == [
        "case-opened", "case-resolved", "case-reopened", "case-resolved",
    ]  # fmt: skip


def test_a_visit_is_run_again_and_both_receipts_are_shown(served, person) -> None:
    """The networks of the demo would find nothing in the scripted film: the script runs again, with more bread."""
    more = replace(ANNA, takes=(*ANNA.takes, (2.0, "pick", BREAD, 0.95)))
    film = served.site.again
    film._around = replace(film._around, stages=stages(more, BEN))
    page = opened(person("reviewer"), dispute(served))
    page.keyboard.press("w")
    page.wait_for_selector("[data-replay=done]", timeout=60_000)
    rows = page.locator("main tbody tr").all_inner_texts()
    assert len(rows) == 1 and rows[0].split() == ["Bread", "different", "1", "×", "·", "€1.01", "2", "×", "·", "€2.02"]
    assert "another receipt" in page.locator(".lead").inner_text()
    page.get_by_role("button", name="Keep as a case").click()
    page.wait_for_selector(".flash-done")
    assert "walkout score --cases" in page.locator(".flash-done").inner_text()
    assert len(list((served.site.folder / "cases").glob("*/expected.json"))) == 1
    assert page.problems == []


def test_the_queue_follows_what_comes_in(served, person) -> None:
    page = person("reviewer")
    page.goto("/review")
    rows = page.locator("[data-row]")
    assert rows.count() == 1
    page.keyboard.press("j")
    held = page.evaluate("document.activeElement.closest('[data-row]').dataset.row")
    case_id = dispute(served)
    page.wait_for_selector(f"[data-row='{case_id}']", timeout=30_000)
    assert [row.get_attribute("data-row") for row in rows.all()] == [case_id, held], "the older promise first"
    assert page.evaluate("document.activeElement.closest('[data-row]').dataset.row") == held, "the focus stays"
    page.goto("/review?kind=held-line")
    assert [row.get_attribute("data-row") for row in rows.all()] == [held]
    assert "anna" not in page.content() and "ben" not in page.content(), "shoppers are pseudonyms"


def test_the_audit_page_shows_the_chain_and_that_it_was_broken(served, person) -> None:
    page = opened(person("reviewer"), dispute(served))
    for key in ("r", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**?done=*")
    page.goto("/review/audit")
    assert page.locator(".badge.good").inner_text() == "Yes"
    assert "line removed" in page.locator("table.audit").inner_text()
    with page.expect_download() as download:
        page.get_by_text("Export as JSON lines").click()
    assert '"kind":"case-resolved"' in download.value.path().read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("phone", [False, True])
def test_pages_have_no_serious_accessibility_problem(served, person, scheme, phone) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    case_id = dispute(served)
    page = person("reviewer", phone=phone, color_scheme=scheme)
    for path in ("/review", f"/review/cases/{case_id}", "/review/figures", "/review/audit", "/review?state=resolved"):
        answer = page.goto(path)
        assert answer.status == 200 and len(answer.body()) < 150_000
        if "cases" in path:
            page.keyboard.press("p")
        found = axe.run(page).response["violations"]
        serious = [
            (v["id"], [n["html"] for n in v["nodes"]][:3]) for v in found if v["impact"] in ("serious", "critical")
        ]
        assert serious == [], path
    assert page.problems == []
