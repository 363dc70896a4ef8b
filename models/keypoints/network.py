# SPDX-License-Identifier: AGPL-3.0-or-later
"""The network: a map a key point (Xiao et al., Simple Baselines for Human Pose Estimation, ECCV 2018), small.

A one-stage pose network regresses key points from a single cell of its features, which takes hundreds of epochs of
COCO to learn. A map that says where in a person's own square each key point is learns from some ten thousand people.
"""

from __future__ import annotations

import torch
from torch import nn
from ultralytics.nn.modules import C2f, Conv

from models.keypoints.crop import CELLS

POINTS = 17


class KeypointNet(nn.Module):
    """float (N, 3, 128, 128) RGB in [0, 1] to logits of maps (N, 17, 32, 32) and of being seen (N, 17)."""

    def __init__(self, widths: tuple[int, ...] = (24, 48, 96, 160, 224)) -> None:
        super().__init__()
        a, b, c, d, e = widths
        self.down4 = nn.Sequential(Conv(3, a, 3, 2), Conv(a, b, 3, 2), C2f(b, b, 1, True))
        self.down8 = nn.Sequential(Conv(b, c, 3, 2), C2f(c, c, 2, True))
        self.down16 = nn.Sequential(Conv(c, d, 3, 2), C2f(d, d, 2, True))
        self.down32 = nn.Sequential(Conv(d, e, 3, 2), C2f(e, e, 1, True))
        self.side16, self.up16 = Conv(e, d, 1), C2f(d, d, 1, True)
        self.side8, self.up8 = Conv(d, c, 1), C2f(c, c, 1, True)
        self.side4, self.up4 = Conv(c, b, 1), C2f(b, 64, 1, True)
        self.maps = nn.Conv2d(64, POINTS, 1)
        self.seen = nn.Linear(e, POINTS)
        self.larger = nn.Upsample(scale_factor=2, mode="nearest")

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x4 = self.down4(pictures)
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        x32 = self.down32(x16)
        up = self.up16(self.larger(self.side16(x32)) + x16)
        up = self.up8(self.larger(self.side8(up)) + x8)
        up = self.up4(self.larger(self.side4(up)) + x4)
        return self.maps(up), self.seen(x32.mean((2, 3)))


def loss_of(maps: torch.Tensor, seen: torch.Tensor, cells_xy: torch.Tensor, flags: torch.Tensor) -> torch.Tensor:
    """Cross entropy between each map and a normal distribution of one cell around the truth, plus that of being seen.

    `cells_xy`: (N, 17, 2) in cells. `flags`: (N, 17) as in COCO; hidden ones (1) count half, unlabelled ones (0) not.
    """
    grid = torch.arange(CELLS, device=maps.device, dtype=torch.float32)
    dx = (grid - cells_xy[..., :1]).square()
    dy = (grid - cells_xy[..., 1:]).square()
    target = torch.softmax((-(dy[..., :, None] + dx[..., None, :]) / 2).flatten(2), -1)
    entropy = -(target * torch.log_softmax(maps.float().flatten(2), -1)).sum(-1)
    inside = ((cells_xy > -0.5) & (cells_xy < CELLS - 0.5)).all(-1)
    weight = torch.tensor([0.0, 0.5, 1.0], device=maps.device)[flags.long()] * inside
    where = (weight * entropy).sum() / weight.sum().clamp(min=1)
    whether = nn.functional.binary_cross_entropy_with_logits(seen.float(), ((flags > 0) & inside).float())
    return where + whether
