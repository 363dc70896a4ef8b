# SPDX-License-Identifier: AGPL-3.0-or-later
"""`ShelfStage`: from people and pictures to picks and put-backs.

Two things go on side by side. Hands are followed in 3-D and make reaches: who was where on which face, and when. Every
slot's front is watched by the cameras that see it well: what looks different for good since when. A change and the
reaches that fit it in place and time make an event; a reach after which nothing looks different was a touch; a reach
where no camera can see the products is reported with what the planogram offers, for a person to settle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from calibration.catalogue import Catalogue, Planogram
from calibration.layout import StoreLayout
from pipeline.messages import CameraTracks, FloorTrack, FrameSet, Reach, ShelfEvent
from pipeline.reasons import NOT_SEEN_AGAIN
from pipeline.shelf.attribute import Attribution, Touch
from pipeline.shelf.carried import BodyPictures
from pipeline.shelf.change import SlotWatch
from pipeline.shelf.episodes import Episode, Episodes
from pipeline.shelf.evidence_sheet import Explanation
from pipeline.shelf.handpics import HandPictures
from pipeline.shelf.hands import SIDES, HandTracker
from pipeline.shelf.identify import CameraClue, Identifier, RowHistory, Verdict, fresh_places
from pipeline.shelf.reach import ReachDetector
from pipeline.shelf.reporting import Reporter
from pipeline.shelf.rows import match_rows
from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.sight import Front, InHand, Network, fronts, in_hand
from pipeline.shelf.takers import Takers, surety
from pipeline.shelf.views import people_boxes, slot_views


class Perceived(Protocol):
    """What `pipeline.perception` makes of one window, as far as it is used here."""

    frame_set: FrameSet
    camera_tracks: Mapping[str, CameraTracks]
    floor_tracks: Sequence[FloorTrack]


class ShelfStage:
    """`update` once a window; `flush` when somebody leaves, before the visit is closed, and at the end."""

    def __init__(
        self,
        layout: StoreLayout,
        catalogue: Catalogue,
        planogram: Planogram,
        product_network: Network | None,
        settings: ShelfSettings | None = None,
        explain: Callable[[Explanation], None] | None = None,
    ) -> None:
        """`explain` is called with each event's evidence, e.g. `evidence_sheet.write_sheet`."""
        self._settings = s = settings or ShelfSettings()
        self._layout = layout
        self._catalogue = catalogue
        self._network = product_network
        self._views = slot_views(layout, catalogue, planogram, s)
        self._watch = SlotWatch(self._views, s)
        self._episodes = Episodes(self._views, self._watch, s)
        self._hands = HandTracker(layout.camera_by_id, s)
        self._reaches = ReachDetector(layout, s)
        self._hand_pictures = HandPictures(layout, s)
        self._bodies = BodyPictures(layout, self._views, s)
        self._who = Attribution(layout, s)
        self._identifier = Identifier(catalogue, s)
        self._standing = dict(planogram.slots)
        self._takers = Takers(self._who, self._bodies, product_network, catalogue, self._standing, s)
        self._reporter = Reporter(layout, catalogue, self._standing, self._who, s)
        self._explain = explain
        self._rows = RowHistory()
        self._held: dict[str, dict[str, float]] = {}
        """track id -> GTIN -> how many of it the person probably holds."""
        self._looked_ns: dict[str, int] = {}
        self._seen_ns: dict[str, int] = {}
        self._now_ns = 0

    # --- the two entry points ---

    def update(self, perceived: Perceived) -> list[ShelfEvent]:
        """Everything that became certain, or certain enough to be settled by a person, with this window."""
        frames, tracks = perceived.frame_set, perceived.floor_tracks
        self._now_ns = now_ns = frames.mid_ns
        unseen = []
        for track in tracks:
            self._seen_ns[track.track_id] = now_ns
            self._who.add_place(track)
            self._bodies.see(track, frames, perceived.camera_tracks)
            unseen += self._follow_hands(track, perceived)
        unseen += self._drop_lost(now_ns)
        self._hand_pictures.collect(now_ns)
        self._look(frames, perceived.camera_tracks)
        touched_ns = {
            slot: reach.t0_ns for reach in self._reaches.current() for slot, chance in reach.slots
            if chance >= self._settings.touching
        }  # fmt: skip
        return unseen + self._decide(self._episodes.ready(now_ns, touched_ns))

    def awaits(self, track_id: str, left_ns: int) -> bool:
        """Did others hide a shelf at which this person stood, who left at `left_ns`, ever since? What is missing there
        will show once they have gone; False when that has been waited for long enough."""
        s = self._settings
        if self._now_ns - left_ns > s.await_shelf_s * 1e9:
            return False
        seen_ns = {slot: max(map(self._watch.seen_ns, views)) for slot, views in self._views.items() if views}
        known = {slot: at_ns for slot, at_ns in seen_ns.items() if at_ns > 0}
        return any(stay_s >= s.await_stay_s for stay_s in self._who.stays_s(track_id, known).values())

    def flush(self, track_id: str | None = None) -> list[ShelfEvent]:
        """Settle what this track (or everybody) touched with what is known now; nothing is left open for it."""
        events = []
        for reach in self._reaches.flush(track_id):
            events += self._ended(reach)
        if track_id is None:
            self._hurry(None)
            return events + self._decide(self._episodes.take())
        touched = {
            slot for reach in self._who.reaches(track_id) for slot, chance in reach.slots
            if chance >= self._settings.min_slot_chance
        }  # fmt: skip
        self._hurry(touched)
        self._hurry(self._who.stood_at(track_id, self._now_ns), least=2)
        # A weak network may have seen no hand: what changed where this person stood is settled as well, or it would
        # come after their bill.
        for episode in self._episodes.open:
            who = self._who.who(episode.slot_id, episode.interval_ns, self._reaches.current())
            if who and who[0].track_id == track_id:
                touched.add(episode.slot_id)
        events += self._decide(self._episodes.take(touched))
        events += self._unseen_after(track_id)
        self._hands.forget(track_id)
        self._hand_pictures.forget(track_id)
        return events

    # --- hands ---

    def _follow_hands(self, track: FloorTrack, perceived: Perceived) -> list[ShelfEvent]:
        cameras = perceived.camera_tracks
        keypoints = {
            camera_id: cameras[camera_id].detections.keypoints_px[row]
            for camera_id, row in track.sources.items()
            if camera_id in cameras
        }
        hands = self._hands.update(track.track_id, track.at_ns, track.floor_xy_m, keypoints)
        events = []
        for side in SIDES:
            if side in hands:
                self._who.add_hand(track.track_id, hands[side])
                self._hand_pictures.see(track.track_id, side, hands[side], perceived.frame_set, keypoints)
            for reach in self._reaches.update(track.track_id, side, track.at_ns, hands.get(side)):
                events += self._ended(reach)
        return events

    def _drop_lost(self, now_ns: int) -> list[ShelfEvent]:
        events = []
        for track_id, seen_ns in list(self._seen_ns.items()):
            if now_ns - seen_ns > self._settings.reach_gap_s * 1e9:
                for reach in self._reaches.flush(track_id):
                    events += self._ended(reach)
            if now_ns - seen_ns > self._settings.person_memory_s * 1e9:
                self._who.forget(track_id)
                self._hands.forget(track_id)
                self._hand_pictures.forget(track_id)
                self._bodies.forget(track_id)
                self._held.pop(track_id, None)
                del self._seen_ns[track_id]
        return events

    def _ended(self, reach: Reach) -> list[ShelfEvent]:
        """Keep a reach for the changes to come; where nobody sees the products it is all there will be."""
        self._who.add_reach(reach)
        self._hand_pictures.keep(reach)
        total = sum(p for _, p in reach.slots)
        blind = sum(p for slot, p in reach.slots if not self._views[slot])
        if total <= 0 or blind < 0.5 * total or not self._is_deep(reach):
            return []
        return [self._reporter.blind_event(reach)]

    def _is_deep(self, reach: Reach) -> bool:
        """Could the hand have grasped something?"""
        s = self._settings
        out = self._layout.gondola_by_id[reach.gondola_id].to_face(reach.path_m)[:, 1]
        return float(out.min()) <= s.grasp_depth_m and (reach.t1_ns - reach.t0_ns) / 1e9 >= s.grasp_s

    # --- shelves ---

    def _look(self, frames: FrameSet, cameras: Mapping[str, CameraTracks]) -> None:
        """Look at the slots of every camera that is due; a camera whose people are not known now is left out."""
        s = self._settings
        restless = self._reaches.open_gondolas() | self._episodes.gondola_ids
        pace_s = s.observe_every_busy_s if restless else s.observe_every_s
        for camera_id in self._watch.camera_ids:
            frame, people = frames.frames.get(camera_id), cameras.get(camera_id)
            if frame is None or people is None:
                continue
            if frame.captured_at_ns - self._looked_ns.get(camera_id, 0) < pace_s * 1e9 - 2e7:
                continue
            self._looked_ns[camera_id] = frame.captured_at_ns
            boxes = people_boxes(people.detections.xyxy_px, s.person_margin_px)
            for change in self._watch.observe(camera_id, frame.captured_at_ns, frame.image, boxes):
                self._episodes.add(change)

    def _hurry(self, slot_ids: set[str] | None, least: int = 1) -> None:
        """Take looks that have not lasted long enough for what they seem to be."""
        for change in self._watch.hurry(slot_ids, least):
            self._episodes.add(change)

    # --- deciding ---

    def _decide(self, episodes: Sequence[Episode]) -> list[ShelfEvent]:
        """Settle episodes, the ones that are surest about the person first: what is explained leaves less doubt."""
        current = self._reaches.current()
        events, left = [], [[e] if e.early else e.parts(self._watch.seen_ns) for e in episodes]
        while left:
            asked = [(parts, self._who.who(parts[0].slot_id, parts[0].interval_ns, current)) for parts in left]
            parts, touches = max(asked, key=lambda pt: (surety(pt[1]), pt[0][0].slot_id))
            episode = parts.pop(0)
            left = [parts for parts in left if parts]
            if touches:  # else nobody was near: the light, or a camera that was knocked
                events += self._settle(episode, touches)
        return sorted(events, key=lambda e: (e.at_ns, e.event_id))

    def _settle(self, episode: Episode, there: list[Touch]) -> list[ShelfEvent]:
        """What happened, and whose it is, of those who may have been `there`."""
        s = self._settings
        planned = self._standing.get(episode.slot_id)
        holders = {track_id for track_id, held in self._held.items() if held.get(planned, 0.0) >= 0.5}
        touches = self._takers.weighed(episode, there, planned, holders)
        seen_with = sum(t.carried >= s.carried_sure and t.track_id not in holders for t in touches)
        person = touches[0]
        clues = self._clues(episode)
        likely = separate([r for r, chance in person.reaches if chance >= 0.5 * person.reaches[0][1]], s.same_reach_s)
        known = (
            clues, planned, self._pitch_m(episode.slot_id), self._rows.now(episode.slot_id),
            self._held.get(person.track_id, {}), max(len(likely), seen_with),
        )  # fmt: skip
        verdict = self._identifier.decide(*known)
        if min(verdict.kind_probability, verdict.products[0][1]) < s.doubt and len(likely) == 1:
            verdict = self._identifier.decide(*known, *self._in_hand(likely[0]))
        if episode.early and min(verdict.kind_probability, verdict.quantities[0][1]) < s.sure:
            self._episodes.reopen(episode)
            return []
        self._episodes.decided(episode)
        if verdict.pick + verdict.put_back < s.min_event_probability or self._is_undone(
            episode.slot_id, verdict, likely
        ):
            return []
        shares = self._takers.shares(episode, there, touches, verdict, planned, self._reaches.current(), holders)
        if len(shares) > 1:
            events = self._reporter.shared(episode, shares, verdict)
        else:
            events = self._reporter.events(episode, touches, verdict, likely)
        if self._explain is not None:
            hands = [self._hand_pictures.of(reach) for reach in likely]
            for event in events:
                self._explain(Explanation(event, verdict, tuple(episode.changes.values()), tuple(clues), tuple(hands)))
        self._rows.add(episode.slot_id, episode.interval_ns[1], verdict.places)
        for share in shares:
            self._remember(share[0].track_id, verdict, len(shares))
        for k in range(verdict.quantities[0][0]):
            self._who.explain(shares[k % len(shares)][0].track_id, episode.gondola_id, episode.interval_ns)
        return events

    def _is_undone(self, slot_id: str, verdict: Verdict, likely: Sequence[Reach]) -> bool:
        """Would every reach that fits have undone at this slot what it did there?

        A camera that is slow to see the slot clear reports a change that the others have told already. What it shows is
        compared with a row that has moved on since, and a poor view then tells of the opposite; one and the same reach
        does not do both.
        """
        opposite = "put_back" if verdict.kind == "pick" else "pick"
        return bool(likely) and all(self._who.did(reach, slot_id, opposite) for reach in likely)

    def _pitch_m(self, slot_id: str) -> float:
        """From one item's front to the next one's in the row."""
        return self._views[slot_id][0].item_m[1] + self._settings.item_gap_m

    def _clues(self, episode: Episode) -> list[CameraClue]:
        """What each camera that saw the slot clear before and after has to say, also those that saw no change."""
        compared = []
        for view in self._views[episode.slot_id]:
            change = episode.changes.get(view.camera_id)
            if change is not None:
                compared.append((view, change.before.crop, change.after.crop, change.difference, change.before_ns))
            elif self._watch.seen_ns(view) > episode.started_ns and not self._watch.is_unsettled(view):
                # As it was when the camera saw it last, which may be before what was decided meanwhile without it.
                same = self._watch.picture(view).crop
                compared.append((view, same, same, 0.0, self._watch.same_before_ns(view, episode.interval_ns[0])))
        pitch_m, classes = self._pitch_m(episode.slot_id), len(self._catalogue.gtins)
        nothing = Front(float("nan"), 0.0, np.zeros(classes))
        seen = [nothing] * (2 * len(compared))
        if self._network is not None:
            seen = fronts(self._network, [(v, crop) for v, *crops, _, _ in compared for crop in crops], classes)
        return [
            CameraClue(
                view.camera_id, view.px_per_cm, gap, match_rows(view, before, after, pitch_m),
                seen[2 * i], seen[2 * i + 1], self._rows.before(episode.slot_id, before_ns),
            )
            for i, (view, before, after, gap, before_ns) in enumerate(compared)
        ]  # fmt: skip

    def _in_hand(self, reach: Reach) -> tuple[list[InHand], list[InHand]]:
        """What the hand seemed to hold before and after a reach."""
        if self._network is None:
            return [], []
        record = self._hand_pictures.of(reach)
        seen = in_hand(self._network, [*record.before, *record.after], len(self._catalogue.gtins))
        return seen[: len(record.before)], seen[len(record.before) :]

    def _remember(self, track_id: str, verdict: Verdict, shares: int) -> None:
        """What the person holds now, who has one of so many shares of it."""
        held = self._held.setdefault(track_id, {})
        count = sum(q * p for q, p in verdict.quantities) / shares
        sign = 1 if verdict.kind == "pick" else -1
        for gtin, chance in verdict.products:
            held[gtin] = max(held.get(gtin, 0.0) + sign * chance * verdict.kind_probability * count, 0.0)

    def _unseen_after(self, track_id: str) -> list[ShelfEvent]:
        """Deep reaches of somebody who leaves into slots that no camera has seen clear since."""
        events = []
        for reach in self._who.reaches(track_id):
            if self._who.is_used(reach) or not reach.slots or not self._is_deep(reach):
                continue
            seen = sum(
                p for slot, p in reach.slots
                if any(self._watch.seen_ns(v) > reach.t1_ns for v in self._views[slot])
            )  # fmt: skip
            if seen < 0.5 * sum(p for _, p in reach.slots):
                verdict = self._identifier.decide(
                    (), self._standing.get(reach.slots[0][0]), 0.1, fresh_places(), self._held.get(track_id, {}), 1,
                    *self._in_hand(reach),
                )  # fmt: skip
                events.append(self._reporter.blind_event(reach, NOT_SEEN_AGAIN, verdict.kind))
        return events


def separate(reaches: Sequence[Reach], apart_s: float) -> list[Reach]:
    """One reach of each cluster in time, the first given; in the given order."""
    kept: list[Reach] = []
    for reach in reaches:
        if all(reach.t0_ns > k.t1_ns + apart_s * 1e9 or reach.t1_ns < k.t0_ns - apart_s * 1e9 for k in kept):
            kept.append(reach)
    return kept
