# SPDX-License-Identifier: AGPL-3.0-or-later
"""Who comes in on nobody's pass: a visit without a payer, and whom staff hear of."""

from pipeline.messages import (
    PersonWithoutPass,
    VisitOpened,
)
from tests.gate_walks import ROUND, Shop, Tap, at, behind, pick


def test_who_comes_in_on_nobodys_pass_is_a_visit_without_a_payer(layout):
    events = [pick(8, t1=1.0), pick(10, t2=1.0), pick(11, t1=0.6, t2=0.4)]
    shop = Shop(layout, {"t1": ROUND, "t2": behind()}, [Tap(at(1.5), "anna")], shelf_events=events)
    assert shop.bound() == {"anna": ["t1"]} and shop.without_pass() == ["t2"]
    (alone,) = [e for e in shop.events if isinstance(e, PersonWithoutPass)]
    (anna,) = [e for e in shop.events if isinstance(e, VisitOpened)]
    assert alone.behind_visit_id == anna.visit_id
    hers, theirs = sorted(shop.closings, key=lambda c: c.visit_id != anna.visit_id)
    assert "pick-10" not in hers.event_ids and {"pick-8", "pick-11"} <= set(hers.event_ids)
    assert {"pick-10", "pick-11", alone.event_id} <= set(theirs.event_ids) and "pick-8" not in theirs.event_ids
    assert alone.event_id in hers.event_ids  # whose pick-11 may be besides hers


def test_what_is_settled_after_they_left_is_named_for_who_had_no_pass(layout):
    """A pick of both that the shelf stage could only tell when the second of them had left, too."""
    first = [(0.2, 0.0, 1.4), (1, 0.4, 1.4), *((t, x, 1.4) for t, x, _ in ROUND[3:])]
    stays = [*ROUND[:4], (25, 4, 1), (29, 0, 1)]
    late = pick(10, t1=0.4, t2=0.6).model_copy(update={"t1_ns": at(24)})
    shop = Shop(layout, {"t1": stays, "t2": first}, [Tap(at(1.5), "anna")], shelf_events=[late], until_s=40)
    (alone,) = [e for e in shop.events if isinstance(e, PersonWithoutPass)]
    (theirs,) = [c for c in shop.closings if c.visit_id == alone.visit_id]
    assert "pick-10" in theirs.event_ids and at(17.9) <= theirs.at_ns <= at(18.3)


def test_staff_hear_of_it_within_seconds(layout):
    def told_s(until_s):
        return bool(Shop(layout, {"t1": ROUND, "t2": behind()}, [Tap(at(1.5), "anna")], until_s=until_s).without_pass())

    # x = 1.25 is reached 3.2 s after the way's beginning at 1.5 s; 2.5 s later they have had their chance.
    assert not told_s(5.0) and told_s(7.0)


def test_a_tap_that_comes_late_makes_a_payer_of_who_had_none(layout):
    """They come back to the reader, which is in reach from inside the line."""
    way = [
        (0, 0.0, 1),
        (1, 0.5, 1),
        (2, 0.5, 1),
        (3, 1.5, 1),
        (8, 1.5, 1),
        (10, 1.1, 1),
        (12, 1.1, 1),
        (14, 4, 1),
        (29, 4, 1),
    ]
    shop = Shop(layout, {"t1": way}, [Tap(at(11), "anna")], shelf_events=[pick(6, t1=1.0)])
    assert shop.without_pass() == ["t1"] and shop.bound() == {"anna": ["t1"]}
    (emptied,) = shop.closings
    assert "pick-6" not in emptied.event_ids and emptied.visit_id == shop.events[0].visit_id
    (mine,) = shop.keeper.open_visits()
    assert shop.named(mine) >= {"pick-6"}


def test_a_ghost_beside_a_shopper_is_not_announced(layout):
    ghost = [(t, x, y + 0.2) for t, x, y in [(2.5, 1.1, 1), *ROUND[3:]]]
    shop = Shop(layout, {"t1": ROUND, "t2": ghost}, [Tap(at(1.5), "anna")], until_s=14)
    assert shop.without_pass() == []


def test_who_turns_round_at_the_line_is_not_announced(layout):
    turn = [(0, 0.0, 1), (2, 1.35, 1), (3.5, 1.35, 1), (4.5, 0.3, 1), (29, 0.3, 1)]
    assert Shop(layout, {"t1": turn}).without_pass() == []
