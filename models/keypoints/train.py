# SPDX-License-Identifier: AGPL-3.0-or-later
"""Training of the key point network on the people of pose data sets in Ultralytics' form."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml

from models.keypoints.crop import CELLS, SIDE_PX, cut, square_of, warp_to
from models.keypoints.network import KeypointNet, loss_of
from pipeline.errors import WeightsError

_STORED_PX = 176
_STORED_AROUND = 1.35
"""People are kept as pictures with some more around them than is looked at, for turning and moving."""
_LEAST_PX, _LEAST_POINTS = 24.0, 4


class People:
    """Pictures uint8 (N, 176, 176, 3) of single people with their key points (N, 17, 3) in these pictures' pixels."""

    def __init__(self, data: Sequence[Path], split: str = "train") -> None:
        pictures, keypoints = [], []
        for file in data:
            description = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
            folders = description[split]
            for folder in [folders] if isinstance(folders, str) else folders:
                images = Path(description["path"]) / folder
                for image in sorted(images.glob("*.jpg")):
                    for picture, points in _people_in(image):
                        pictures.append(picture)
                        keypoints.append(points)
        if not pictures:
            raise WeightsError(f"{', '.join(map(str, data))}: no people of {_LEAST_PX:.0f} pixels or more in {split!r}")
        self.pictures, self.keypoints = np.stack(pictures), np.stack(keypoints)
        self.flip = np.array(description["flip_idx"])

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, rows: np.ndarray, rng: np.random.Generator | None) -> tuple[torch.Tensor, ...]:
        """Network input, key points in cells (n, 17, 2), flags (n, 17); varied where there is a generator."""
        made = [self._vary(self.pictures[i], self.keypoints[i], rng) for i in rows]
        pictures = torch.from_numpy(np.stack([m[0] for m in made])[..., ::-1].copy()).permute(0, 3, 1, 2)
        points = torch.from_numpy(np.stack([m[1] for m in made]).astype(np.float32))
        return pictures.float() / 255, (points[..., :2] + 0.5) / (SIDE_PX / CELLS) - 0.5, points[..., 2]

    def _vary(
        self, picture: np.ndarray, points: np.ndarray, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        side = _STORED_PX / _STORED_AROUND
        if rng is None:
            square = np.array([_STORED_PX / 2 - 0.5, _STORED_PX / 2 - 0.5, side])
            warp = warp_to(square)
        else:
            moved = side * rng.normal(0, 0.05, 2)
            warp = warp_to(np.array([*(_STORED_PX / 2 - 0.5 + moved), side * np.exp(rng.normal(0.02, 0.11))]))
            turn = np.eye(3)
            turn[:2] = cv2.getRotationMatrix2D((SIDE_PX / 2, SIDE_PX / 2), float(rng.normal(0, 9)), 1.0)
            warp = (turn @ np.vstack([warp, [0, 0, 1]]))[:2]
        picture = cv2.warpAffine(picture, warp, (SIDE_PX, SIDE_PX), borderValue=(114, 114, 114))
        points = np.concatenate([points[:, :2] @ warp[:, :2].T + warp[:, 2], points[:, 2:]], 1)
        if rng is None:
            return picture, points
        if rng.random() < 0.5:
            picture = picture[:, ::-1]
            points = points[self.flip] * [-1, 1, 1] + [SIDE_PX - 1, 0, 0]
        gain = np.exp(rng.normal(0, 0.18)) * np.exp(rng.normal(0, 0.06, 3))
        picture = np.clip((picture - 128.0) * gain + 128 + rng.normal(0, 14), 0, 255).astype(np.uint8)
        if rng.random() < 0.25:  # something before the person: the rest of the body has to tell
            x, y = rng.integers(0, SIDE_PX - 20, 2)
            w, h = rng.integers(10, 48, 2)
            picture[y : y + h, x : x + w] = rng.integers(0, 255, 3)
            hidden = (points[:, 0] >= x) & (points[:, 0] < x + w) & (points[:, 1] >= y) & (points[:, 1] < y + h)
            points = points.copy()
            points[hidden, 2] = np.minimum(points[hidden, 2], 1)
        return picture, points


def _people_in(image_path: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    label_path = image_path.parent.parent.parent / "labels" / image_path.parent.name / f"{image_path.stem}.txt"
    rows = [line.split() for line in label_path.read_text(encoding="utf-8").splitlines()]
    if not rows:
        return
    image = cv2.imread(str(image_path))
    size = np.array(image.shape[1::-1])
    labels = np.array(rows, float).reshape(-1, 5 + 51)
    centre, extent = labels[:, 1:3] * size - 0.5, labels[:, 3:5] * size
    squares = square_of(np.concatenate([centre - extent / 2, centre + extent / 2], 1)) * [1, 1, _STORED_AROUND]
    for square, box, label in zip(squares, extent, labels, strict=True):
        points = label[5:].reshape(17, 3).copy()
        if box.max() < _LEAST_PX or np.count_nonzero(points[:, 2]) < _LEAST_POINTS:
            continue
        warp = warp_to(square, _STORED_PX)
        points[:, :2] = (points[:, :2] * size - 0.5) @ warp[:, :2].T + warp[:, 2]
        yield cut(image, square, _STORED_PX), points


class _Batches(torch.utils.data.Dataset):
    """One epoch's batches, each varied by a generator of its own: the same whoever prepares it, in whatever order."""

    def __init__(self, people: People, order: np.ndarray, batch: int, seed: tuple[int, int]) -> None:
        self._people, self._order, self._batch, self._seed = people, order, batch, seed

    def __len__(self) -> int:
        return len(self._order) // self._batch

    def __getitem__(self, k: int) -> tuple[torch.Tensor, ...]:
        if k >= len(self):
            raise IndexError(k)
        rows = self._order[k * self._batch : (k + 1) * self._batch]
        return self._people.batch(rows, np.random.default_rng([*self._seed, k]))


def train_keypoints(
    data: Sequence[Path],
    out: Path,
    epochs: int,
    batch: int = 64,
    learning_rate: float = 0.003,
    start_from: Path | None = None,
    threads: int | None = None,
    seed: int = 0,
    workers: int = 0,
    progress: Callable[[int, int, dict[str, float]], None] | None = None,
) -> Path:
    """Train on the `train` splits of `data` (each a `data.yaml`) and return `OUT/keypoints.pt`, written every epoch.

    `workers`: processes that prepare batches beside the training; a GPU wants several.

    AdamW, one cosine over all epochs, an exponential mean of the weights; bfloat16 where the CPU has it. `progress`
    gets the loss, and on the validation people the loss and the median error of seen wrists as a share of the side.
    """
    if threads:
        torch.set_num_threads(threads)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    people, held_out = People(data), People(data, "val")
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    net = KeypointNet().to(device, memory_format=torch.channels_last)
    if start_from:
        net.load_state_dict(torch.load(start_from, map_location="cpu", weights_only=True)["weights"])
    mean = copy.deepcopy(net).eval()
    steps_an_epoch = len(people) // batch
    total = epochs * steps_an_epoch
    optimiser = torch.optim.AdamW(net.parameters(), learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda k: min((k + 1) / 100, 0.5 + 0.5 * math.cos(math.pi * min(k / max(total, 1), 1.0))) + 1e-3
    )
    out.mkdir(parents=True, exist_ok=True)
    step = 0
    for epoch in range(1, epochs + 1):
        net.train()
        batches, losses = _Batches(people, rng.permutation(len(people)), batch, (seed, epoch)), []
        for made in torch.utils.data.DataLoader(batches, batch_size=None, num_workers=workers):
            pictures, cells, flags = (x.to(device) for x in made)
            with torch.autocast(device.type, dtype=torch.bfloat16):
                maps, seen = net(pictures.contiguous(memory_format=torch.channels_last))
            loss = loss_of(maps, seen, cells, flags)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 5.0)
            optimiser.step()
            schedule.step()
            step += 1
            _follow(mean, net, min(0.999, (1 + step) / (10 + step)))
            losses.append(float(loss.detach()))
        weights = {name: value.cpu() for name, value in mean.state_dict().items()}
        torch.save({"weights": weights, "license": "AGPL-3.0-or-later"}, out / "keypoints.pt")
        if progress is not None:
            progress(epoch, epochs, {"loss": float(np.mean(losses)), **_figures(mean, held_out, device)})
    return out / "keypoints.pt"


@torch.no_grad()
def _follow(mean: KeypointNet, net: KeypointNet, keep: float) -> None:
    for ours, theirs in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
        if ours.dtype.is_floating_point:
            ours.lerp_(theirs, 1 - keep)
        else:
            ours.copy_(theirs)


@torch.no_grad()
def _figures(net: KeypointNet, people: People, device: torch.device) -> dict[str, float]:
    from models.keypoints.crop import keypoints_of
    from pipeline.messages import LEFT_WRIST, RIGHT_WRIST

    losses, errors = [], []
    whole = np.array([[0.0, 0.0, 1.0]])
    for k in range(0, min(len(people), 1000), 100):
        pictures, cells, flags = (x.to(device) for x in people.batch(np.arange(k, min(k + 100, len(people))), None))
        maps, seen = net(pictures)
        losses.append(float(loss_of(maps, seen, cells, flags)))
        found = keypoints_of(maps.cpu().numpy(), seen.cpu().numpy(), np.repeat(whole, len(pictures), 0))
        truth = (cells.cpu().numpy() + 0.5) / CELLS - 0.5
        away = np.linalg.norm(found[..., :2] - truth, axis=-1)[:, [LEFT_WRIST, RIGHT_WRIST]]
        errors += away[flags.cpu().numpy()[:, [LEFT_WRIST, RIGHT_WRIST]] == 2].tolist()
    return {"val_loss": float(np.mean(losses)), "wrist_error": float(np.median(errors)) if errors else float("nan")}
