# SPDX-License-Identifier: AGPL-3.0-or-later
"""Groups, people without a pass and shoppers who come twice, from what a person network finds: noisy boxes, key points,
in all cameras, through the trackers that `walkout run` uses, the gate and the cart.

Hands are the truth's, done by the track that is where the person is: what is wrong with a receipt here is the fault of
tracker, gate or cart.
"""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest

pytest.importorskip("panda3d", reason="needs the simulator: pip install 'walkout[sim]'")

from calibration.layout import load_layout
from pipeline.capture.recording import Recording
from pipeline.cart.fold import CartState, fold
from pipeline.cart.receipts import receipt_of
from pipeline.cart.rules import BillingRules
from pipeline.gate import GateKeeper
from pipeline.messages import Candidate, PersonWithoutPass, ShelfEvent, VisitOpened
from pipeline.perception.identity.watch import IdentityWatch
from pipeline.perception.people import PeopleTracker
from sim.run_truth import read_positions
from sim.sightings.recording import record_detections
from sim.sightings.suite import windows

S = 1_000_000_000
NEAR_M = 0.7
SETTLED_NS = S
"""A shelf event is told so long after the hand is back, as the shelf stage does."""


def run(folder):
    """The visits' receipts, in the order in which they were opened, of a recording of detections; None for who is still
    inside."""
    recording, layout = Recording.open(folder), load_layout(folder / "layout.yaml")
    people = read_positions(folder / "truth" / "people.csv", "person")
    moments = np.array(sorted(people))
    handled = [json.loads(line) for line in (folder / "truth" / "events.jsonl").read_text().splitlines()]
    waiting = [h for h in handled if h["event"] in ("pick", "put_back")]
    taps = list(recording.taps)
    people_tracker, watch, keeper = PeopleTracker(layout), IdentityWatch(layout), GateKeeper(layout)
    seen, events, at_ns = {}, [], 0

    def done_by(handling) -> str | None:
        then = moments[np.abs(moments - handling["at_ns"]).argmin()]
        names, xy = people[int(then)]
        if handling["person"] not in names:
            return None
        place = xy[list(names).index(handling["person"])]
        moment = min(seen, key=lambda ns: abs(ns - handling["at_ns"]))
        near = [(float(np.linalg.norm(t.floor_xy_m - place)), t.track_id) for t in seen[moment]]
        return min(near)[1] if near and min(near)[0] < NEAR_M else None

    def see_out(update):
        for left in update.exits:
            late = [e for track_id in left.track_ids for e in watch.flush(track_id)]
            keeper.note(late)
            yield from (*late, keeper.close(left))

    for at_ns, looks in windows(folder, 0.1):
        found = {look.camera_id: (look.captured_at_ns, look.detections) for look in looks}
        cameras, tracks = people_tracker.update(found, at_ns)
        who = watch.update(cameras.values(), tracks, at_ns)
        seen[at_ns] = tracks
        told = [h for h in waiting if h["t1_ns"] + SETTLED_NS <= at_ns]
        waiting = [h for h in waiting if h not in told]
        shelf = [_event(h, track, layout.store_id) for h in told if (track := done_by(h)) is not None]
        assert len(shelf) == len(told), "somebody whose hand is in a shelf has no track"
        keeper.note([*who, *shelf])
        due = [t for t in taps if t.at_ns < at_ns + S // 20]
        taps = [t for t in taps if t not in due]
        update = keeper.update(at_ns, tracks, due)
        events += [*who, *shelf, *update.events, *see_out(update)]
    events += see_out(keeper.finish(at_ns))

    state = fold(CartState(), *events)
    visits = sorted((e for e in events if isinstance(e, VisitOpened | PersonWithoutPass)), key=lambda v: v.at_ns)
    rules, catalogue = BillingRules(), recording.catalogue
    return [receipt_of(state, v.visit_id, catalogue, rules) if state.closed(v.visit_id) else None for v in visits]


def _event(handling, track_id: str, store_id: str) -> ShelfEvent:
    def sure(value) -> tuple[Candidate, ...]:
        return (Candidate(value=str(value), probability=0.97),)

    return ShelfEvent(
        event_id=f"e{handling['at_ns']}-{track_id}", store_id=store_id, at_ns=handling["at_ns"], kind=handling["event"],
        kind_probability=0.97, persons=sure(track_id), products=sure(handling["gtin"]),
        quantities=sure(handling["quantity"]), gondola_id=handling["gondola_id"] or "g1", slot_id=None,
        t0_ns=handling["t0_ns"], t1_ns=handling["t1_ns"],
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", ["group-2", "group-4", "return-visit", "tailgate"])
def test_everybody_pays_for_what_their_party_took(tmp_path, name):
    folder = tmp_path / "rec"
    record_detections(name, 0, folder)
    truth = json.loads((folder / "truth" / "receipts.json").read_text())["visits"]
    wanted = [(visit["shopper_id"], sorted(visit["items"].items())) for visit in truth]
    receipts = run(folder)  # of tailgate: the tracker exchanges the two at a shelf, which is found out and corrected
    assert None not in receipts
    found = [(r.shopper_id, Counter({line.gtin: line.quantity for line in r.lines})) for r in receipts]
    assert sorted((str(who), sorted(items.items())) for who, items in found) == sorted(
        (str(who), items) for who, items in wanted
    )
    for receipt in receipts:
        assert receipt.held_for_review is (receipt.shopper_id is None and bool(receipt.lines))
