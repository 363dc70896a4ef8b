# SPDX-License-Identifier: AGPL-3.0-or-later
"""What changed on a shelf: what every slot looks like to every camera over time."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from pipeline.shelf.settings import ShelfSettings
from pipeline.shelf.views import SlotView, group_by_camera, visible_front

NOISE_GREY = 5.0  # sensor noise and compression after a 3 x 3 mean, grey levels
_SAMPLES_PER_CM = 1.5
_MIN_VISIBLE = 0.3
_GAP_NS = 1_000_000_000
"""Between looks is less than this, unless somebody hides the slot."""
_GAPS_KEPT = 40


@dataclass(frozen=True)
class SlotPicture:
    """One slot in one picture while nobody stood in front. `crop`: uint8 (h, w, 3) of the view's `rect_px`, BGR."""

    at_ns: int
    crop: np.ndarray


@dataclass(frozen=True)
class SlotChange:
    """One camera saw a slot look different from `after_ns` on; until `before_ns` it looked as in `before`.

    `samples`: what it looked like before, in the watch's own form, to see whether it turns back.
    """

    view: SlotView
    before: SlotPicture
    after: SlotPicture
    before_ns: int
    after_ns: int
    difference: float
    samples: np.ndarray


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """0 for two pictures of the same thing under any brightness and contrast, about 1 for unrelated ones.

    Variance of what is left after the best gain and offset a channel, over the pictures' own variance plus noise:
    like 1 - ZNCC (Lewis, 1995), but two pictures of the same plain surface count as equal.
    """
    x, y = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return float(differences(x, y, np.array([0]))[0])


def differences(a: np.ndarray, b: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """`difference` of many parts at once, (P,). `a`, `b`: float32 (M, 3); part p is rows starts[p] to starts[p + 1]."""
    counts = np.diff(np.append(starts, len(a)))[:, None]

    def mean(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts, axis=0) / counts

    channels = a.shape[1]
    ma, mb = mean(a), mean(b)
    va = np.maximum(mean(a * a) - ma * ma, 0).sum(1) / channels
    vb = np.maximum(mean(b * b) - mb * mb, 0).sum(1) / channels
    vab = (mean(a * b) - ma * mb).sum(1) / channels
    noise = NOISE_GREY**2
    gain = np.clip(np.sqrt((va + noise) / (vb + noise)), 0.6, 1.7)  # light that dims dims the contrast too
    residual = va + gain**2 * vb - 2 * gain * vab
    return np.maximum(residual - noise, 0) / (va + gain**2 * vb + 2 * noise)


class _Sampler:
    """Where one camera's picture is sampled to compare all its slots: the fronts of the first places of every row."""

    def __init__(self, views: Sequence[SlotView], settings: ShelfSettings) -> None:
        points, starts, owners = [], [], []
        self.rows: list[slice] = []
        total = 0
        for index, view in enumerate(views):
            begin = total
            for place in range(settings.watched_places):
                part = _front_samples(view, place * (view.item_m[1] + settings.item_gap_m))
                if part is None:
                    break
                starts.append(total)
                owners.append(index)
                points.append(part)
                total += len(part)
            self.rows.append(slice(begin, total))
        self._map = np.concatenate(points).astype(np.float32)[:, None] if points else np.zeros((0, 1, 2), np.float32)
        self._starts, self._owners = np.array(starts, int), np.array(owners, int)
        self._places = [self._starts[self._owners == i] - rows.start for i, rows in enumerate(self.rows)]
        self._boxes = np.array(
            [np.concatenate([self._map[r, 0].min(0), self._map[r, 0].max(0)]) for r in self.rows]
        ).reshape(-1, 4)

    def clear(self, boxes_px: np.ndarray) -> np.ndarray:
        """bool (views,): does none of the boxes (N, 4) touch what is sampled of the slot?"""
        mine, theirs = self._boxes[:, None], boxes_px[None]
        apart = (mine[..., :2] > theirs[..., 2:]).any(-1) | (mine[..., 2:] < theirs[..., :2]).any(-1)
        return apart.all(1)

    def sample(self, image: np.ndarray) -> np.ndarray:
        """float32 (M, 3)."""
        # remap takes maps of at most 32767 rows, and cannot blur: a mean of 3 x 3 first.
        blurred = cv2.blur(image, (3, 3))
        parts = [
            cv2.remap(blurred, self._map[i : i + 30000], None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            for i in range(0, len(self._map), 30000)
        ]
        return np.concatenate(parts)[:, 0].astype(np.float32)

    def gaps(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The largest difference over the places of each slot, (views,)."""
        out = np.zeros(len(self.rows))
        np.maximum.at(out, self._owners, differences(a, b, self._starts))
        return out

    def gap(self, view: int, a: np.ndarray, b: np.ndarray) -> float:
        """The same of one slot, from its own rows of the samples."""
        return float(differences(a, b, self._places[view]).max(initial=0.0))


def _front_samples(view: SlotView, behind_m: float) -> np.ndarray | None:
    """Points (n, 2) in the picture on the visible part of the item `behind_m` back; None where too little is."""
    shown = visible_front(view, behind_m)
    if shown.mean() < _MIN_VISIBLE:
        return None
    height, width = shown.shape
    columns = max(4, round(view.item_m[0] * 100 * _SAMPLES_PER_CM))
    rows = max(4, round(view.item_m[2] * 100 * _SAMPLES_PER_CM))
    u, v = np.meshgrid((np.arange(columns) + 0.5) / columns, (np.arange(rows) + 0.5) / rows)
    keep = shown[(v * height).astype(int), (u * width).astype(int)]
    if keep.sum() < 12:
        return None
    corners = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)
    warp = cv2.getPerspectiveTransform(corners, view.front_quad(behind_m))
    grid = np.stack([u[keep], v[keep]], -1).astype(np.float32)[:, None]
    return cv2.perspectiveTransform(grid, warp)[:, 0]


@dataclass
class _Watched:
    picture: SlotPicture | None = None
    samples: np.ndarray | None = None
    seen_ns: int = 0
    since_ns: int = 0
    """Since when it has been looking as it does."""
    unseen: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=_GAPS_KEPT))
    """Last clear sight before, and first after, somebody stood in front; the newest last."""
    pending: list[tuple[SlotPicture, np.ndarray]] = field(default_factory=list)

    def saw(self, at_ns: int) -> None:
        if at_ns - self.seen_ns > _GAP_NS:
            self.unseen.append((self.seen_ns, at_ns))
        self.seen_ns = at_ns


class SlotWatch:
    """What every slot looks like to every camera, and when it began to look different.

    A picture counts when no person's box touches the slot in it. One that differs from the settled look has to
    be seen `settle_observations` times in a row, unchanged, before it is reported and becomes the settled look.
    """

    def __init__(self, views: Mapping[str, tuple[SlotView, ...]], settings: ShelfSettings) -> None:
        self._settings = settings
        self._views = group_by_camera(views)
        self._samplers = {c: _Sampler(vs, settings) for c, vs in self._views.items()}
        self._watched = {c: [_Watched() for _ in vs] for c, vs in self._views.items()}
        self._row = {(v.slot_id, c): i for c, vs in self._views.items() for i, v in enumerate(vs)}

    @property
    def camera_ids(self) -> list[str]:
        return sorted(self._views)

    def observe(
        self, camera_id: str, at_ns: int, image: np.ndarray, boxes_px: np.ndarray, gondolas: set[str] | None = None
    ) -> list[SlotChange]:
        """Look at all slots of this camera (of these gondolas) that `boxes_px` (N, 4), people, leave free."""
        sampler, watched, views = self._samplers[camera_id], self._watched[camera_id], self._views[camera_id]
        seen = sampler.sample(image)
        settled = np.concatenate(
            [w.samples if w.samples is not None else seen[r] for w, r in zip(watched, sampler.rows, strict=True)]
        )
        gaps = sampler.gaps(settled, seen)
        clear = sampler.clear(boxes_px)
        changes = []
        for i, view in enumerate(views):
            if clear[i] and (gondolas is None or view.gondola_id in gondolas):
                change = self._look(view, watched[i], at_ns, image, seen[sampler.rows[i]], gaps[i])
                if change is not None:
                    changes.append(change)
        return changes

    def seen_ns(self, view: SlotView) -> int:
        """When the camera last saw the slot clear and as it is settled; 0 for never."""
        return self._of(view).seen_ns

    def same_before_ns(self, view: SlotView, at_ns: int) -> int:
        """When the camera had last seen the slot clear at `at_ns`, looking as it does now; if it looked otherwise then,
        since when it has been looking so."""
        watched = self._of(view)
        for before, after in reversed(watched.unseen):
            if before <= at_ns < after:
                return max(before, watched.since_ns)
        return max(min(at_ns, watched.seen_ns), watched.since_ns)

    def picture(self, view: SlotView) -> SlotPicture | None:
        """A picture of the settled look; None as long as the slot has not been seen clear."""
        return self._of(view).picture

    def is_unsettled(self, view: SlotView) -> bool:
        """Did the slot look different when it was last seen clear, but not for long enough yet?"""
        return bool(self._of(view).pending)

    def gap(self, view: SlotView, a: np.ndarray, b: np.ndarray) -> float:
        """Difference of two samples of a view."""
        return self._samplers[view.camera_id].gap(self._row[view.slot_id, view.camera_id], a, b)

    def samples(self, view: SlotView) -> np.ndarray:
        """The settled look in the watch's own form."""
        return self._of(view).samples

    def hurry(self, slot_ids: set[str] | None, least: int = 1) -> list[SlotChange]:
        """Changes of these slots (None: all) that have not lasted long enough to be reported; they count now.

        `least`: of which at least so many pictures have been taken.
        """
        changes = []
        for camera_id, views in sorted(self._views.items()):
            for view, watched in zip(views, self._watched[camera_id], strict=True):
                if len(watched.pending) >= least and (slot_ids is None or view.slot_id in slot_ids):
                    changes.append(self._settle(view, watched))
        return changes

    def _of(self, view: SlotView) -> _Watched:
        return self._watched[view.camera_id][self._row[view.slot_id, view.camera_id]]

    def _look(self, view, watched, at_ns, image, seen, gap) -> SlotChange | None:
        s = self._settings
        x1, y1, x2, y2 = view.rect_px
        if watched.samples is None or gap < s.same_view:
            if watched.picture is None or at_ns - watched.picture.at_ns > s.keep_picture_s * 1e9:
                watched.picture = SlotPicture(at_ns, image[y1:y2, x1:x2].copy())
            # Follows the light slowly.
            watched.samples = seen if watched.samples is None else 0.7 * watched.samples + 0.3 * seen
            watched.saw(at_ns)
            watched.pending.clear()
            return None
        if watched.pending and self.gap(view, watched.pending[-1][1], seen) >= s.same_view:
            watched.pending.clear()  # something is still moving there
        watched.pending.append((SlotPicture(at_ns, image[y1:y2, x1:x2].copy()), seen))
        lasted_s = (at_ns - watched.pending[0][0].at_ns) / 1e9
        if len(watched.pending) < s.settle_observations or lasted_s < s.settle_s:
            return None
        return self._settle(view, watched)

    def _settle(self, view: SlotView, watched: _Watched) -> SlotChange:
        """The pending look becomes the settled one."""
        first, (picture, seen) = watched.pending[0][0], watched.pending[-1]
        change = SlotChange(
            view, watched.picture, picture, watched.seen_ns, first.at_ns, self.gap(view, watched.samples, seen),
            watched.samples,
        )  # fmt: skip
        watched.picture, watched.samples, watched.since_ns = picture, seen, first.at_ns
        watched.saw(picture.at_ns)
        watched.pending = []
        return change
