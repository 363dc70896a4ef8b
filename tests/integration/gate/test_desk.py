# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whether a gate opens, with a real database behind it."""

import sqlite3
import threading
from contextlib import closing

from pipeline.gate.desk import GateDesk
from pipeline.gate.entry_settings import EntrySettings
from pipeline.messages import PersonWithoutPass, VisitClosed
from pipeline.state import Database

S = 1_000_000_000


def test_a_pass_opens_once(desk, issuer, clock):
    token = issuer.issue("anna", "shop", clock.s)
    first, again = desk.tap("gate", "pass", token), desk.tap("gate", "pass", token)
    assert (first.open, first.reason, first.admits) == (True, "open", 1)
    assert (again.open, again.reason) == (False, "used")
    assert "picture" in again.display


def test_a_tap_that_is_sent_again_because_no_answer_was_heard_is_answered_the_same(desk, issuer, readers, clock):
    readers.register("card", "tok_12345678", "ben")
    shown_ns = clock.ns - 10**8
    for way, text in (("pass", issuer.issue("anna", "shop", clock.s, admits=2)), ("card", "tok_12345678")):
        first = desk.tap("gate", way, text, shown_ns)
        clock.go_on(3.2)  # longer than a reader's clock is believed
        assert first.open and desk.tap("gate", way, text, shown_ns) == first
        assert desk.tap("back", way, text, shown_ns).reason == "used"  # at another gate it is another tap
        for later in (desk.tap("gate", way, text, clock.ns), desk.tap("gate", way, text)):  # a picture of it as well
            assert (later.open, later.reason) in ((False, "used"), (False, "already-inside"))
        shown_ns = clock.ns
    assert len(desk.entries.open_now()) == 2


def test_a_visit_that_is_over_is_not_opened_again_by_its_tap(desk, issuer, clock):
    token, shown_ns = issuer.issue("anna", "shop", clock.s), clock.ns
    visit_id = desk.tap("gate", "pass", token, shown_ns).visit_id
    closed = VisitClosed(event_id="c", store_id="shop", at_ns=clock.ns, visit_id=visit_id, gate_id="gate", event_ids=())
    desk.entries.follow([closed], None, clock.ns)
    assert desk.tap("gate", "pass", token, shown_ns).reason == "used"


def test_a_restart_does_not_forget_what_was_used(desk, issuer, clock, layout, ring, tmp_path):
    token = issuer.issue("anna", "shop", clock.s)
    assert desk.tap("gate", "pass", token).open
    database = Database(f"sqlite:///{tmp_path / 'entry.sqlite'}")
    other = GateDesk(layout, database, EntrySettings(), ring=lambda: ring, clock=clock)
    assert other.tap("back", "pass", token).reason == "used"
    database.close()


def test_of_many_who_show_one_pass_at_the_same_moment_one_comes_in(desk, issuer, clock):
    token = issuer.issue("anna", "shop", clock.s)
    answers, ready = [], threading.Barrier(8)

    def show(gate_id):
        ready.wait()
        answers.append(desk.tap(gate_id, "pass", token))

    threads = [threading.Thread(target=show, args=("gate" if k % 2 else "back",)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.reason for a in answers) == ["open"] + ["used"] * 7
    assert len(desk.entries.open_now()) == 1


def test_a_screenshot_sent_to_a_friend_is_refused_with_the_reason(desk, issuer, clock):
    token = issuer.issue("anna", "shop", clock.s)
    assert desk.tap("gate", "pass", token).open
    clock.go_on(10)
    assert desk.tap("gate", "pass", token).reason == "used"
    clock.go_on(60)
    late = desk.tap("gate", "pass", token)
    assert late.reason == "expired" and "not a picture of it" in late.display


def test_a_display_speaks_the_language_of_the_shop(make_desk, issuer, clock):
    desk = make_desk(language="fr")
    token = issuer.issue("anna", "shop", clock.s, admits=3)
    first, again = desk.tap("gate", "pass", token), desk.tap("gate", "pass", token)
    assert first.display == "Bienvenue ! Vous pouvez entrer à 3."
    assert again.reason == "used" and again.display.startswith("Ce code a déjà servi.")


def test_a_fresh_pass_of_somebody_who_is_inside_lets_nobody_in(desk, issuer, clock):
    first = desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s))
    clock.go_on(30)
    fresh = issuer.issue("anna", "shop", clock.s)
    assert desk.tap("gate", "pass", fresh).reason == "already-inside"
    closed = VisitClosed(
        event_id="c", store_id="shop", at_ns=clock.ns, visit_id=first.visit_id, gate_id="gate", event_ids=()
    )
    desk.entries.follow([closed], None, clock.ns)
    assert desk.tap("gate", "pass", fresh).open  # was not used up by the refusal


def test_a_friend_is_brought_in_onto_the_visit(desk, issuer, clock):
    bring = issuer.issue("anna", "shop", clock.s, brings=True)
    assert desk.tap("gate", "pass", bring).reason == "nobody-to-join"
    assert desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).open
    assert desk.tap("gate", "pass", bring).open
    assert [tap.kind for _, tap in desk.entries.waiting()] == ["entry", "bring"]


def test_a_pass_that_brings_somebody_in_brings_one(desk, issuer, clock):
    assert desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).open
    answer = desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s, admits=5, brings=True))
    assert (answer.open, answer.admits) == (True, 1)
    assert [(tap.kind, tap.party_size) for _, tap in desk.entries.waiting()] == [("entry", 1), ("bring", 1)]


def test_a_party_is_let_in_on_one_pass(desk, issuer, clock):
    answer = desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s, admits=4))
    assert answer.admits == 4 and "4 of you" in answer.display
    ((_, tap),) = desk.entries.waiting()
    assert (tap.shopper_id, tap.party_size, tap.gate_id, tap.at_ns) == ("anna", 4, "gate", clock.ns)


def test_taps_wait_until_somebody_has_taken_them(desk, issuer, clock):
    desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s))
    clock.go_on(1)
    desk.tap("back", "pass", issuer.issue("ben", "shop", clock.s))
    (first, _), (second, _) = desk.entries.waiting()
    desk.entries.take([first], clock.ns)
    assert [entry_id for entry_id, _ in desk.entries.waiting()] == [second]


def test_the_readers_clock_is_believed_when_it_is_near_ours(desk, issuer, clock):
    for shopper, off_s, expected_s in (("anna", -1, -1), ("ben", 60, 0), ("carl", -3000, 0)):
        assert desk.tap("gate", "pass", issuer.issue(shopper, "shop", clock.s), clock.ns + off_s * 10**9).open
        ((entry_id, tap),) = desk.entries.waiting()
        assert tap.at_ns == clock.ns + expected_s * 10**9
        desk.entries.take([entry_id], clock.ns)


def test_cards_and_badges_open_for_whom_they_are(desk, readers, clock):
    readers.register("card", "tok_12345678", "anna")
    readers.register("badge", "badge-00000007", "staff-7", clock.ns + 10**9)
    assert desk.tap("gate", "card", "tok_unknown1").reason == "unknown-token"
    assert desk.tap("gate", "badge", "tok_12345678").reason == "unknown-token"  # a card is no badge
    assert desk.tap("gate", "card", "tok_12345678").open
    assert desk.tap("back", "card", "tok_12345678").reason == "used"  # the reader sent it twice
    clock.go_on(20)
    assert desk.tap("back", "card", "tok_12345678").reason == "already-inside"
    assert desk.tap("gate", "badge", "badge-00000007").reason == "token-expired"
    readers.register("badge", "badge-00000007", "staff-7")
    assert desk.tap("gate", "badge", "badge-00000007").display == "Welcome, colleague."
    assert [(t.shopper_id, t.kind) for _, t in desk.entries.waiting()] == [("anna", "entry"), ("staff-7", "staff")]


def test_a_store_may_take_any_payment_card(make_desk):
    desk = make_desk(unknown_cards="accept")
    assert desk.tap("gate", "card", "tok_12345678").open
    ((_, tap),) = desk.entries.waiting()
    assert tap.shopper_id.startswith("card-") and "12345678" not in tap.shopper_id


def test_a_database_that_cannot_be_used_shuts_the_gate_and_says_so(desk, issuer, clock, tmp_path):
    token = issuer.issue("anna", "shop", clock.s)
    desk.entries._database.close()
    for path in tmp_path.glob("entry.sqlite*"):
        path.unlink()
    (tmp_path / "entry.sqlite").write_bytes(b"this is no database" * 100)
    answer = desk.tap("gate", "pass", token)
    assert (answer.open, answer.reason) == (False, "unavailable")


def test_staff_see_who_came_in_without_a_pass_and_name_who_pays(desk, issuer, clock):
    anna = desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s)).visit_id
    stranger = PersonWithoutPass(
        event_id="e",
        store_id="shop",
        at_ns=clock.ns,
        visit_id="v-x",
        gate_id="gate",
        track_id="t2",
        behind_visit_id=anna,
    )
    desk.entries.follow([stranger], None, clock.ns)
    assert [(e.entry_id, e.behind_visit_id) for e in desk.entries.open_now() if e.kind == "without-pass"] == [
        ("v-x", anna)
    ]
    assert not desk.join("anna", "v-nobody") and not desk.join("zoe", "v-x") and not desk.join("anna", anna)
    assert desk.join("anna", "v-x")
    assert [(t.kind, t.shopper_id, t.joins) for _, t in desk.entries.waiting()][-1] == ("join", "anna", "v-x")


def test_refusals_are_kept_with_their_reason(desk, issuer, clock):
    desk.tap("gate", "pass", issuer.issue("anna", "elsewhere", clock.s))
    desk.tap("back", "pass", "garbage")
    assert [(r["gate_id"], r["reason"]) for r in desk.entries.refusals()] == [
        ("back", "not-a-pass"), ("gate", "other-store"),
    ]  # fmt: skip


def test_a_running_desk_keeps_neither_used_passes_nor_old_refusals_for_ever(desk, issuer, clock, tmp_path):
    def counted(table) -> int:
        with closing(sqlite3.connect(tmp_path / "entry.sqlite")) as db:
            return db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    for shopper in ("anna", "ben"):
        assert desk.tap("gate", "pass", issuer.issue(shopper, "shop", clock.s)).open
    desk.tap("gate", "pass", "garbage")
    clock.go_on(2 * 3600)
    desk.tap("gate", "card", "tok_unknown1")
    assert (counted("pass_uses"), counted("gate_refusals")) == (0, 2)
    clock.go_on(30 * 24 * 3600 - 3600)
    desk.tap("gate", "badge", "tok_unknown1")
    assert [r["at_ns"] for r in desk.entries.refusals()] == [clock.ns, clock.ns - (30 * 24 - 1) * 3600 * S]


def test_badges_and_friends_are_not_open_for_ever(desk, readers, issuer, clock, tmp_path):
    readers.register("badge", "badge-00000007", "staff-7")
    tokens = [("badge", "badge-00000007")]
    tokens += [("pass", issuer.issue("anna", "shop", clock.s, brings=brings)) for brings in (False, True)]
    for way, token in tokens:
        assert desk.tap("gate", way, token, clock.ns).open
    desk.entries.take([entry_id for entry_id, _ in desk.entries.waiting()], clock.ns)
    with closing(sqlite3.connect(tmp_path / "entry.sqlite")) as db:
        assert db.execute("SELECT kind FROM gate_entries WHERE closed_ns IS NULL").fetchall() == [("entry",)]
    for way, token in tokens:  # the reader heard no answer, and the floor was quicker
        assert desk.tap("gate", way, token, clock.ns).open


def test_uses_of_passes_that_ran_out_long_ago_are_dropped(desk, issuer, clock):
    desk.tap("gate", "pass", issuer.issue("anna", "shop", clock.s))
    assert desk.entries.forget_uses(clock.ns) == 0
    clock.go_on(2 * 3600)
    assert desk.entries.forget_uses(clock.ns) == 1
