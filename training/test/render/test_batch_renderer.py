"""Crops of the batch renderer: truth, seeds, banks and shards, with people made of boxes."""

from box_bank import box_bank
import cv2
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
from niki_training.cli import data as data_cli
from niki_training.networks.swing import bone_axes, swing_twist
from niki_training.render.batch.bank import load_bank, write_bank
from niki_training.render.batch.crop_shards import has_crops, images_of, read_crops, SHARD_CROPS
from niki_training.render.batch.renderer import BatchRenderer
from niki_training.render.batch.scene_plan import SceneNumbers, ScenePlanner
import numpy as np
import pytest
import torch

COUNT = 12


@pytest.fixture(scope='module')
def bank(motion):
    return box_bank(motion)


@pytest.fixture(scope='module')
def crops(bank):
    return BatchRenderer(bank, seed=5).batch(COUNT)


@pytest.fixture(scope='module')
def folder(bank, tmp_path_factory):
    folder = tmp_path_factory.mktemp('bank')
    facts = {name: value for name, value in bank.facts.items() if name != 'files'}
    write_bank(folder, bank.people, bank.rotvec, bank.panoramas, facts)
    return folder


def test_crops_are_what_the_interface_says(crops):
    shapes = {'image': (3, 256, 256), 'uv': (29, 2), 'joints_m': (29, 3), 'root_m': (3,),
              'focal': (), 'rotmat': (24, 3, 3), 'betas': (10,), 'twist': (23, 2),
              'visible': (29,), 'in_image': (29,), 'present': (), 'hidden_percent': ()}
    assert {name: tuple(value.shape[1:]) for name, value in crops.items()} == shapes
    assert all(len(value) == COUNT and torch.isfinite(value).all() for value in crops.values())
    assert 0 <= crops['image'].min() and crops['image'].max() <= 1
    assert crops['image'].std() > 0.05
    assert crops['visible'].dtype == crops['in_image'].dtype == torch.bool


def test_truth_agrees_with_itself(crops):
    truth = {name: value.double().numpy() for name, value in crops.items()}
    at_m = truth['joints_m'] + truth['root_m'][:, None]
    near = at_m[..., 2] > 0.1
    uv = at_m[..., :2] / at_m[..., 2:] * truth['focal'][:, None, None]
    np.testing.assert_allclose(uv[near], truth['uv'][near], atol=1e-4)
    skeleton = open_skeleton()
    joints_m, _ = forward_kinematics(truth['rotmat'], skeleton.offsets(truth['betas']))
    np.testing.assert_allclose(joints_m, truth['joints_m'], atol=1e-5)
    axes = torch.as_tensor(bone_axes(skeleton.rest_joints_m)).float()
    np.testing.assert_allclose(swing_twist(crops['rotmat'], axes)[1], crops['twist'], atol=1e-5)
    assert not (crops['visible'] & ~crops['in_image']).any()
    inside = (crops['uv'].abs() < 0.5).all(-1)
    assert not (crops['in_image'] & ~inside).any()
    absent = crops['present'] == 0
    assert (crops['hidden_percent'][absent] > 90).all()
    assert crops['visible'].any(1)[crops['hidden_percent'] < 30].all()


def test_a_crop_does_not_depend_on_its_batch(bank, crops):
    renderer = BatchRenderer(bank, seed=5)
    for part in (np.arange(5), np.array([7, 2]), np.array([11])):
        alone = renderer.batch(part)
        for name, value in alone.items():
            expected = crops[name][part]
            if name == 'image':
                assert (value - expected).abs().mean() < 1e-3
            elif value.dtype == torch.bool:
                assert (value == expected).float().mean() > 0.99
            else:
                torch.testing.assert_close(value, expected, atol=1e-4, rtol=1e-4)
    other = BatchRenderer(bank, seed=6).batch(2)
    assert (other['rotmat'] - crops['rotmat'][:2]).abs().max() > 0.1
    counted = BatchRenderer(bank, seed=5)
    counted.batch(3)
    torch.testing.assert_close(counted.batch(2)['uv'], crops['uv'][3:5])


def test_scenes_have_what_their_numbers_say(bank):
    plain = {'cut_odds': 0.0, 'front_furniture_odds': 0.0, 'other_odds': (1.0, 0.0, 0.0),
             'empty_odds': 0.0, 'margin_ratio': (3.0, 4.0)}
    free = _drawn(bank, plain)
    assert free['present'].all() and np.median(free['hidden_percent']) < 5
    crowded = _drawn(bank, {**plain, 'other_odds': (0.0, 0.0, 1.0), 'other_front_odds': 1.0})
    blocked = _drawn(bank, {**plain, 'front_furniture_odds': 1.0})
    cut = _drawn(bank, {**plain, 'cut_odds': 1.0})
    for more in (crowded, blocked, cut):
        assert more['hidden_percent'].mean() > free['hidden_percent'].mean() + 4
        assert more['visible'].float().mean() < free['visible'].float().mean()
    assert cut['in_image'].float().mean() < free['in_image'].float().mean() - 0.1
    empty = _drawn(bank, {**plain, 'empty_odds': 1.0})
    assert not empty['present'].any() and not empty['visible'].any()


def _drawn(bank, numbers: dict) -> dict:
    planner = ScenePlanner(bank, 1, SceneNumbers(**numbers))
    return BatchRenderer(bank, seed=1, planner=planner).batch(24)


def test_a_bank_comes_back_and_damage_is_named(bank, folder, tmp_path):
    again = load_bank(folder)
    mesh, before = again.people[1].mesh, bank.people[1].mesh
    np.testing.assert_allclose(mesh.vertices_m, before.vertices_m, atol=1e-4)
    np.testing.assert_array_equal(mesh.triangles, before.triangles)
    np.testing.assert_allclose(mesh.uv, before.uv, atol=3e-4)
    np.testing.assert_allclose(again.rotvec, bank.rotvec, atol=2e-3)
    assert len(again.panoramas) == 2 and again.panoramas[0].shape == (512, 1024, 3)
    assert all(path.stat().st_size < 15e6 for path in folder.iterdir())
    with pytest.raises(InputError, match='has a bank'):
        write_bank(folder, bank.people, bank.rotvec, bank.panoramas, {})
    with pytest.raises(InputError, match='bank.json'):
        load_bank(tmp_path)
    for path in folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / 'people-00.npz').write_bytes(b'x')
    with pytest.raises(InputError, match='people-00.npz'):
        load_bank(tmp_path)
    (tmp_path / 'people-00.npz').unlink()
    with pytest.raises(InputError, match='lacks people-00.npz'):
        load_bank(tmp_path)


def test_a_sheet_of_crops(folder, tmp_path):
    assert data_cli.main(['crops', str(folder), '--sheet', str(tmp_path / 'sheet.png')]) == 0
    assert cv2.imread(str(tmp_path / 'sheet.png')).shape == (6 * 256, 8 * 256, 3)
    assert data_cli.main(['crops', str(tmp_path), '--sheet', str(tmp_path / 'other.png')]) == 2


@pytest.mark.long
def test_shards_are_resumed_and_read(bank, folder, tmp_path):
    out = tmp_path / 'crops'
    command = ['crops', str(folder), '--out', str(out), '--count', str(SHARD_CROPS + 1)]
    assert data_cli.main(command) == 0
    first = (out / 'val-00000.npz').read_bytes()
    (out / 'val-00001.npz').unlink()
    (out / 'val-00000.npz').touch()
    assert data_cli.main([*command, '--processes', '2']) == 0
    assert (out / 'val-00000.npz').read_bytes() == first
    assert has_crops(out, 'val') and not has_crops(out, 'train')
    crops = read_crops([out], 'val')
    assert len(crops) == 2 * SHARD_CROPS and crops.facts[0]['seed'] == 0
    rows = np.array([0, SHARD_CROPS + 3])
    stored, drawn = crops[rows], BatchRenderer(folder).batch(rows)
    assert stored['image'].shape == (2, 256, 256, 3) and stored['image'].dtype == np.uint8
    assert np.abs(stored['image'].astype(int) - images_of(drawn)).mean() < 6
    np.testing.assert_allclose(stored['uv'], drawn['uv'], atol=1e-4)
    # another seed is another run
    assert data_cli.main([*command, '--seed', '1']) == 2
    with pytest.raises(InputError, match="'train'"):
        read_crops([out], 'train')
