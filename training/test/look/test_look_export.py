"""An exported network is the network, and before training it observes what landmarks observe."""

from dataclasses import asdict, replace

from niki_ros.benchmarks.check_images import check_images
from niki_ros.common.errors import ModelError
from niki_ros.models.model_folder import read_model_folder
from niki_ros.models.model_store import find_model
from niki_ros.observers.landmark_network import LandmarkNetwork
from niki_ros.observers.look_network import LookNetwork, OUTPUTS
from niki_ros.scene.camera import Camera
from niki_training.look import export as look_export
from niki_training.look.checkpoint import write_checkpoint
from niki_training.look.export import write_look
from niki_training.look.network import LookConfig, LookNet
from niki_training.look.settings import LookTrainConfig
from niki_training.look.train import LookTrainer
import numpy as np
import onnx
import pytest
import torch

LIMBS = [1, 2, 4, 5, 7, 8, 16, 17, 18, 19, 20, 21]
LITE = LookConfig(size='lite', width=32, error_width=16)


def net_of(head: str) -> LookNet:
    """Return a network; one with direct joints begins with those of the landmark network."""
    return LookNet(replace(LITE, head=head, lifts=head != 'direct joint'))


@pytest.fixture(scope='module')
def folders(tmp_path_factory):
    """Model folders of untrained networks with two heads."""
    root = tmp_path_factory.mktemp('look')
    return {head: write_look(net_of(head), root / head, 'look-lite', {'training_data': 'none'})
            for head in ('direct joint', 'kinematic')}


@pytest.fixture(scope='module')
def people():
    """Return photographs with a camera and the boxes of people."""
    images = [one for one in check_images() if len(one.boxes_px)]
    return [(one.image_rgb, Camera.from_fov(one.image_rgb.shape[1], one.image_rgb.shape[0], 60.0),
             one.boxes_px) for one in images]


def observed(network, people, looks=3):
    """Return the estimates of all people, in the crop that the looks before give."""
    found = []
    for image, camera, boxes in people:
        crops = [network.crop_of(box, camera) for box in boxes]
        for _ in range(looks):
            estimates = network.estimate(image, camera, crops)
            crops = [one.next_crop for one in estimates]
        found += estimates
    network.close()
    return found


def test_a_checkpoint_of_another_training_is_refused(tmp_path):
    torch.save({'kind': 'lift'}, tmp_path / 'lift.pt')
    with pytest.raises(ModelError, match='no checkpoint of niki-train look'):
        look_export.export_look(tmp_path / 'lift.pt', tmp_path / 'x', 'x')


@pytest.mark.long
def test_a_run_begins_with_the_weights_of_a_model_folder(folders, tmp_path):
    net = net_of('kinematic')
    torch.manual_seed(0)
    with torch.no_grad():
        for layer in (net.out, net.lift.image, net.errors.layers[2]):
            for own in layer.parameters():
                own += 1e-3 * torch.randn_like(own)
    record = {'kind': 'look', 'network': asdict(net.config), 'average': net.state_dict(),
              'total_steps': 5, 'total_seconds': 1.0, 'facts': {'credits': ['an author']}}
    (tmp_path / 'run').mkdir()
    write_checkpoint(tmp_path / 'run', record)
    look_export.export_look(tmp_path / 'run', tmp_path / 'look-mine', 'look-mine')
    start = look_export.read_start(tmp_path / 'look-mine')
    assert start['network'] == asdict(net.config)
    assert (start['total_steps'], start['facts']) == (5, {'credits': ['an author']})
    for name, value in net.state_dict().items():
        assert torch.allclose(start['net'][name], value, rtol=1e-3, atol=1e-4), name
    trainer = LookTrainer(LookTrainConfig(photographs=0, steps=1), net.config, tmp_path / 'next',
                          [], start_from=tmp_path / 'look-mine')
    assert torch.equal(trainer.net.out.weight, start['net']['out.weight'])
    assert trainer.first_step == 5
    with pytest.raises(ModelError, match='does not state'):
        look_export.read_start(folders['kinematic'].path)


def test_the_manifest_states_what_it_is(folders):
    folder = read_model_folder(folders['kinematic'].path)
    manifest = folder.manifest
    assert manifest['kind'] == 'look' and manifest['head'] == 'kinematic'
    assert manifest['origin']['trunk'] == 'landmarks-lite' and manifest['license'] == 'Apache-2.0'
    assert manifest['training_data'] == 'none'
    assert set(manifest['outputs']) == set(OUTPUTS) == set(manifest['torch_difference'])
    assert manifest['weight_bytes'] > 4 * manifest['parameters'] * 0.98
    model = onnx.load_model_from_string(folder.load_graph().data)
    stored = [t for t in model.graph.initializer if t.data_type == onnx.TensorProto.FLOAT16]
    assert sum(np.prod(t.dims) for t in stored) > 0.8 * manifest['parameters']
    assert not any(t.name.endswith('.bias') for t in stored)
    assert model.opset_import[0].version >= 17


@pytest.mark.parametrize('looks', [1, 3])
def test_untrained_it_observes_what_the_landmark_network_observes(folders, people, looks):
    before = observed(LandmarkNetwork(find_model('landmarks-lite').path), people, looks)
    after = observed(LookNetwork(folders['direct joint'].path), people, looks)
    apart_m, apart_ratio, presence = [], [], []
    for old, new in zip(before, after):
        size_px = np.ptp(old.observation.keypoints_px, axis=0).max()
        off_px = (old.observation.keypoints_px - new.observation.keypoints_px)[LIMBS]
        apart_ratio.append(np.median(np.linalg.norm(off_px, axis=-1)) / size_px)
        joints = [one.observation.joints_m[LIMBS] for one in (old, new)]
        joints = [points - points[:2].mean(0) for points in joints]
        apart_m.append(np.linalg.norm(joints[0] - joints[1], axis=-1).mean())
        presence.append(abs(new.presence - old.presence))
    assert np.median(apart_ratio) < 1e-3 and np.median(apart_m) < 1e-3
    assert np.median(presence) < 0.01


def test_bones_of_the_kinematic_head_have_the_lengths_of_a_body(folders, people):
    from niki_ros.body.skeleton import open_skeleton, PARENTS_29
    for one in observed(LookNetwork(folders['kinematic'].path), people[:2]):
        joints = one.observation.joints_m
        lengths = np.linalg.norm(joints[1:] - joints[list(PARENTS_29[1:])], axis=-1)
        # the graph holds them in half precision
        np.testing.assert_allclose(lengths, open_skeleton().bone_lengths()[1:], rtol=5e-4)


def test_a_graph_that_differs_is_refused(folders, tmp_path, monkeypatch):
    other = read_model_folder(folders['direct joint'].path).load_graph().data
    monkeypatch.setattr(look_export, 'graph_bytes', lambda *given: other)
    monkeypatch.setattr(look_export, 'with_fp16_storage', lambda graph, keep: graph)
    with pytest.raises(ModelError, match='differs from torch.*joints'):
        write_look(net_of('kinematic'), tmp_path / 'm', 'other', {})


def test_weights_that_half_precision_cannot_hold_are_refused(tmp_path):
    net = net_of('direct joint')
    with torch.no_grad():
        net.out.weight[:29] = 3e5
    with pytest.raises(ModelError, match='half precision'):
        write_look(net, tmp_path / 'm', 'large', {})
