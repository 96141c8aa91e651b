"""The lift of a crop's keypoints: the lifter at first, trained by simulated keypoints as well."""

from dataclasses import replace

from drawn_crops import DrawnCrops, posed_joints_m
from niki_ros.body.skeleton import JOINT
from niki_ros.lifters.window import AGES_S
from niki_ros.models.model_store import find_model
from niki_training.lift.export import load_lifter
from niki_training.look.crop_batches import crop_tensors
from niki_training.look.network import HEADS, LookConfig, LookNet
from niki_training.look.simulated_keypoints import SimulatedKeypoints
import numpy as np
import pytest
import torch

NETWORK = LookConfig(size='lite', width=32, error_width=16)
BONES = (('hip', 'knee'), ('knee', 'ankle'), ('shoulder', 'elbow'), ('elbow', 'wrist'))


@pytest.fixture(scope='module')
def truth():
    return crop_tensors(DrawnCrops(12)[np.arange(12)], 'cpu')


@pytest.fixture(scope='module')
def drawn(truth):
    return SimulatedKeypoints().draw(truth, 3)


def lifted_by_the_lifter(keypoints):
    """Return joints and twist of keypoints that are seen in one image, of people 4 m away."""
    net, count = load_lifter(find_model('lift').path), len(keypoints.uv)
    shapes = (count, len(AGES_S), 21, 2), (count, len(AGES_S), 21), (count, len(AGES_S), 21)
    window = [torch.zeros(shape) for shape in shapes]
    for own, value in zip(window, keypoints):
        own[:, 0] = value
    with torch.no_grad():
        return net(*window, torch.zeros(count, 2))


@pytest.mark.parametrize('head', HEADS)
def test_before_training_it_says_what_the_lifter_says(drawn, head):
    keypoints = drawn[0]
    net = LookNet(replace(NETWORK, head=head)).eval()
    with torch.no_grad():
        found = net.lift_keypoints(keypoints)
    wanted = lifted_by_the_lifter(keypoints)
    for near, far in BONES:
        near, far = JOINT[f'left_{near}'], JOINT[f'left_{far}']
        old, new = (joints[:, far] - joints[:, near] for joints in (wanted.joints_m,
                                                                    found.joints_m))
        cosine = torch.nn.functional.cosine_similarity(old, new, dim=-1)
        # the lifter also knows how near a person is
        assert cosine.median() > 0.98
    assert (found.twist - wanted.twist).abs().median() < 0.05


def test_simulated_people_are_those_of_their_rotations(drawn):
    _, own = drawn
    joints_m = posed_joints_m(own['rotmat'], own['betas'])
    np.testing.assert_allclose(own['joints_m'], joints_m, atol=1e-5)


def test_simulated_keypoints_are_near_their_joints_in_upright_crops(drawn):
    keypoints, own = drawn
    seen = keypoints.seen[:, 2:6].min(1).values > 0.9
    assert 0.2 < seen.float().mean() < 0.95
    legs = [JOINT[f'{side}_{name}'] for name in ('knee', 'ankle') for side in ('left', 'right')]
    hips_m = own['joints_m'][:, 1:3].mean(1, keepdim=True)
    flat = (own['joints_m'][:, legs] - hips_m)[..., :2]
    uv = keypoints.uv[:, 2:6] - keypoints.uv[:, :2].mean(1, keepdim=True)
    scale = (uv * flat).sum((1, 2)) / flat.square().sum((1, 2))
    off = (uv - scale[:, None, None] * flat).norm(dim=-1) / (scale[:, None] * flat.norm(dim=-1))
    assert off[seen].median() < 0.2
    shoulders_up = -(keypoints.uv[:, 6:8].mean(1) - keypoints.uv[:, :2].mean(1))
    lean = torch.atan2(shoulders_up[:, 0], shoulders_up[:, 1])
    assert lean.abs().median() < 0.25


def test_simulated_keypoints_depend_on_their_number_alone(truth, drawn):
    torch.manual_seed(7)
    before = torch.rand(3)
    torch.manual_seed(7)
    again = SimulatedKeypoints().draw(truth, 3)
    assert torch.equal(before, torch.rand(3))
    assert all(torch.equal(one, other) for one, other in zip(again[0], drawn[0]))
    other = SimulatedKeypoints().draw(truth, 4)
    assert not torch.equal(other[0].uv, drawn[0].uv)


def test_nobody_is_simulated_from_empty_scenes(truth):
    keypoints, own = SimulatedKeypoints().draw({**truth, 'present': torch.zeros(12)}, 0)
    assert len(keypoints.uv) == len(own['rotmat']) == 0
    found = LookNet(NETWORK).lift_keypoints(keypoints)
    assert len(found.joints_m) == 0
