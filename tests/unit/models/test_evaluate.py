# SPDX-License-Identifier: AGPL-3.0-or-later
import numpy as np
import pytest
import torch

from calibration.boxes import box_iou
from models.evaluate import against_network, greedy_matches
from models.train import HeavyTailKeypointLoss
from pipeline.errors import CaptureError


def test_iou_of_known_boxes():
    a = np.array([[0, 0, 10, 10], [20, 20, 30, 30]], float)
    b = np.array([[0, 0, 10, 10], [5, 0, 15, 10]], float)
    assert box_iou(a, b) == pytest.approx(np.array([[1, 1 / 3], [0, 0]]))


def test_every_given_box_stands_for_one_wanted_box_only():
    wanted = np.array([[0, 0, 10, 10], [1, 0, 11, 10]], float)
    given = np.array([[1, 0, 11, 10]], float)
    assert greedy_matches(wanted, given).tolist() == [-1, 0]
    assert greedy_matches(wanted, given[:0]).tolist() == [-1, -1]


def test_a_file_that_is_no_video_is_named(tmp_path):
    file = tmp_path / "no.mp4"
    file.write_bytes(b"nothing")
    with pytest.raises(CaptureError, match=r"no\.mp4"):
        against_network(None, None, [file])


def test_the_key_point_loss_pulls_where_the_exponential_one_is_flat():
    loss = HeavyTailKeypointLoss(torch.full((17,), 0.05))
    wanted = torch.zeros(1, 17, 3)
    mask, area = torch.ones(1, 17), torch.full((1, 1), 100.0)
    far = torch.full((1, 17, 3), 30.0, requires_grad=True)
    loss(far, wanted, mask, area).backward()
    assert far.grad[..., :2].min() > 1e-4
    near = torch.full((1, 17, 3), 0.01)
    exponent = (2 * 0.01**2) / ((2 * 0.05) ** 2 * 100 * 2)
    assert loss(near, wanted, mask, area).item() == pytest.approx(exponent, rel=1e-3)


def test_key_points_without_a_label_do_not_count():
    loss = HeavyTailKeypointLoss(torch.full((17,), 0.05))
    mask = torch.zeros(1, 17)
    mask[0, 0] = 1
    predicted = torch.zeros(1, 17, 3)
    predicted[0, 1:] = 1000
    assert loss(predicted, torch.zeros(1, 17, 3), mask, torch.full((1, 1), 100.0)).item() == 0
