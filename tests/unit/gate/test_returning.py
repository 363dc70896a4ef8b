# SPDX-License-Identifier: AGPL-3.0-or-later
"""One of a party has gone out while the others are inside, and their label is seen inside once more."""

from tests.gate_walks import Shop, Tap, at

STAYS = [(1, 0.4, 1), (1.5, 0.5, 1), (3, 3, 1), (12, 3, 1), (14, 0.2, 1), (15, 0.2, 1)]


def ends_s(shop):
    return [round((left.at_ns - at(0)) / 1e9, 1) for left in shop.exits]


def test_a_reflection_with_the_label_of_who_went_out_does_not_keep_the_visit_open(layout):
    """Gone at 8 s; for 0.4 s at 9.6 s something in the shop gets their label; the other one leaves at 13 s."""
    went = [(1.6, 0.3, 1.2), (3, 3, 1.4), (6, 3, 1.4), (8, 0.2, 1.2), (8.3, 0.1, 1.2), (9.6, 2.2, 1.8), (10, 2.2, 1.8)]
    shop = Shop(layout, {"t1": STAYS, "t2": went}, [Tap(at(1.5), "anna", party_size=2)], hidden={"t2": [(8.25, 9.55)]})
    assert len(ends_s(shop)) == 1 and 13 < ends_s(shop)[0] < 14


def test_who_really_comes_back_is_waited_for(layout):
    """Out at 7.3 s, in again at 8.7 s, and out for good at 19 s, long after the other one."""
    back = [(1.6, 0.3, 1.2), (3, 3, 1.4), (6, 3, 1.4), (7.5, 0.6, 1.2), (8.5, 0.6, 1.2), (10, 3, 1.4), (18, 3, 1.4)]
    back += [(20, 0.2, 1.2), (21, 0.2, 1.2)]
    shop = Shop(layout, {"t1": STAYS, "t2": back}, [Tap(at(1.5), "anna", party_size=2)])
    assert len(ends_s(shop)) == 1 and ends_s(shop)[0] > 19


def test_an_exit_says_when_a_label_of_theirs_is_seen_inside_again(layout):
    """Anna leaves at 6 s and her visit is not closed at once; somebody with her label walks in again at 8 s."""
    walk = [(1, 0.4, 1), (1.6, 0.6, 1), (3, 3, 1.4), (6, 0.1, 1.2), (7.5, 0.1, 1.2), (9, 2, 1.4), (10, 2.5, 1.4)]
    told = []
    shop = Shop(layout, {"t1": walk}, [Tap(at(1.5), "anna")], on_exit=lambda left: told.append(left) or False)
    assert told and not told[0].returning
    assert any(left.returning for left in told)
    assert {left.at_ns for left in told} == {told[0].at_ns}
    assert len(shop.closings) == 0
