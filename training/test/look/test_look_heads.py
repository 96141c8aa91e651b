"""The trunk is the landmark graph, and the new heads start with what its heads say."""

from dataclasses import replace

from frontend_fixture import crop, CROPS, network_input
from niki_ros.backends import load_engine
from niki_ros.body.skeleton import JOINT, open_skeleton
from niki_ros.common.errors import ConfigError, ModelError
from niki_ros.models.model_store import find_model
from niki_training.look.landmarks import JointsOfLandmarks, LandmarkNet, OLD_OUTPUTS
from niki_training.look.network import HEADS, LookConfig, LookNet
from niki_training.look.pose import PoseLayer
from niki_training.look.starts import joint_map
from niki_training.look.trunk import Trunk
from niki_training.networks.kinematic import BODY_LAYER, rotmat_from_rot6d
import numpy as np
import pytest
import torch

SIZES = ('lite', 'full', 'heavy')
OUTPUTS = ('landmarks', 'world', 'flag')
LITE = LookConfig(size='lite', width=32, error_width=16)


@pytest.fixture(scope='module')
def images():
    return torch.from_numpy(np.concatenate([network_input(crop(seed)) for seed in range(CROPS)]))


@pytest.mark.parametrize('size', SIZES)
def test_the_trunk_is_the_graph(images, size):
    folder = find_model(f'landmarks-{size}')
    trunk = Trunk(folder, OUTPUTS)
    with torch.no_grad():
        found = trunk(images)
    wanted = load_engine(folder.path, threads=1).run({'image': images.numpy()})
    for name in OUTPUTS:
        scale = max(np.abs(wanted[name]).max(), 1.0)
        assert np.abs(found[name].numpy() - wanted[name]).max() < 1e-4 * scale


@pytest.mark.parametrize('side', [16, 8])
def test_frozen_layers_run_apart_and_have_no_gradient(images, side):
    trunk = Trunk(find_model('landmarks-full'), ('world',))
    whole = trunk(images)['world']
    trunk.freeze_below(trunk.last_of_side(side, narrowest=True))
    assert torch.allclose(trunk.upper(trunk.lower(images))['world'], whole, atol=1e-5)
    trunk(images)['world'].sum().backward()
    trained = {parameter.requires_grad for parameter in trunk.parameters()}
    assert trained == {False, True}
    assert all((p.grad is not None) == p.requires_grad for p in trunk.parameters())
    crossing = trunk.crossing
    assert len(crossing) == 1 and trunk.shapes[crossing[0]][1:] == (side, side)


@pytest.mark.parametrize('side', [16, 8])
def test_little_crosses_the_cut_of_a_trunk_that_goes_down_twice(side):
    trunk = LookNet(LookConfig(size='heavy', width=8)).trunk
    trunk.freeze_below(trunk.last_of_side(side, narrowest=True))
    assert sum(np.prod(trunk.shapes[name]) for name in trunk.crossing) < 65_000


def test_an_unknown_tensor_is_an_error_that_names_those_there_are():
    folder = find_model('landmarks-lite')
    with pytest.raises(ModelError, match='no tensor t999_clip.*landmarks'):
        Trunk(folder, ('t999_clip',))
    with pytest.raises(ModelError, match="no tensor 'p3'.*t285_clip"):
        Trunk(folder, OUTPUTS, 'p3')


@pytest.mark.parametrize('size', SIZES)
def test_the_landmark_network_is_the_one_that_ships(images, size):
    found = LandmarkNet(size)(images)
    wanted = load_engine(find_model(f'landmarks-{size}').path, threads=1).run(
        {'image': images.numpy()})
    for name, count in OLD_OUTPUTS.items():
        scale = max(np.abs(wanted[name]).max(), 1.0)
        assert found[name].shape == (CROPS, count)
        assert np.abs(found[name].numpy() - wanted[name]).max() < 1e-4 * scale


@pytest.mark.parametrize('head', HEADS)
def test_new_heads_start_with_the_old_ones(images, head):
    net = LookNet(replace(LITE, head=head, lifts=False)).eval()
    with torch.no_grad():
        found = net(images)
    marks = found.landmarks.unflatten(1, (39, 5))[:, :33]
    peaks = found.peaks.unflatten(1, (33, 3))
    world_m = found.world.unflatten(1, (39, 3))[:, :33].numpy()
    uv = joint_map() @ ((marks[..., :2] + peaks[..., :2]).numpy() / 256 - 0.5)
    np.testing.assert_allclose(found.uv.numpy(), uv, atol=1e-4)
    joints_m = joint_map() @ world_m
    joints_m -= joints_m[:, :1]
    if net.direct:
        assert found.rot6d is None and found.betas is None
        np.testing.assert_allclose(found.joints_m.numpy(), joints_m, atol=1e-5)
    else:
        # the same directions of the limbs, and the bones of the mean body
        for near, far in (('hip', 'knee'), ('knee', 'ankle'), ('elbow', 'wrist')):
            near, far = JOINT[f'left_{near}'], JOINT[f'left_{far}']
            old, new = (joints[:, far] - joints[:, near]
                        for joints in (joints_m, found.joints_m.numpy()))
            length = np.linalg.norm(new, axis=-1)
            np.testing.assert_allclose(length, open_skeleton().bone_lengths()[far], atol=1e-5)
            cosine = (old * new).sum(-1) / length / np.linalg.norm(old, axis=-1)
            assert (cosine > 0.9999).all()
    flag = found.flag[:, 0].clamp(0.01, 0.99)
    np.testing.assert_allclose(torch.sigmoid(found.present), flag, atol=1e-5)
    assert torch.equal(found.twist[..., 0], torch.ones(CROPS, 23))


def test_a_joint_is_as_visible_as_the_lower_one_of_network_and_heat_map_says():
    old = {name: torch.zeros(3, count) for name, count in OLD_OUTPUTS.items()}
    marks, peaks = old['landmarks'].view(3, 39, 5), old['peaks'].view(3, 33, 3)
    marks[..., 3:], peaks[..., 2] = 3.0, 0.9
    marks[1, :, 3], peaks[2, :, 2] = -2.0, 0.0
    visible = JointsOfLandmarks(direct=True)(old).visible.sigmoid()
    for row, wanted in enumerate((torch.tensor(3.0).sigmoid(), torch.tensor(-2.0).sigmoid(),
                                  0.01)):
        torch.testing.assert_close(visible[row], torch.full((29,), float(wanted)))


def test_expected_errors_rise_as_visibility_falls_and_do_not_train_the_features(images):
    net = LookNet(LITE)
    found = net(images)
    order = found.visible.flatten().argsort()
    assert found.uv_sigma.flatten()[order[0]] > 2 * found.uv_sigma.flatten()[order[-1]]
    assert found.joints_sigma_m.min() > 0.003 and found.uv_sigma.min() > 0.002
    (found.joints_sigma_m.sum() + found.uv_sigma.sum()).backward()
    assert {name for name, p in net.named_parameters() if p.grad is not None} == {
        name for name, _ in net.named_parameters() if name.startswith('errors.')}


def test_vectors_at_rest_are_no_rotation():
    rest = open_skeleton().rest_joints_m
    layer = PoseLayer()
    columns = layer.rest_inverse.transpose(-1, -2)
    vectors = columns[None, :, :, :2].transpose(-1, -2)
    rot6d, joints_m = layer(vectors, torch.zeros(1, 10))
    np.testing.assert_allclose(rotmat_from_rot6d(rot6d)[0], np.broadcast_to(np.eye(3), (24, 3, 3)),
                               atol=1e-5)
    np.testing.assert_allclose(joints_m[0], rest, atol=1e-5)


def test_joints_are_those_of_the_kinematic_layer():
    torch.manual_seed(0)
    layer, betas = PoseLayer(), torch.randn(8, 10)
    rot6d, joints_m = layer(torch.randn(8, 24, 2, 3), betas)
    offsets_m = torch.tensor(open_skeleton().offsets(betas.double().numpy())).float()
    assert (BODY_LAYER(rotmat_from_rot6d(rot6d), offsets_m) - joints_m).abs().max() < 1e-5


def test_gradients_stay_finite_where_a_vector_is_zero():
    vectors = torch.zeros(1, 24, 2, 3, requires_grad=True)
    _, joints_m = PoseLayer()(vectors, torch.zeros(1, 10))
    joints_m.sum().backward()
    assert vectors.grad.isfinite().all()


@pytest.mark.parametrize('wrong', [{'head': 'both'}, {'size': 'huge'}, {'width': 0}])
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(ConfigError, match=f'{next(iter(wrong))} is'):
        LookNet(replace(LITE, **wrong))


def test_the_first_steps_of_an_optimiser_keep_the_start(images):
    people = images[:2]  # there is nobody in the last one, where a rotation is anything
    net = LookNet(replace(LITE, width=768, lifts=False))
    old = [*net.trunk.parameters()]
    new = [p for part in (net.hidden, net.out, net.errors) for p in part.parameters()]
    groups = [{'params': old, 'lr': 3e-5}, {'params': new, 'lr': 1e-3}]
    before = net(people)
    (before.uv.sum() + before.joints_m.sum() + before.visible.sum()).backward()
    torch.optim.Adam(groups).step()
    with torch.no_grad():
        after = net(people)
    assert 0 < (after.uv - before.uv).abs().mean() < 0.05
    assert 0 < (after.joints_m - before.joints_m).abs().mean() < 0.05
