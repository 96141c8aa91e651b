"""The lifter: its training batches, its training, and its exported graph."""

import json

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KeypointRays, KEYPOINTS, MIRROR_KEYPOINTS
from niki_ros.body.observation import JointObservation
from niki_ros.body.skeleton import JOINT, MIRROR_29, open_skeleton
from niki_ros.common.errors import InputError, ModelError
from niki_ros.lifters.lifter import Lifter
from niki_ros.lifters.window import AGES_S, LiftWindow
from niki_ros.solvers import shipped_models
from niki_training.cli.export import main as export_main
from niki_training.lift.data import keypoint_leaves, LiftBatches, PIECE_FRAMES
from niki_training.lift.export import load_lifter
from niki_training.lift.network import MirroredLift
from niki_training.lift.train import LiftTrainer, mean_error_mm
import numpy as np
import pytest
import torch

LIMBS = slice(0, 12)


def test_keypoints_without_errors_are_projections_of_the_joints(moving):
    batch = LiftBatches(moving, open_skeleton(), 4, errors=False).draw(np.random.default_rng(0))
    rays = batch.windows.rays[:, 0]
    hips = rays[:, :2].mean(1)
    # a camera that points at the hips sees them in its middle
    assert hips.abs().max() < 0.1
    # landmarks lie within 4 cm of their joints: nearly the same directions from the hips
    joints = batch.joints_m[:, JOINT_OF_KEYPOINT[LIMBS]]
    across = joints[..., :2] - joints[:, :2, :2].mean(1, keepdim=True)
    seen = rays[:, LIMBS] - rays[:, :2].mean(1, keepdim=True)
    scale = (across * seen).sum((1, 2), True) / (seen * seen).sum((1, 2), True)
    assert (scale * seen - across).norm(dim=-1).median() < 0.05
    assert (batch.windows.seen[batch.windows.seen > 0] == 1).all()
    assert np.allclose(batch.twist.norm(dim=-1), 1.0, atol=1e-3)
    assert batch.joints_m[:, 0].abs().max() == 0


def test_errors_last_and_flicker_and_hide(moving):
    assert PIECE_FRAMES > AGES_S[-1] * 30 + 2, 'windows fit into a piece'
    batches = LiftBatches(moving, open_skeleton(), 8)
    batch = batches.draw(np.random.default_rng(1))
    assert batch.windows.rays.shape == (64, len(AGES_S), len(KEYPOINTS), 2)
    assert torch.isfinite(batch.windows.rays).all()
    assert 0.05 < float((batch.windows.seen < 0.5).float().mean()) < 0.6
    again = batches.draw(np.random.default_rng(1))
    assert torch.equal(batch.windows.rays, again.windows.rays)


def test_leaves_are_mirror_images():
    bones, joints, offsets = keypoint_leaves()
    left, right = KEYPOINTS.index('left_heel'), KEYPOINTS.index('right_heel')
    assert bones[left] == JOINT['left_ankle'] and joints[right] == JOINT['right_ankle']
    assert np.allclose(offsets[left] * [-1, 1, 1], offsets[right])


@pytest.fixture(scope='module')
def trained(moving, tmp_path_factory):
    """Return the folder of a training of a narrow network, its error before and after, in mm."""
    folder = tmp_path_factory.mktemp('lift')
    batches = LiftBatches(moving, open_skeleton(), 4)
    trainer = LiftTrainer(batches, folder, 10.0, width=64, blocks=1, steps=60,
                          licence='made for this test')
    before = mean_error_mm(trainer.average, batches, 2)
    trainer.run()
    return folder, before, mean_error_mm(trainer.average, batches, 2)


def test_it_learns_and_goes_on(trained, moving):
    folder, before, after = trained
    assert after < 0.8 * before
    batches = LiftBatches(moving, open_skeleton(), 8)
    assert LiftTrainer(batches, folder, 10.0, width=64, blocks=1).step == 60
    with pytest.raises(InputError, match='last.pt'):
        LiftTrainer(batches, folder, 0.1, width=32, blocks=1)


def test_the_exported_graph_lifts_as_the_network_does(trained, tmp_path):
    folder = trained[0]
    assert export_main([str(folder / 'last.pt'), str(tmp_path / 'mine')]) == 0
    manifest = json.loads((tmp_path / 'mine' / 'manifest.json').read_text())
    assert 'made for this test' in manifest['training_data']
    lifter, net = Lifter(tmp_path / 'mine'), MirroredLift(load_lifter(folder / 'last.pt'))
    rng = np.random.default_rng(0)
    rays = np.concatenate([rng.normal(size=(21, 2)) * 0.2 + [0.3, 0.1], np.ones((21, 1))], 1)
    one = JointObservation(np.zeros((29, 3)), np.full(29, 0.3), np.zeros((29, 2)), np.zeros(4),
                           1.0, np.ones(29), keypoint_rays=KeypointRays(
                               rays, np.full(21, 0.9), rng.normal(size=(21, 3)) * 0.2))
    window = LiftWindow()
    found = lifter.lift([window], [one], 0)[0]
    given = window.at_ages()
    with torch.no_grad():
        wanted = net(*(torch.as_tensor(value, dtype=torch.float32)[None]
                       for value in given[:4])).joints_m[0].numpy()
    assert np.abs(found.joints_m - wanted @ given.camera_from_view.T).max() < 2e-4
    assert np.allclose(np.linalg.norm(found.twist_cos_sin, axis=-1), 1.0)
    assert np.allclose(found.own_sigma_200mm, 0.3) and (found.sigma_200mm > 0).all()
    assert lifter.describe()['lifter'] == 'mine'


def test_a_mirror_image_is_lifted_as_one(trained):
    net, rng = MirroredLift(load_lifter(trained[0] / 'last.pt')), np.random.default_rng(0)
    rays, seen = rng.normal(size=(2, 16, 21, 2)) * 0.2, rng.random((2, 16, 21))
    guess, heading = rng.normal(size=(2, 16, 21)) * 0.2, rng.normal(size=(2, 2))
    flip = np.array([-1, 1])
    given = rays, seen, guess, heading
    mirrored = (rays[:, :, MIRROR_KEYPOINTS] * flip, seen[:, :, MIRROR_KEYPOINTS],
                guess[:, :, MIRROR_KEYPOINTS], heading * flip)
    with torch.no_grad():
        one, other = (net(*(torch.as_tensor(value, dtype=torch.float32) for value in way))
                      for way in (given, mirrored))
    sides = list(MIRROR_29)
    assert np.allclose(other.joints_m[:, sides].numpy() * [-1, 1, 1], one.joints_m, atol=1e-5)
    assert np.allclose(other.spread_m[:, sides], one.spread_m, atol=1e-5)


def test_another_model_is_refused(tmp_path):
    with pytest.raises(ModelError, match='lift'):
        Lifter(shipped_models() / 'niki-temporal')
