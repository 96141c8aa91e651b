"""3DPW's images with occluders and borders: seeded, smooth, and with a truth that fits them."""

import json
import pickle

import cv2
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_training.cli import data as data_cli
from niki_training.data import xocc
import numpy as np
import pytest

FRAMES = 24
MATRIX = np.asarray([[600.0, 0, 320], [0, 600, 240], [0, 0, 1]])


@pytest.fixture(scope='module')
def folder(motion, tmp_path_factory):
    """Write a sequence of 3DPW of two people before a camera that turns."""
    root = tmp_path_factory.mktemp('3DPW')
    poses = motion.rotvec[:2 * FRAMES].astype(float).reshape(2, FRAMES, 24, 3)
    joints, _ = forward_kinematics(rotmat_from_rotvec(poses), open_skeleton().offsets())
    camera = np.tile(np.diag([1.0, -1, -1, 1]), (FRAMES, 1, 1))
    camera[:, :3, :3] = camera[:, :3, :3] @ rotmat_from_rotvec(
        np.linspace(0, 0.3, FRAMES)[:, None] * [0, 1.0, 0])
    camera[:, 2, 3] = 4
    valid = np.ones((2, FRAMES), int)
    valid[1, 5] = 0
    (root / 'sequenceFiles/test').mkdir(parents=True)
    (root / 'sequenceFiles/test/downtown_cafe_00.pkl').write_bytes(pickle.dumps({
        'sequence': 'downtown_cafe_00', 'poses': list(poses.reshape(2, FRAMES, 72)),
        'jointPositions': list(joints[:, :, :24].reshape(2, FRAMES, 72)), 'cam_poses': camera,
        'cam_intrinsics': MATRIX, 'campose_valid': list(valid)}, protocol=2))
    images = root / 'imageFiles/downtown_cafe_00'
    images.mkdir(parents=True)
    for t in range(FRAMES):
        cv2.imwrite(str(images / f'image_{t:05d}.jpg'), np.full((480, 640, 3), 128, np.uint8))
    return root


def made(folder, out, *more):
    assert data_cli.main(['xocc', str(folder), '--out', str(out), *more]) == 0
    return [json.loads((out / f'downtown_cafe_00_{i}.json').read_text()) for i in range(2)]


def test_images_and_truth_fit(folder, tmp_path):
    people = made(folder, tmp_path / 'a')
    assert [len(person['images']) for person in people] == [FRAMES, FRAMES - 1]
    hidden = []
    for row in people[0]['images']:
        image = cv2.imread(str(tmp_path / 'a' / row['file']))
        assert image.shape == (xocc.SIZE_PX, xocc.SIZE_PX, 3)
        joints = np.asarray(row['joints_m'])
        flat = joints @ np.asarray(row['camera_matrix']).T
        np.testing.assert_allclose(flat[:, :2] / flat[:, 2:], row['joints_px'], atol=1e-6)
        posed, _ = forward_kinematics(rotmat_from_rotvec(
            np.reshape(row['theta'], (24, 3))), open_skeleton().offsets())
        np.testing.assert_allclose(posed[:24], joints - joints[0], atol=1e-3)
        hidden.append(np.asarray(row['hidden']))
        changed = (np.abs(image.astype(int) - 128) > 30).any(axis=-1)
        for point, behind in zip(np.asarray(row['joints_px']), row['hidden']):
            x, y = point.astype(int)
            if min(x, y) < 5 or max(x, y) > xocc.SIZE_PX - 6:
                continue
            around = changed[y - 5:y + 6, x - 5:x + 6]
            if around.all() or not around.any():   # not at the edge: a pixel there is three here
                assert around.all() == behind
    assert 0.05 < np.mean(hidden) < 0.9


def test_the_same_seed_gives_the_same_and_it_moves_evenly(folder, tmp_path):
    one, two = (made(folder, tmp_path / name, '--every', '8') for name in 'ab')
    assert one == two and len(one[0]['images']) == FRAMES / 8
    assert one != made(folder, tmp_path / 'c', '--every', '8', '--seed', '1')
    for row in one[0]['images']:
        assert ((tmp_path / 'a' / row['file']).read_bytes()
                == (tmp_path / 'b' / row['file']).read_bytes())
    person = xocc.read_people(folder / 'sequenceFiles/test/downtown_cafe_00.pkl')[0]
    for values in xocc.plan(person, 0):
        bend = np.abs(np.diff(values, 2, axis=0)).max(axis=1)
        assert np.allclose(np.delete(bend, [7, 15, 23][:2]), 0, atol=1e-9)


def test_what_is_missing_is_named(folder, tmp_path, capsys):
    assert data_cli.main(['xocc', str(tmp_path), '--out', str(tmp_path / 'o')]) == 2
    assert 'give the folder of 3DPW' in capsys.readouterr().err
    (tmp_path / 'sequenceFiles').symlink_to(folder / 'sequenceFiles')
    assert data_cli.main(['xocc', str(tmp_path), '--out', str(tmp_path / 'o')]) == 2
    assert 'unpack imageFiles' in capsys.readouterr().err
