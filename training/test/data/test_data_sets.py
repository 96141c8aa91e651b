"""Data sets by name: each reader on small files in the true format, and the commands."""

import json
import pickle

from cmu_bvh import write_cmu_bvh
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.body.skeleton import JOINTS_29, open_skeleton
from niki_ros.common.errors import InputError
from niki_training.cli import data as data_cli
from niki_training.data.augmentation import CAMERA_FROM_UPRIGHT
from niki_training.data.motion import subject_of
from niki_training.data.readers import read_motion
from niki_training.data.readers.hybrik import HP3D_28
from niki_training.data.store import load_motion
from niki_training.files.data_frames import read_frame
import numpy as np
from pandas_frames import pickled_frame
import pytest
from test_data import BVH
import torch

UPSIDE = [np.pi, 0, 0]      # of the root: upright before a camera whose y points down


def test_amass_as_it_comes(tmp_path):
    def clip(name, frames, rate_hz, key='mocap_framerate', width=156):
        path = tmp_path / 'AMASS' / name
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, poses=np.zeros((frames, width)), trans=np.zeros((frames, 3)),
                 betas=np.zeros(16), gender='male', dmpls=np.zeros((frames, 8)), **{key: rate_hz})

    clip('CMU/01/01_01_poses.npz', 120, 120.0)
    clip('CMU/01/01_02_poses.npz', 60, 60.0)
    clip('ACCAD/Female1General_c3d/A1_-_Stand_poses.npz', 120, np.asarray([120.0]))
    clip('SFU/0005/jump_stageii.npz', 50, 25.0, 'mocap_frame_rate', 165)
    for folder in ('CMU/01', 'ACCAD/Female1General_c3d'):
        np.savez(tmp_path / 'AMASS' / folder / 'shape.npz', betas=np.zeros(16), gender='male')
    np.savez(tmp_path / 'AMASS/SFU/0005/neutral_stagei.npz', betas=np.zeros(16))
    # what macOS packs beside every file
    (tmp_path / 'AMASS/SFU/0005/._0005_poses.npz').write_bytes(b'\0\5\x16\7')
    (tmp_path / 'AMASS/CMU/a_poses.npz').mkdir()   # a folder with the name of a clip
    motion = read_motion(tmp_path / 'AMASS', 'amass')
    assert motion.names.tolist() == [
        'ACCAD/Female1General_c3d/A1_-_Stand_poses', 'CMU/01/01_01_poses', 'CMU/01/01_02_poses',
        'SFU/0005/jump_stageii']
    assert motion.lengths.tolist() == [30, 30, 30, 59]
    assert [subject_of(name) for name in motion.names] == [
        'ACCAD/Female1General_c3d', 'CMU/01', 'CMU/01', 'SFU/0005']
    alone = read_motion(tmp_path / 'AMASS/CMU/01/01_01_poses.npz', 'amass')
    assert subject_of(alone.names[0]) == '01'
    with pytest.raises(InputError, match=r'_poses\.npz'):
        (tmp_path / 'empty').mkdir()
        read_motion(tmp_path / 'empty', 'amass')


def test_3dpw_and_its_occluded_sequences(tmp_path):
    for split, name in (('train', 'courtyard_laceShoe_00'), ('test', 'downtown_cafe_00'),
                        ('test', 'flat_packBags_00'), ('validation', 'courtyard_dancing_00')):
        path = tmp_path / '3DPW/sequenceFiles' / split / f'{name}.pkl'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pickle.dumps({
            'sequence': name, 'poses': [np.zeros((4, 72)), np.ones((3, 72))],
            'genders': ['m', 'f'], 'betas': [np.zeros(300)] * 2, 'cam_poses': np.zeros((4, 4, 4)),
        }, protocol=2))
    motion = read_motion(tmp_path / '3DPW', '3dpw')
    assert len(motion.lengths) == 8 and set(motion.lengths) == {3, 4}
    assert subject_of(motion.names[0]) == 'downtown_cafe_00'
    hidden = read_motion(tmp_path / '3DPW', '3dpw-occ')
    assert {subject_of(n) for n in hidden.names} == {
        'flat_packBags_00', 'courtyard_laceShoe_00'}


@pytest.mark.parametrize('old', [True, False])
def test_agora(tmp_path, monkeypatch, old):
    fits = tmp_path / 'smpl_gt/trainset_renderpeople_adults_bfh'
    fits.mkdir(parents=True)
    for i, name in enumerate(['10004_w_Gregory', '10010_w_Anna']):
        body = torch.zeros(1, 23, 3)
        body[0, 0, 0] = 0.1 * (i + 1)
        (fits / f'{name}.pkl').write_bytes(pickle.dumps({
            'root_pose': torch.zeros(1, 3, requires_grad=True), 'body_pose': body,
            'betas': torch.zeros(1, 10), 'translation': torch.zeros(1, 3)}))
    named = [f'smpl_gt/trainset_renderpeople_adults_bfh/{n}.obj'
             for n in ('10004_w_Gregory', '10010_w_Anna')]
    columns = {'imgPath': ['ag_a_0.png', 'ag_a_1.png'], 'camX': [1.5, 2.5], 'camYaw': [0.5, 0.75],
               'kid': [[False, False], [False]], 'gt_path_smpl': [named, named[1:]],
               'isValid': [[True, False], [True]], 'gt_joints_2d': [[np.zeros((24, 2))] * 2,
                                                                    [np.zeros((24, 2))]]}
    frame = tmp_path / 'Cam/SMPL/train_0_withjv.pkl'
    frame.parent.mkdir(parents=True)
    with monkeypatch.context() as patch:
        frame.write_bytes(pickled_frame(patch, columns, old))
    assert read_frame(frame)['camX'] == [1.5, 2.5]
    for path in (frame, tmp_path):
        motion = read_motion(path, 'agora')
        assert motion.lengths.tolist() == [1, 1]
        assert [subject_of(n) for n in motion.names] == ['10004_w_Gregory', '10010_w_Anna']
        np.testing.assert_allclose(motion.rotvec[:, 1, 0], [0.1, 0.2], atol=1e-6)
    (fits / '10010_w_Anna.pkl').unlink()
    with pytest.raises(InputError, match='fit'):
        read_motion(frame, 'agora')


def test_3doh(tmp_path):
    row = {'img_path': 'images/00001.jpg', 'bbox': [[0, 0], [9, 9]], 'betas': [[0.0] * 10],
           'pose': [UPSIDE + [0.2] + [0.0] * 68], 'trans': [[0, 0, 3]], 'scale': [1.0],
           'extri': np.eye(4).tolist(), 'intri': np.eye(3).tolist()}
    path = tmp_path / '3DOH50K/trainset/annots.json'
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({'0': row, '1': {**row, 'img_path': 'images/00002.jpg'}}))
    motion = read_motion(tmp_path / '3DOH50K', '3doh')
    assert motion.lengths.tolist() == [1, 1]
    assert np.abs(motion.rotvec[:, 0]).max() < 1e-6 and motion.rotvec[0, 1, 0] == np.float32(0.2)
    path.write_text('{"0": {"img_path": "a"}}')
    with pytest.raises(InputError, match='3DOH50K'):
        read_motion(path, '3doh')


def annotated(path, images, annotations):
    """Write a file of annotations in HybrIK's form, and return its path."""
    path.write_text(json.dumps({'images': images, 'annotations': annotations}))
    return path


def h36m_json(path, numbers, field='thetas'):
    """Write annotations of two videos; the left hip turns with the frames."""
    images, annotations = [], []
    for video in ('s_01_act_02_subact_01_ca_01', 's_05_act_03_subact_01_ca_02'):
        for number in numbers:
            theta = np.zeros((24, 3))
            theta[0], theta[1, 0] = UPSIDE, 0.01 * number
            images.append({'id': len(images), 'width': 1000, 'height': 1000,
                           'file_name': f'{video}/{video}_{number:06d}.jpg'})
            annotations.append({'id': len(annotations), 'image_id': images[-1]['id'],
                                field: theta.tolist(), 'betas': [0.0] * 10})
    return annotated(path, images, annotations)


def test_frames_of_one_video_are_one_piece(tmp_path):
    # 50 fps, every fifth: 10 a second
    motion = read_motion(h36m_json(tmp_path / 'a.json', range(1, 101, 5)), 'h36m')
    assert [subject_of(n) for n in motion.names] == ['s_01', 's_05']
    assert motion.lengths.tolist() == [58, 58]
    wanted = 0.01 * (1 + 50 / 30 * np.arange(58))
    np.testing.assert_allclose(motion.rotvec[:58, 1, 0], wanted, atol=1e-5)
    assert np.abs(motion.rotvec[:, 0]).max() < 1e-6


def test_a_gap_ends_a_piece_and_far_frames_are_single(tmp_path):
    path = h36m_json(tmp_path / 'a.json', [*range(1, 51, 5), *range(101, 151, 5)])
    assert read_motion(path, 'h36m').lengths.tolist() == [28] * 4
    h36m_json(path, range(1, 401, 20))     # 2.5 a second
    assert read_motion(path, 'h36m').lengths.tolist() == [1] * 40
    assert len(read_motion(path, 'h36m', video_fps=200).lengths) == 2
    with pytest.raises(InputError, match='--fps'):
        read_motion(path, 'h36m', video_fps=float('nan'))


def test_3dpw_in_hybriks_form_keeps_people_apart_where_one_is_missing(tmp_path):
    images = [{'id': 7 * k, 'sequence': 'downtown_cafe_00', 'file_name': f'image_{k:05d}.jpg',
               'width': 1920, 'height': 1080} for k in range(20)]
    annotations = [
        {'id': 2 * k + p, 'image_id': 7 * k, 'bbox': [0, 0, 9, 9], 'smpl_param': {
            'shape': [float(p)] * 10, 'pose': UPSIDE + [float(p)] + [0.0] * 68, 'trans': [0, 0, 3],
            'gender': 'male'}} for k in range(20) for p in range(2) if p or not 5 <= k < 12]
    motion = read_motion(annotated(tmp_path / 'a.json', images, annotations), 'hybrik')
    assert sorted(motion.lengths.tolist()) == [5, 8, 20]
    assert subject_of(motion.names[0]) == 'downtown_cafe_00'
    turns = [piece[:, 1, 0] for piece in np.split(motion.rotvec, motion.starts[1:])]
    assert sorted((turn.min(), turn.max()) for turn in turns) == [(0, 0), (0, 0), (1, 1)]


def test_mpi_inf_3dhp_has_joints_only(tmp_path, motion):
    rotvec = motion.rotvec[:30].copy()
    rotvec[:, 0] = UPSIDE
    joints, _ = forward_kinematics(rotmat_from_rotvec(rotvec), open_skeleton().offsets())
    names = [n.replace('spine', 'spine1') if n == 'spine' else n.replace('clavicle', 'collar')
             .replace('toe', 'big_toe') for n in HP3D_28]
    keypoints = [1000 * joints[:, JOINTS_29.index(n)] if n in JOINTS_29 else 0 * joints[:, 0]
                 for n in names]
    keypoints = np.stack(keypoints, axis=1)
    images = [{'id': k, 'file_name': f'S1_Seq1_V0/img_S1_Seq1_V0_{k:06d}.jpg', 'width': 2048,
               'height': 2048} for k in range(30)]
    rows = [{'id': k, 'image_id': k, 'keypoints_cam': keypoints[k].tolist()} for k in range(30)]
    path = annotated(tmp_path / 'annotation_mpi_inf_3dhp_train_v2.json', images, rows)
    found = read_motion(path, '3dhp', video_fps=30)
    assert found.lengths.tolist() == [30] and subject_of(found.names[0]) == 'S1'
    posed, _ = forward_kinematics(rotmat_from_rotvec(found.rotvec), open_skeleton().offsets())
    # the bones of knees, elbows and wrists point as they did; turns about bones are not seen
    upright = joints @ CAMERA_FROM_UPRIGHT
    for name in ('left_knee', 'right_ankle', 'left_elbow', 'right_wrist', 'head_top'):
        child, parent = JOINTS_29.index(name), open_skeleton().parents[JOINTS_29.index(name)]
        bones = [p[:, child] - p[:, parent] for p in (posed, upright)]
        bones = [b / np.linalg.norm(b, axis=-1, keepdims=True) for b in bones]
        assert (bones[0] * bones[1]).sum(-1).min() > 0.999, name
    annotated(path, images, [{**row, 'keypoints_cam': row['keypoints_cam'][:17]} for row in rows])
    with pytest.raises(InputError, match='28 joints'):
        read_motion(path, '3dhp')


def test_bvh_by_folder(tmp_path):
    for name in ('01/01_01', '01/01_02', '02/02_01'):
        (tmp_path / 'cmu' / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / 'cmu' / f'{name}.bvh').write_text(BVH)
    motion = read_motion(tmp_path / 'cmu', 'bvh', {'left_hip': 'LeftLeg'})
    assert motion.names.tolist() == ['01/01_01', '01/01_02', '02/02_01']


@pytest.mark.parametrize('old, new', [
    ('', ''), ('MOTION\n', 'Motion\n'), ('Frame Time: ', 'Frame time:'),
    ('Frames: 2', '  frames:\t2'), ('\n', '\r\n'), (' ', '\t'), ('rotation', 'ROTATION'),
    ('LeftLeg', 'LeftLeg MOTION')])
def test_bvh_as_different_programs_write_it(tmp_path, old, new):
    text = BVH.replace(old, new) if 'rame' not in old else BVH.replace(old, new, 1)
    (tmp_path / 'a.bvh').write_bytes(text.encode())
    left = 'LeftLeg MOTION' if 'MOTION' in new else 'LeftLeg'
    motion = read_motion(tmp_path / 'a.bvh', 'bvh', {'pelvis': 'Hips', 'left_hip': left})
    np.testing.assert_allclose(motion.rotvec[1, :2, 0], [np.pi / 2, np.pi / 4], atol=1e-6)


@pytest.mark.parametrize('poses', [None, 5, 'text', [[[1, 2], [3]]], [np.zeros((4, 71))]])
def test_3dpw_with_other_poses_is_refused(tmp_path, poses):
    (tmp_path / 'a_00.pkl').write_bytes(pickle.dumps({'poses': poses}, protocol=2))
    with pytest.raises(InputError, match='poses'):
        read_motion(tmp_path / 'a_00.pkl', '3dpw')


def test_cmu_as_its_converter_left_it(tmp_path, motion, refused):
    moves = motion.rotvec[:40].copy()
    moves[:, 22:] = 0       # CMU's hands are not read
    write_cmu_bvh(tmp_path / 'cmu-mocap/data/002/02_01.bvh', moves)
    words = ['prepare', str(tmp_path / 'cmu-mocap/data'), '--format', 'bvh', '--licence', 'free',
             '--out', str(tmp_path / 'store.npz')]
    assert data_cli.main([*words, '--joint-map', 'cmu']) == 0
    found = load_motion(tmp_path / 'store.npz')
    assert found.names.tolist() == ['002/02_01'] and subject_of(found.names[0]) == '002'
    assert len(found.rotvec) == 40
    turned, expected = (rotmat_from_rotvec(r.astype(float)) for r in (found.rotvec, moves))
    assert np.abs(turned - expected).max() < 3e-3, 'FP16 in the store, four digits in the file'
    # read as if the pose of zero angles were the T-pose, the legs are apart
    assert data_cli.main([*words, '--joint-map', 'cmu', '--t-pose', 'rest']) == 0
    wrong = rotmat_from_rotvec(load_motion(tmp_path / 'store.npz').rotvec.astype(float))
    assert np.abs(wrong[1:39, 1] - expected[1:39, 1]).min(axis=0).max() > 0.1
    write_cmu_bvh(tmp_path / 'cmu-mocap/data/003/03_01.bvh', moves[:0])
    refused(data_cli.main, [*words, '--joint-map', 'cmu'], '03_01.bvh')


def test_split_by_subject(tmp_path, refused):
    rng = np.random.default_rng(0)
    lengths = rng.integers(20, 60, 40)
    names = [f'set/{k % 12:02d}/clip_{k}' for k in range(40)]
    store = tmp_path / 'store.npz'
    np.savez(store, rotvec=0.1 * rng.normal(size=(lengths.sum(), 24, 3)), lengths=lengths,
             names=names, fps=30.0, licence='CC0')
    assert data_cli.main(['split', str(store), '--out', str(tmp_path / 'a')]) == 0
    parts = {n: load_motion(tmp_path / 'a' / f'{n}.npz') for n in ('train', 'val', 'test')}
    owners = [{subject_of(n) for n in part.names} for part in parts.values()]
    assert sum(map(len, owners)) == len(set().union(*owners)) == 12
    assert sorted(n for p in parts.values() for n in p.names) == sorted(names)
    assert sum(p.lengths.sum() for p in parts.values()) == lengths.sum()
    assert 0.7 < parts['train'].lengths.sum() / lengths.sum() < 0.9
    whole = load_motion(store)
    at = int(np.flatnonzero(whole.names == parts['val'].names[0])[0])
    np.testing.assert_allclose(parts['val'].rotvec[0], whole.rotvec[whole.starts[at]], atol=1e-3)
    assert data_cli.main(['split', str(store), '--out', str(tmp_path / 'b')]) == 0
    assert load_motion(tmp_path / 'b/val.npz').names.tolist() == parts['val'].names.tolist()
    out = ['--out', tmp_path / 'c']
    refused(data_cli.main, ['split', store, '--val', '0.6', '--test', '0.5', *out], '--val 0.6')
    np.savez(store, rotvec=np.zeros((4, 24, 3)), lengths=[2, 2], names=['a/0', 'a/1'])
    refused(data_cli.main, ['split', store, *out], '1 subjects (a)')


def test_prepare_by_name(tmp_path, capsys):
    path = h36m_json(tmp_path / 'Sample_5_train.json', range(1, 101, 5))
    assert data_cli.main(['prepare', str(path), '--format', 'h36m', '--fps', '25', '--licence',
                          'of Human3.6M', '--out', str(tmp_path / 'store.npz')]) == 0
    assert '2 pieces' in capsys.readouterr().out
    assert load_motion(tmp_path / 'store.npz').lengths.tolist() == [115, 115]


def test_rotvec_of_a_theta_of_matrices(tmp_path):
    rotvec = np.random.default_rng(1).normal(size=(24, 3)) * 0.3
    row = {'thetas': rotmat_from_rotvec(rotvec).tolist(), 'image_id': 3}
    found = read_motion(annotated(tmp_path / 'a.json', [], [row]), 'h36m').rotvec[0]
    np.testing.assert_allclose(found[1:], rotvec_from_rotmat(rotmat_from_rotvec(rotvec))[1:],
                               atol=1e-6)
