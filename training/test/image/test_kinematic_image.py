"""Image to motion parameters: truth in a crop's own axes, augmentation, heads, training."""

from dataclasses import replace
import json

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ConfigError, InputError, ModelError
from niki_ros.observers.crop import Crop
from niki_ros.observers.crop_view import CropView
from niki_ros.observers.kinematic import KinematicNetwork
from niki_ros.scene.camera import Camera
from niki_training.cli import export as export_cli
from niki_training.cli import train as train_cli
from niki_training.data.augmentation import random_bodies as posed_bodies
from niki_training.image.augmentation import augmented, mirrored, rotated_and_zoomed, tensors
from niki_training.image.backbone import build_backbone
from niki_training.image.crops import crop_truth, person_box, read_crops
from niki_training.image.evaluate import scores
from niki_training.image.export import export_person
from niki_training.image.losses import crop_uv, head_losses
from niki_training.image.network import HEADS, PersonConfig, PersonNet
from niki_training.image.real_video import limb_angles_deg, limb_lengths
from niki_training.image.train import ImageTrainConfig, ImageTrainer, load_people
from niki_training.networks.kinematic import rotmat_from_rot6d
from niki_training.render.shards import shard_path, write_shard
import numpy as np
import pytest
import torch

SIZE = 32
PLAIN = PersonConfig(backbone='plain', size_px=SIZE, width=8, hidden=32)
CAMERA = Camera(np.array([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]]), 640, 480)


def draw(uv):
    """Return a crop (32, 32, 3) with a coloured dot at every joint."""
    image = np.full((SIZE, SIZE, 3), 90, np.uint8)
    for joint, (x, y) in enumerate(np.floor((uv + 0.5) * SIZE).astype(int)):
        if 0 <= x < SIZE and 0 <= y < SIZE:
            image[y, x] = (8 * joint, 255 - 8 * joint, 80 * (joint % 4))
    return image


@pytest.fixture(scope='module')
def crops():
    """Crops of posed bodies before a camera, as dots."""
    rng, skeleton = np.random.default_rng(0), open_skeleton()
    rotvec = rng.normal(size=(48, 1, 24, 3)) * 0.25
    rotmat, joints, betas = posed_bodies(rotvec, rng, skeleton)
    out = []
    for turn, body, shape in zip(rotmat[:, 0], joints[:, 0], betas):
        body = body - body[0] + rng.uniform((-1.2, -0.8, 3.5), (1.2, 0.8, 5))
        pixels = CAMERA.project(body)
        box = np.concatenate([pixels.min(0), pixels.max(0)])
        view = CropView.of(Crop.around(box), CAMERA)
        truth = crop_truth(view, turn, body, shape, pixels, np.ones(29, bool))
        out.append({'image': draw(truth['uv']), 'hidden_percent': 0.0, **truth})
    return {key: np.stack([np.asarray(crop[key]) for crop in out]) for key in out[0]}


def rows_of(crops) -> list:
    return [{key: value[k] for key, value in crops.items()} for k in range(len(crops['image']))]


def consistent(batch):
    """Return the largest errors of joints after the layer (m) and of their projection (uv)."""
    net = PersonNet(PLAIN, open_skeleton()).eval()
    joints = net.posed(batch['rotmat'][..., :2, :].flatten(-2), batch['betas'])
    uv = crop_uv(batch['joints_m'], batch['place'], batch['projection'], batch['crops'])
    return (float((joints - batch['joints_m']).abs().max()), float((uv - batch['uv']).abs().max()))


def test_truth_agrees_with_itself_also_mirrored_turned_and_zoomed(crops):
    assert max(consistent(tensors(crops, np.arange(48)))) < 1e-5
    batch = tensors(crops, np.arange(12))
    angle, zoom = torch.linspace(-1, 1, 12), torch.linspace(0.7, 1.4, 12)
    other = rotated_and_zoomed(mirrored(batch, torch.arange(12) % 2 == 0), angle, zoom)
    assert max(consistent(other)) < 1e-5
    assert not torch.allclose(other['uv'], batch['uv'], atol=0.05)


def test_the_image_turns_with_its_truth(crops):
    batch = tensors(crops, np.arange(2))
    batch['image'][:] = 0
    spots = ((batch['uv'][:, 10] + 0.5) * SIZE).long()
    for image, (x, y) in zip(batch['image'], spots):
        image[:, max(y - 1, 0):y + 2, max(x - 1, 0):x + 2] = 255
    flip = torch.tensor([True, False])
    angle, zoom = torch.tensor([0.5, -0.4]), torch.tensor([1.2, 0.9])
    other = rotated_and_zoomed(mirrored(batch, flip), angle, zoom)
    for image, uv, side in zip(other['image'], other['uv'], flip):
        weight = image[0] / image[0].sum()
        axis = (torch.arange(SIZE) + 0.5) / SIZE - 0.5
        found = torch.stack([(weight.sum(0) * axis).sum(), (weight.sum(1) * axis).sum()])
        # mirrored, the left foot's spot is the right foot's
        assert (found - uv[11 if side else 10]).abs().max() < 1.2 / SIZE


def test_boxes_hold_the_person():
    rng = np.random.default_rng(0)
    mask = np.zeros((480, 640), bool)
    mask[100:300, 200:260] = True
    pixels = rng.uniform((200, 100), (260, 300), (29, 2))
    for _ in range(20):
        box = person_box(pixels, mask, rng, np.array([640, 480]))
        assert 150 < box[0] < 230 and 240 < box[2] < 310 and 60 < box[1] < 150 < 250 < box[3]
    assert person_box(pixels, mask & False, rng, np.array([640, 480])) is None


@pytest.mark.parametrize('head', HEADS)
def test_losses_vanish_at_the_truth_and_reach_every_weight(crops, head):
    batch = tensors(crops, np.arange(8))
    net = PersonNet(replace(PLAIN, head=head), open_skeleton())
    found = net(batch['image'])
    losses = head_losses(head, found, batch)
    sum(losses.values()).backward(retain_graph=True)
    (by_error,) = torch.autograd.grad(losses['error'], net.neck[4].weight, allow_unused=True)
    assert by_error is None, 'what is said about errors does not shape the features'
    assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    rot6d = batch['rotmat'][..., :2, :].flatten(-2)
    exact = found._replace(
        joints_m=batch['joints_m'], place=batch['place'],
        rot6d=None if net.direct else rot6d, betas=None if net.direct else batch['betas'])
    best = head_losses(head, exact, batch)
    assert sum(v for k, v in best.items() if k != 'error') < 0.02 < sum(losses.values())


def test_bone_lengths_of_the_layer_are_those_of_its_shape():
    torch.manual_seed(0)
    net = PersonNet(PLAIN, open_skeleton()).eval()
    torch.nn.init.normal_(net.out.weight, std=0.5)
    found = net(torch.rand(4, 3, SIZE, SIZE) * 255)
    joints, _ = forward_kinematics(
        rotmat_from_rot6d(found.rot6d).detach().double().numpy(),
        open_skeleton().offsets(found.betas.detach().double().numpy()))
    assert np.abs(joints - found.joints_m.detach().numpy()).max() < 1e-4


def loss_on(net, head, batch):
    """Return the loss without that of the predicted errors."""
    with torch.no_grad():
        losses = head_losses(head, net(batch['image']), batch)
    return float(sum(value for key, value in losses.items() if key != 'error'))


def test_training_learns_goes_on_and_is_read_back(crops, tmp_path):
    config = ImageTrainConfig(steps=150, batch=16, every=50, warmup=5)
    trainer = ImageTrainer(config, PLAIN, crops, tmp_path)
    batch = tensors(crops, np.arange(48))
    before = {head: loss_on(net.eval(), head, batch) for head, net in trainer.nets.items()}
    trainer.run()
    nets, record = load_people(tmp_path / 'last.pt')
    assert record['step'] == 150 and set(nets) == set(HEADS)
    for head, net in nets.items():
        assert loss_on(net, head, batch) < 0.97 * before[head], head
    again = ImageTrainer(config, PLAIN, crops, tmp_path)
    assert again.step == 150
    with pytest.raises(ModelError, match='direct joint'):
        ImageTrainer(config, PLAIN, crops, tmp_path, heads=('kinematic',))


def test_augmentation_keeps_the_forms(crops):
    batch = tensors(crops, np.arange(6))
    other = augmented(batch, torch.Generator().manual_seed(0))
    assert {k: v.shape for k, v in other.items()} == {k: v.shape for k, v in batch.items()}
    assert other['image'].min() >= 0 and other['image'].max() <= 255


def test_shards_are_read_or_refused(crops, tmp_path):
    rows = rows_of(crops)[:4]
    write_shard(shard_path(tmp_path, 'val', 0), rows)
    assert len(read_crops(tmp_path, 'val')['image']) == 4
    with pytest.raises(InputError, match='niki-train kinematic render'):
        read_crops(tmp_path, 'train')
    write_shard(shard_path(tmp_path, 'train', 0), [{'image': r['image']} for r in rows])
    with pytest.raises(InputError, match='joints_m'):
        read_crops(tmp_path, 'train')


def test_settings_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="'x'"):
        PersonNet(PersonConfig(head='x', backbone='plain'), open_skeleton())
    with pytest.raises(ConfigError, match='100'):
        PersonNet(PersonConfig(backbone='plain', size_px=100), open_skeleton())


@pytest.fixture(scope='module')
def run_folder(crops, tmp_path_factory):
    """Return a folder with ``run``, a short training, and ``crops``."""
    folder = tmp_path_factory.mktemp('run')
    ImageTrainer(ImageTrainConfig(steps=6, batch=8), PLAIN, crops, folder / 'run').run()
    (folder / 'crops').mkdir()
    for split in ('train', 'val'):
        write_shard(shard_path(folder / 'crops', split, 0), rows_of(crops))
    return folder


def test_one_command_prints_the_table_of_the_heads(run_folder, capsys, refused):
    assert train_cli.main(['kinematic', 'table', '--crops', str(run_folder / 'crops'), '--out',
                           str(run_folder / 'run'), '--json', str(run_folder / 'out.json')]) == 0
    rows = capsys.readouterr().out.strip().splitlines()[-4:]
    assert [row.split('|')[1].strip() for row in rows] == [*HEADS, 'mean pose']
    figures = json.loads((run_folder / 'out.json').read_text())['rendered']
    assert figures['kinematic']['sides_percent'] < 0.01 < figures['direct joint']['sides_percent']
    refused(train_cli.main, ['kinematic', 'table', '--crops', 'nowhere', '--out',
                             run_folder / 'run'], 'nowhere')


def test_the_truth_scores_nothing(crops):
    exact = {key: np.float64(crops[key]) for key in ('joints_m', 'rotmat', 'place', 'uv')}
    assert max(scores(exact, crops).values()) < 1e-3
    # joints alone: analytic inverse kinematics does not know the twists
    joints = scores({**exact, 'rotmat': None}, crops)
    assert joints['mpjpe_mm'] < 1e-3 and 1 < joints['angle_deg'] < 40


def test_limbs_of_a_trial_are_measured():
    limbs = np.zeros((12, 3))
    limbs[[2, 3, 4, 5], 1] = (0.4, 0.4, 0.8, 0.8)
    limbs[[6, 7, 8, 9, 10, 11], 0] = (0.1, -0.1, 0.4, -0.4, 0.4, -0.4)
    limbs[[10, 11], 1] = 0.25
    np.testing.assert_allclose(limb_angles_deg(limbs), [180, 180, 90, 90])
    np.testing.assert_allclose(limb_lengths(limbs)[[0, 4, 2, 6]], [0.4, 0.4, 0.3, 0.25])


def test_a_checkpoint_becomes_an_observer(run_folder, crops):
    folder = run_folder / 'model'
    assert export_cli.main([str(run_folder / 'run' / 'last.pt'), str(folder)]) == 0
    manifest = json.loads((folder / 'manifest.json').read_text())
    assert manifest['kind'] == 'kinematic' and manifest['size_px'] == SIZE
    network = KinematicNetwork(folder)
    image = np.random.default_rng(0).integers(0, 255, (480, 640, 3), dtype=np.uint8)
    box = (200, 100, 420, 400)
    (look,) = network.estimate(image, CAMERA, [network.crop_of(box, CAMERA)])
    seen = look.observation
    crop = Crop.around(box)
    view = CropView.of(crop, CAMERA)
    nets, _ = load_people(run_folder / 'run' / 'last.pt')
    picture = torch.from_numpy(crop.sample(image, SIZE)).permute(2, 0, 1)[None]
    with torch.no_grad():
        truth = nets['kinematic'](picture.float())
    joints = truth.joints_m[0].double().numpy() @ view.camera_from_view.T
    assert np.abs(seen.joints_m - joints).max() < 1e-3
    with pytest.raises(ModelError, match='motion parameters'):
        export_person(run_folder / 'run' / 'last.pt', folder, 'x', 'direct joint')


def test_backbones_of_timm():
    try:
        body, channels = build_backbone('mobilenetv4_conv_small_050')
    except ModelError as error:
        if 'timm cannot' in str(error):
            raise
        pytest.skip(str(error))
    assert body.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, channels, 2, 2)
    with pytest.raises(ModelError, match='timm'):
        build_backbone('no_such_network')
