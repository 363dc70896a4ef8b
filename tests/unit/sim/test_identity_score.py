# SPDX-License-Identifier: AGPL-3.0-or-later
"""Whether one label stays with one person, and the pictures of where it does not."""

import av
import numpy as np
import pytest
from rich.console import Console

from pipeline.errors import RecordingError
from pipeline.messages import TrackAmbiguous, TracksKept, TracksMerged, TracksSwapped
from sim.identity_events import Names, identities, said
from sim.identity_score import Flag, visit_identities
from sim.report import tracking_table
from sim.show import scene_of_files, show

NS = 10**9
TIMES = [round(0.1 * k * NS) for k in range(60)]


def two_people(swap_at: int | None = None, slip_at: int | None = None):
    """Anna walks along y = 0, Ben along y = 1; labels t1 and t2, exchanged from one instant on, or for one instant."""
    truth, tracks = {}, {}
    for k, t in enumerate(TIMES):
        xy = np.array([[0.05 * k, 0.0], [0.05 * k, 1.0]])
        truth[t] = (["anna", "ben"], xy)
        other = (swap_at is not None and k >= swap_at) or k == slip_at
        tracks[t] = (["t2", "t1"] if other else ["t1", "t2"], xy + 0.05)
    return truth, tracks


VISITS = [{"person": p, "entered_at_ns": TIMES[5], "left_at_ns": TIMES[-1]} for p in ("anna", "ben")]


def test_one_label_all_the_way_is_held_and_a_slip_is_forgiven():
    for slip_at in (None, 30):
        found = visit_identities(*two_people(slip_at=slip_at), VISITS)
        assert [v.held for v in found] == [True, True] and found[0].labels == ("t1",)


def test_an_exchange_breaks_both_visits_and_says_where():
    anna, ben = visit_identities(*two_people(swap_at=30), VISITS)
    assert not anna.held and not ben.held
    (change,) = anna.changes
    assert (change.before, change.after, change.at_ns) == ("t1", "t2", TIMES[30])
    assert change.xy_m == pytest.approx((1.5, 0.0)) and not change.flagged


@pytest.mark.parametrize(("since", "until", "warned"), [(25, 32, True), (45, 50, False)])
def test_a_warning_counts_when_it_was_about_that_moment(since, until, warned):
    flags = [Flag(("t1", "t2"), TIMES[since], TIMES[until])]
    anna, _ = visit_identities(*two_people(swap_at=30), VISITS, flags)
    assert anna.changes[0].flagged is warned and anna.flagged


def test_who_has_no_label_is_not_held():
    truth, tracks = two_people()
    tracks = {t: (names[:1], xy[:1]) for t, (names, xy) in tracks.items()}
    assert [v.held for v in visit_identities(truth, tracks, VISITS)] == [True, False]


def test_members_of_a_party_are_visits_of_their_own():
    party = [{"person": "anna", "members": {"anna": {}, "ben": {}}, "entered_at_ns": 0, "left_at_ns": TIMES[-1]}]
    assert [v.person for v in visit_identities(*two_people(), party)] == ["anna", "ben"]


def event(kind, k, **more):
    two = {} if kind in (TrackAmbiguous, TracksKept) else {"track_id": "t1", "other_track_id": "t2"}
    return kind(event_id=f"{kind.__name__}-{k}", store_id="s", at_ns=TIMES[k] + 1, **two, **more)


def test_a_swap_that_was_said_makes_the_identities_whole_again():
    truth, tracks = two_people(swap_at=30)
    found, counts = identities(truth, tracks, VISITS, [event(TracksSwapped, 29)])
    assert [v.labels for v in found] == [("t1",), ("t2",)]
    assert (counts.held, counts.tracker_held, counts.wrong, counts.tracker_wrong) == (2, 0, 0, 2)
    assert counts.shares()["tracker_wrong_told"] == 1 and counts.shares()["wrong_flagged_before"] is None


def test_a_swap_that_was_none_breaks_them():
    _, counts = identities(*two_people(), VISITS, [event(TracksSwapped, 29)])
    assert (counts.held, counts.tracker_held, counts.wrong, counts.wrong_flagged) == (0, 2, 2, 0)


@pytest.mark.parametrize(("settled", "share"), [(False, 1.0), (True, 0.0)])
def test_a_doubt_counts_unless_it_was_settled(settled, share):
    doubt = event(TrackAmbiguous, 28, track_ids=("t1", "t2"), until_ns=TIMES[31])
    events = [doubt, *([event(TracksKept, 40, settles=(doubt.event_id,))] if settled else [])]
    _, counts = identities(*two_people(swap_at=30), VISITS, events)
    assert counts.shares()["wrong_flagged_before"] == counts.shares()["visits_flagged"] == share
    assert [s.kind for s in said(events)] == [] if settled else ["ambiguous"]


def test_labels_that_are_merged_are_one():
    truth, tracks = two_people()
    late = {t: (["t1", "t3"] if t >= TIMES[30] else names, xy) for t, (names, xy) in tracks.items()}
    merge = event(TracksMerged, 29).model_copy(update={"track_id": "t2", "other_track_id": "t3"})
    assert identities(truth, late, VISITS, [])[1].held == 1
    assert identities(truth, late, VISITS, [merge])[1].held == 2
    names = Names([merge, event(TracksSwapped, 40)])
    assert [names.of("t3", TIMES[k]) for k in (10, 35, 50)] == ["t3", "t2", "t2"]
    assert [names.of("t1", TIMES[k]) for k in (35, 50)] == ["t1", "t2"]


def as_csv(path, positions):
    lines = ["frame,person,x_m,y_m"]
    for k, t in enumerate(TIMES):
        lines += [f"{k},{n},{x},{y}" for n, (x, y) in zip(*positions[t], strict=True)]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_change_is_a_mark_in_the_picture_and_the_film_runs_as_long_as_the_tracks(tmp_path):
    truth, swapped = two_people(swap_at=30)
    real = as_csv(tmp_path / "truth.csv", truth)
    broken = scene_of_files(real, as_csv(tmp_path / "broken.csv", swapped), 10)
    whole = scene_of_files(real, as_csv(tmp_path / "whole.csv", two_people()[1]), 10)
    assert len(broken.changes) == 2 and not whole.changes
    picture, film = show(broken, tmp_path / "out")
    assert picture.stat().st_size > 1000
    with av.open(str(film)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert frames == pytest.approx(5.9 * 8, abs=2)


def test_an_empty_truth_is_the_users_mistake(tmp_path):
    empty = tmp_path / "empty.csv"
    empty.write_text("frame,person,x_m,y_m\n")
    with pytest.raises(RecordingError, match=r"empty\.csv"):
        scene_of_files(empty, empty, 10)


def test_the_suites_table_fits_a_terminal_of_80_columns():
    figures = {
        "visits": 198, "idf1": 0.985, "mota": 0.98, "switches": 12, "tracker_held": 0.96, "held": 0.97,
        "tracker_wrong_told": 1.0, "wrong_flagged_before": None, "visits_flagged": 0.05, "record_x_real_time": None,
        "track_x_real_time": 6.9,
    }  # fmt: skip
    console = Console(width=80, record=True)
    console.print(tracking_table({"camera-out": figures, "all": figures}))
    shown = console.export_text()
    assert "camera-out" in shown and "0.970" in shown and "\u2026" not in shown
    assert "recorded -, tracked 6.900" in shown
