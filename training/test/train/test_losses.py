"""Losses: each has a weight, and a weight scales its gradient."""

from niki_ros.body.skeleton import open_skeleton
from niki_training.data.batches import Batches
from niki_training.networks.swing import bone_axes
from niki_training.train.checkpoint import build_net
from niki_training.train.losses import LossConfig, mmd, weighted_sum
from niki_training.train.trainer import SolverLosses
import numpy as np
import pytest
from small_runs import small_config
import torch


@pytest.fixture(scope='module', params=['two_stage', 'temporal'])
def gradient_of(request, motion):
    """Return a function from weights of losses to the gradient of one batch."""
    config = small_config(request.param, clean_share=0.25)
    frames = config.frames if request.param == 'temporal' else 1
    batch = Batches(motion, open_skeleton(), config.batch, frames, clean_share=0.25).draw(
        np.random.default_rng(3))
    batch = {key: torch.from_numpy(value) for key, value in batch.items()}
    axes = torch.tensor(bone_axes(open_skeleton().rest_joints_m), dtype=torch.float32)
    torch.manual_seed(0)
    net = build_net(config.net)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    losses = SolverLosses(net, config, axes, clean=4)

    def gradient(**weights):
        net.zero_grad()
        torch.manual_seed(0)
        weighted_sum(losses(batch), LossConfig(**weights)).backward()
        return torch.cat([p.grad.flatten() for p in net.parameters() if p.grad is not None])

    return gradient


@pytest.mark.parametrize('name', ['zero', 'boundary', 'independence', 'prior', 'joints'])
def test_every_loss_can_be_switched_off_and_pulls(gradient_of, name):
    pull = gradient_of(**{name: 1.0}) - gradient_of(**{name: 0.0})
    assert torch.isfinite(pull).all() and pull.norm() > 1e-4
    half = gradient_of(**{name: 0.5}) - gradient_of(**{name: 0.0})
    np.testing.assert_allclose(half, pull / 2, atol=2e-5 * float(pull.abs().max()) + 1e-6)


def test_mmd_tells_samples_apart():
    torch.manual_seed(0)
    a, b = torch.randn(200, 8), torch.randn(200, 8)
    assert mmd(a, b) < 0.05 < mmd(a, b * 0.1)
