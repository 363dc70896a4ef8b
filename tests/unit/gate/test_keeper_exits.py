# SPDX-License-Identifier: AGPL-3.0-or-later
"""When a visit ends: at the line, at another gate, lost near it, or with the recording; and who comes in again."""

from tests.gate_walks import ROUND, Shop, Tap, at, pick


def test_jitter_on_the_line_while_coming_in_is_no_exit(layout):
    jitter = [
        (0, 0.5, 1),
        (2, 0.5, 1),
        (2.4, 1.05, 1),
        (2.6, 0.9, 1),
        (2.8, 1.1, 1),
        (3, 0.95, 1),
        (5, 3, 1),
        (29, 3, 1),
    ]
    shop = Shop(layout, {"t1": jitter}, [Tap(at(1), "anna")])
    assert shop.exits == []


def test_turning_back_just_before_the_line_is_no_exit(layout):
    turn = [*ROUND[:5], (18, 1.2, 1), (19, 1.2, 1), (21, 4, 1), (29, 4, 1)]
    assert Shop(layout, {"t1": turn}, [Tap(at(1.5), "anna")]).exits == []


def test_stepping_back_in_at_once_is_one_visit_until_the_real_exit(layout):
    step = [*ROUND[:5], (18, 0.95, 1), (18.2, 1.3, 1), (20, 4, 1), (24, 0, 1)]
    (left,) = Shop(layout, {"t1": step}, [Tap(at(1.5), "anna")]).exits
    assert left.at_ns >= at(22.9)


def test_going_out_by_another_gate_closes_the_visit_there(layout):
    far = layout.gates[0].model_copy(
        update={"id": "far", "line_m": ((5, 0), (5, 2)), "inward": (-1, 0), "tap_m": (5.5, 1)}
    )
    through = [*ROUND[:5], (17, 6, 1)]
    (left,) = Shop(
        layout.model_copy(update={"gates": (*layout.gates, far)}), {"t1": through}, [Tap(at(1.5), "a")]
    ).exits
    assert left.gate_id == "far" and at(15.9) <= left.at_ns <= at(16.2)


def test_lost_near_the_line_on_the_way_out_has_left(layout):
    lost = [*ROUND[:5], (17.7, 1.3, 1)]
    (left,) = Shop(layout, {"t1": lost}, [Tap(at(1.5), "anna")]).exits
    assert left.at_ns == at(17.7)


def test_lost_near_the_line_while_standing_or_far_away_has_not_left(layout):
    standing = [*ROUND[:5], (17, 1.3, 1), (20, 1.3, 1)]
    far = [*ROUND[:5], (16, 3.0, 1)]
    for path in (standing, far):
        assert Shop(layout, {"t1": path}, [Tap(at(1.5), "anna")]).exits == []


def test_a_recording_that_ends_at_the_exit_closes_the_visit(layout):
    shop = Shop(layout, {"t1": ROUND}, [Tap(at(1.5), "anna")], until_s=17.9)  # 0.1 m before the line
    assert len(shop.closings) == 1


def test_who_is_still_inside_at_the_end_is_not_closed(layout):
    assert Shop(layout, {"t1": ROUND}, [Tap(at(1.5), "anna")], until_s=12).closings == []


def test_coming_in_again_is_a_second_visit(layout):
    again = ROUND + [(20, 0.5, 1), (21, 0.5, 1), (24, 4, 1), (28, 0, 1)]
    shop = Shop(layout, {"t1": again}, [Tap(at(1.5), "anna"), Tap(at(20.5), "anna")], shelf_events=[pick(8, t1=1.0)])
    first, second = shop.closings
    assert "pick-8" in first.event_ids and "pick-8" not in second.event_ids
    assert first.visit_id != second.visit_id
