"""The networks: invertible, conditioned, causal, deterministic."""

from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_training.export.niki import example_inputs
from niki_training.networks.flow import Coupling, Flow
from niki_training.networks.niki import MlpNet, NetConfig, NikiNet
from niki_training.networks.swing import bone_axes, swing_twist
from niki_training.networks.temporal import TemporalNet
import numpy as np
import pytest
import torch

SMALL = {'blocks': 4, 'hidden': 32, 'twist_blocks': 4, 'twist_hidden': 32, 'temporal_blocks': 4,
         'temporal_hidden': 32, 'attention': 16}


def shaken(net, seed=0):
    """Give every weight a random value, so that nothing is the identity by chance."""
    torch.manual_seed(seed)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return net.eval()


def inputs(kind, count=5):
    return [torch.from_numpy(v) for v in example_inputs(kind, count).values()]


def test_coupling_log_det_is_autograds():
    block = shaken(Coupling(3, 2, 1, 8)).double()
    a, b, c = (torch.randn(1, n, dtype=torch.float64) for n in (3, 2, 1))
    out, log_det = block(a, b, c)
    jacobian = torch.autograd.functional.jacobian(lambda x: block(x, b, c)[0], a)[0, :, 0]
    assert torch.linalg.slogdet(jacobian)[1].item() == pytest.approx(log_det.item(), abs=1e-6)
    assert torch.allclose(block.inverse(out, b, c), a, atol=1e-9)


def test_flow_goes_there_and_back():
    flow = shaken(Flow(20, 9, 3, 6, 16))
    x, c = torch.randn(7, 20), torch.randn(7, 3)
    assert torch.allclose(flow.inverse(flow(x, c)[0], c), x, atol=1e-4)


@pytest.mark.parametrize('kind', ['one_stage', 'two_stage', 'temporal'])
def test_generate_of_solve_is_the_observation(kind):
    config = NetConfig(kind=kind, **SMALL)
    net = shaken(TemporalNet(config) if kind == 'temporal' else NikiNet(config))
    joints, sigma, condition, twist, *state = inputs(kind)
    with torch.no_grad():
        poses = net.solve(joints, sigma, condition, twist, *state)
        poses = poses[0] if state else poses
        back = net.generate(poses.rot6d, poses.size, poses.z, sigma, condition, *state)
    assert torch.allclose(back[0], joints, atol=1e-3)
    assert torch.allclose(back[1], sigma, atol=1e-3)
    assert back[2].abs().max() < 1e-3, 'the pad is zeros'
    if kind != 'one_stage':
        assert torch.allclose(back[3], twist, atol=1e-3)


def test_shape_conditions():
    net = shaken(NikiNet(NetConfig(**SMALL)))
    joints, sigma, condition, _ = inputs('two_stage')
    other = condition.clone()
    other[:, :10] += 1
    with torch.no_grad():
        assert (net.solve(joints, sigma, condition).rot6d
                - net.solve(joints, sigma, other).rot6d).abs().max() > 1e-3


def test_temporal_starts_as_the_frame_network_and_looks_back_only():
    net = TemporalNet(NetConfig(kind='temporal', **SMALL))
    joints, sigma, condition, twist, turn, past = inputs('temporal')
    with torch.no_grad():
        first, _ = net.solve(joints, sigma, condition, twist, turn, past)
        assert torch.allclose(first.rot6d, net.frame.solve(joints, sigma, condition, twist).rot6d)
        shaken(net)
        now, state = net.solve(joints, sigma, condition, twist, turn, past)
        absent = past * 0
        other, _ = net.solve(joints, sigma, condition, twist, turn, absent)
    assert (now.rot6d - other.rot6d).abs().max() > 1e-4
    assert torch.equal(state[:, :-1], past[:, 1:])


def test_regression_baseline_has_the_same_answer_form():
    net = MlpNet(NetConfig(kind='mlp', blocks=4, hidden=32))
    poses = net.solve(*inputs('mlp')[:3])
    assert poses.rotmat.shape == (5, 24, 3, 3)


def test_swing_times_twist_is_the_rotation():
    skeleton, rng = open_skeleton(), np.random.default_rng(1)
    axes = torch.tensor(bone_axes(skeleton.rest_joints_m), dtype=torch.float32)
    rotmat = torch.tensor(rotmat_from_rotvec(rng.normal(size=(6, 24, 3)) * 0.7)).float()
    swing, twist = swing_twist(rotmat, axes)
    turned = (rotmat @ axes[:, :, None])[..., 0]
    assert torch.allclose((swing @ axes[:, :, None])[..., 0], turned, atol=1e-4)
    assert torch.allclose(twist.square().sum(-1), torch.ones(6, 23), atol=1e-3)
