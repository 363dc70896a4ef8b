# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the reviewer's pages are made of, without a browser."""

from __future__ import annotations

import threading

import pytest
from starlette.requests import Request

from calibration.layout import StoreLayout
from pipeline.errors import CaseError
from pipeline.evidence.clip import Clip
from pipeline.messages import Candidate, EvidenceRef, ReceiptIssued, ReceiptLine, ShelfEvent, TaxLine
from pipeline.web.reviewer.compare import rows_of
from pipeline.web.reviewer.decisions import DecisionForm, minor_of, request_of
from pipeline.web.reviewer.media import partial
from pipeline.web.reviewer.plan import plan_of
from pipeline.web.reviewer.player import player_of
from pipeline.web.reviewer.replays import Replays
from pipeline.web.reviewer.search import found
from pipeline.web.reviewer.words import pseudonym
from tests.unit.cart.events import BREAD, COLA, small_catalogue

S = 1_000_000_000
T0 = 1_700_000_000 * S


def asked(range_header: str | None):
    headers = [(b"range", range_header.encode())] if range_header else []
    return partial(Request({"type": "http", "headers": headers}), bytes(range(100)), "video/mp4")


@pytest.mark.parametrize(
    ("header", "status", "content_range", "body"),
    [
        (None, 200, None, bytes(range(100))),
        ("bytes=0-", 206, "bytes 0-99/100", bytes(range(100))),
        ("bytes=10-19", 206, "bytes 10-19/100", bytes(range(10, 20))),
        ("bytes=90-900", 206, "bytes 90-99/100", bytes(range(90, 100))),  # more than there is
        ("bytes=-5", 206, "bytes 95-99/100", bytes(range(95, 100))),  # the last five
        ("bytes=-500", 206, "bytes 0-99/100", bytes(range(100))),
        ("bytes=100-", 416, "bytes */100", b""),  # behind the end
        ("bytes=20-10", 416, "bytes */100", b""),
        ("bytes=0-1,5-6", 200, None, bytes(range(100))),  # more than one: all of it is allowed
        ("pages=1", 200, None, bytes(range(100))),
    ],
)
def test_byte_ranges(header, status, content_range, body) -> None:
    answer = asked(header)
    assert (answer.status_code, answer.headers.get("content-range"), answer.body) == (status, content_range, body)
    assert answer.headers["accept-ranges"] == "bytes"
    assert "no-store" in answer.headers["cache-control"], "evidence leaves no copies behind"


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [("1.49", "EUR", 149), ("1,5", "EUR", 150), (" 2 ", "EUR", 200), ("120", "JPY", 120), ("0.001", "KWD", 1)],
)
def test_amounts_as_people_write_them(text, currency, minor) -> None:
    assert minor_of(text, currency) == minor


@pytest.mark.parametrize("text", ["0", "-1", "1.499", "one", "NaN", "Infinity", "1e999999", "1.2.3", ""])
def test_what_is_no_amount_is_refused_in_one_line(text) -> None:
    with pytest.raises(CaseError, match=r"amount: expected one in EUR such as 1\.49, got"):
        minor_of(text, "EUR")


def test_a_form_is_a_request() -> None:
    form = DecisionForm(action="quantity", key="abcdefgh", version=2, quantity="3", reason="  looked twice ")
    request = request_of(form, "EUR")
    assert request.model_dump(exclude_none=True) == {
        "action": "quantity", "again": False, "version": 2, "quantity": 3, "reason": "looked twice",
    }  # fmt: skip
    with pytest.raises(CaseError, match="whole number"):
        request_of(form.model_copy(update={"quantity": "three"}), "EUR")
    with pytest.raises(CaseError, match="quantity"):
        request_of(form.model_copy(update={"quantity": "0"}), "EUR")


def test_products_are_found_by_parts_of_name_or_number() -> None:
    catalogue = small_catalogue()
    names = [p.name for p in catalogue.products]
    first = catalogue.products[0]
    assert found(catalogue, first.gtin) == [first]
    assert found(catalogue, first.name[:3].upper())[0] == first
    assert found(catalogue, "nothing of that name") == [] and found(catalogue, "  ") == []
    assert len(found(catalogue, "a")) <= 9 and all("a" in n.lower() for n in names if found(catalogue, n)[0].name == n)


def event(**changes) -> ShelfEvent:
    one = (Candidate(value="1", probability=1),)
    return ShelfEvent(
        event_id="e1", store_id="tiny", at_ns=T0 + 5 * S, kind="pick", kind_probability=1, persons=one,
        products=(Candidate(value=COLA, probability=1),), quantities=one, gondola_id="g", slot_id="g-0",
        t0_ns=T0 + 4 * S, t1_ns=T0 + 6 * S, **changes,
    )  # fmt: skip


def clip(camera: str, from_s: float, to_s: float, state: str = "ready") -> Clip:
    return Clip(
        f"clip-{camera}", "tiny", "e1", "clip", camera, "v1", ("v1",), T0 + round(from_s * S), T0 + round(to_s * S),
        (640, 360), 10.0, 10, state, "",
    )  # fmt: skip


def test_clips_of_cameras_with_their_own_clocks_are_put_on_one() -> None:
    box = EvidenceRef(camera_id="cam1", t0_ns=T0, t1_ns=T0 + S, box_xyxy_px=(100, 200, 300, 400))
    player = player_of(
        event(evidence=(box,)), [clip("cam1", 3, 7), clip("cam2", 3.4, 7.2), clip("cam3", 1, 2, "expired")],
        {"cam1": (1280, 720)},
    )  # fmt: skip
    assert player.start_ns == T0 + S, "also of a clip that is gone: when it was is known"
    assert (player.moment_s, player.reach_s, player.span_s) == (4.0, (3.0, 5.0), 6.3)
    assert [(c.start_s, c.end_s) for c in player.cameras] == [(2.0, 6.1), (2.4, 6.3), (0.0, 1.1)]
    assert [c.place for c in player.cameras] == [(50, 100, 150, 200), None, None], "in the clip's pixels"
    assert [bool(c.src) for c in player.cameras] == [True, True, False]


def test_an_event_without_clips_still_has_a_player() -> None:
    player = player_of(event(), [], {})
    assert player.cameras == () and player.span_s > 0 and 0 <= player.percent(player.moment_s) <= 100


def layout() -> StoreLayout:
    camera = {"id": "cam1", "focal_px": [900, 900], "position_m": [3, 0.2, 2.5], "look_at_m": [3, 2, 1]}
    shelf = {
        "id": "a",
        "height_m": 1,
        "depth_m": 0.3,
        "clearance_m": 0.3,
        "slots": [{"id": "s", "start_m": 0, "end_m": 1}],
    }
    gondola = {
        "id": "g",
        "origin_m": [4, 2],
        "facing_deg": -90,
        "width_m": 1,
        "height_m": 1.8,
        "depth_m": 0.3,
        "shelves": [shelf],
    }
    gate = {"id": "gate", "line_m": [[1, 0], [1, 2]], "inward": [1, 0], "tap_m": [0.5, 1]}
    return StoreLayout.model_validate(
        {
            "store_id": "t",
            "floor_m": [[0, 0], [6, 0], [6, 2], [0, 2]],
            "cameras": [camera],
            "gondolas": [gondola],
            "gates": [gate],
        }
    )


def test_the_plan_shows_paths_and_moments_where_they_were() -> None:
    path = [(T0 + i * S // 10, i / 10, 1.0) for i in range(50)]
    plan = plan_of(
        layout(),
        [("t1", True, path), ("t2", False, path[:3])],
        [("e1", T0 + 2 * S), ("e2", T0 + 2 * S), ("e3", T0 + 99 * S)],
        ["cam1"],
    )
    assert [(m.event_id, m.x_cm, m.y_cm) for m in plan.moments] == [("e1", 200, -100), ("e2", 236, -100)], (
        "y points down; marks do not hide each other; nobody was seen at the third"
    )
    assert [p.mine for p in plan.paths] == [True, False]
    assert plan.track[0] == (T0 // 1_000_000, 0, -100) and len(plan.track) == 50
    assert plan.cameras[0][2] is True


def test_a_path_of_hours_is_thinned() -> None:
    path = [(T0 + i * S // 10, 1 + i / 1e5, 1.0) for i in range(36_000)]
    assert 300 <= len(plan_of(layout(), [("t1", True, path)], []).track) <= 400


def receipt(*lines: tuple[str, int, str]) -> ReceiptIssued:
    rows = tuple(
        ReceiptLine(
            gtin=gtin, name=gtin[-2:], quantity=n, unit_price_minor=100, total_minor=100 * n, tax_class="standard",
            event_ids=(), status=status, line_id=str(i),
        )
        for i, (gtin, n, status) in enumerate(lines)
    )  # fmt: skip
    total = sum(line.total_minor for line in rows if line.status == "billed")
    return ReceiptIssued(
        event_id="r", store_id="t", at_ns=T0, receipt_id="r", version=1, visit_id="v", shopper_id="anna",
        currency="EUR",
        lines=rows, total_minor=total, taxes=(TaxLine(tax_class="standard", rate_ppm=0, net_minor=total, tax_minor=0),),
        held_for_review=False, entered_at_ns=T0, left_at_ns=T0,
    )  # fmt: skip


def test_receipts_side_by_side() -> None:
    then = receipt((COLA, 1, "billed"), (COLA, 1, "billed"), (BREAD, 1, "held"))
    now = receipt((COLA, 2, "billed"), (BREAD, 1, "billed"))
    rows = rows_of([then, now])
    assert (
        [(r.name, r.status, r.sides, r.differs) for r in rows]
        == [
            (COLA[-2:], "billed", ((2, 200), (2, 200)), False),  # two lines or one: the same to pay
            (BREAD[-2:], "held", ((1, 100), (0, 0)), True),
            (BREAD[-2:], "billed", ((0, 0), (1, 100)), True),
        ]
    )
    assert all(row.differs for row in rows_of([then, None])), "the visit was not found"


def test_pseudonyms_are_steady_and_no_names() -> None:
    assert pseudonym("s1", "anna") == pseudonym("s1", "anna") != pseudonym("s1", "ben")
    assert pseudonym("s1", "anna") != pseudonym("s2", "anna"), "nobody is followed from store to store by it"
    assert pseudonym("s1", None) == ""


def test_a_replay_that_is_on_is_not_begun_twice_and_failures_are_told() -> None:
    go, calls = threading.Event(), []

    def run(case_id: str, by: str) -> str:
        calls.append((case_id, by))
        assert go.wait(10)
        if case_id == "bad":
            raise CaseError("nothing was recorded")
        if case_id == "broken":
            raise RuntimeError("secret path /srv/shop")
        return f"result of {case_id}"

    replays = Replays(run)
    first, again = replays.start("c1", "sam"), replays.start("c1", "kim")
    bad, broken = replays.start("bad", "sam"), replays.start("broken", "sam")
    assert first is again and not first.over
    go.set()
    replays.close(wait=True)
    assert calls == [("c1", "sam"), ("bad", "sam"), ("broken", "sam")]
    assert (first.state, first.result) == ("done", "result of c1")
    assert (bad.state, bad.error) == ("failed", "nothing was recorded")
    assert broken.state == "failed" and "secret" not in broken.error and "the log says more" in broken.error
    assert replays.find(first.replay_id) is first and replays.find("none") is None
