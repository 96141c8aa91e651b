"""Benchmarks in their true formats, a few images large, and a body to score them with."""

import json
import pickle
from typing import NamedTuple

import cv2
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat
from niki_ros.body.skeleton import open_skeleton
from niki_training.data.smpl_skeleton import SMPL_LEAVES
import numpy as np
from pandas_frames import pickled_frame
from smpl_files import body_model

LEAF_PARENTS = (15, 22, 23, 10, 11)
JOINTS17 = (0, 1, 4, 7, 2, 5, 8, 6, 12, 15, -1, 16, 18, 20, 17, 19, 21)
"""SMPL's joint for each of Human3.6M's in the regressor's order; -1 = top of the head."""


class Person(NamedTuple):
    """One person in one image: camera axes, metres."""

    rotmat: np.ndarray
    betas: np.ndarray
    root_m: np.ndarray

    def joints_m(self):
        """Return (29, 3) in the camera's axes."""
        offsets = open_skeleton().offsets(self.betas)
        return forward_kinematics(self.rotmat, offsets)[0] + self.root_m

    def bent(self, joint: int, angle_rad: float):
        """Return the person with one joint turned about its x axis."""
        rotmat = self.rotmat.copy()
        rotmat[joint] = rotmat[joint] @ rotmat_from_rotvec(np.array([angle_rad, 0, 0]))
        return self._replace(rotmat=rotmat)

    def pixels(self, matrix, joints):
        """Return the pixels (..., 2) of joints (..., 3)."""
        flat = np.asarray(joints) @ np.asarray(matrix).T
        return flat[..., :2] / flat[..., 2:]

    def theta(self):
        return rotvec_from_rotmat(self.rotmat)


UPRIGHT = Person(np.tile(np.diag([1.0, -1, -1]), (24, 1, 1)), np.zeros(10), np.array([0, 0, 3]))


def write_body(folder):
    """
    Write SMPL files of three genders whose joints are the open skeleton's, and the regressor.

    Every vertex belongs to one joint, so that regressed joints are the skeleton's own.
    """
    model = body_model()
    regressor = model['J_regressor']
    weights = (regressor.T > 0).astype(np.float32)
    weights[list(SMPL_LEAVES), LEAF_PARENTS] = 1
    posedirs = np.zeros((6890, 3, 207), np.float32)
    for name in ('SMPL_NEUTRAL', 'SMPL_MALE', 'SMPL_FEMALE'):
        np.savez_compressed(folder / f'{name}.npz', weights=weights, posedirs=posedirs, **{
            key: model[key] for key in ('v_template', 'shapedirs', 'J_regressor',
                                        'kintree_table')})
    head = np.zeros(6890)
    head[SMPL_LEAVES[0]] = 1
    np.save(folder / 'J_regressor_h36m.npy',
            np.stack([head if j < 0 else regressor[j] for j in JOINTS17]))
    return folder


def write_3dpw(root, name, images, matrix, people, split='test', genders='mf'):
    """Write a sequence; ``people`` are lists of persons or None, one for each image."""
    frames = len(images)
    camera = np.tile(np.eye(4), (frames, 1, 1))
    camera[:, :3, :3] = rotmat_from_rotvec(np.linspace(0.1, 0.4, frames)[:, None] * [0, 1.0, 0.2])
    camera[:, :3, 3] = [0.3, -0.1, 0.2]
    data = {'sequence': name, 'poses': [], 'jointPositions': [], 'betas': [], 'genders': [],
            'cam_poses': camera, 'cam_intrinsics': np.asarray(matrix), 'campose_valid': [],
            'img_frame_ids': np.arange(frames)}
    for i, track in enumerate(people):
        known = next(p for p in track if p is not None)
        filled = [p or known for p in track]
        theta = np.stack([p.theta() for p in filled])
        turn = camera[:, :3, :3].swapaxes(1, 2)
        theta[:, 0] = rotvec_from_rotmat(turn @ rotmat_from_rotvec(theta[:, 0]))
        joints = np.stack([p.joints_m()[:24] for p in filled]) - camera[:, None, :3, 3]
        data['poses'].append(theta.reshape(frames, 72))
        data['jointPositions'].append(
            np.einsum('tij,tkj->tki', turn, joints).reshape(frames, 72))
        data['betas'].append(np.pad(known.betas, (0, 290)))
        data['genders'].append(genders[i % len(genders)])
        data['campose_valid'].append(np.asarray([p is not None for p in track], int))
    file = root / 'sequenceFiles' / split / f'{name}.pkl'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(data, protocol=2))
    folder = root / 'imageFiles' / name
    folder.mkdir(parents=True, exist_ok=True)
    for t, image in enumerate(images):
        cv2.imwrite(str(folder / f'image_{t:05d}.jpg'), image)


def write_h36m(root, video, images, matrix, people, step=5):
    """Write one video in HybrIK's form: ``annotations`` and ``images``, millimetres."""
    file = root / 'annotations' / 'Sample_20_test_Human36M_smpl_protocol_2.json'
    file.parent.mkdir(parents=True, exist_ok=True)
    old = json.loads(file.read_text()) if file.exists() else {'images': [], 'annotations': []}
    (root / 'images' / video).mkdir(parents=True, exist_ok=True)
    for k, (image, person) in enumerate(zip(images, people)):
        name = f'{video}/{video}_{1 + step * k:06d}.jpg'
        cv2.imwrite(str(root / 'images' / name), image)
        joints = person.joints_m()
        low, high = (f(person.pixels(matrix, joints), axis=0) for f in (np.min, np.max))
        index = len(old['images'])
        old['images'].append({'id': index, 'file_name': name, 'width': image.shape[1],
                              'height': image.shape[0], 'cam_param': {
                                  'f': [matrix[0][0], matrix[1][1]],
                                  'c': [matrix[0][2], matrix[1][2]]}})
        old['annotations'].append({
            'id': index, 'image_id': index, 'bbox': [*low, *(high - low)],
            'h36m_joints': (1000 * joints[[24 if j < 0 else j for j in JOINTS17]]).tolist(),
            'smpl_joints': (1000 * joints).tolist(), 'thetas': person.theta().tolist(),
            'betas': person.betas.tolist(), 'root_coord': (1000 * joints[0]).tolist()})
    file.write_text(json.dumps(old))


def write_3doh(root, images, matrix, people):
    """Write the test set; its world is turned, and seven times as large as a metre."""
    turn, shift = rotmat_from_rotvec(np.array([0.1, 0.3, 0])), np.array([0.5, 0.2, 1.0])
    extrinsic = np.eye(4)
    extrinsic[:3, :3], extrinsic[:3, 3] = turn, 7 * shift
    rows = {}
    (root / 'testset/images').mkdir(parents=True)
    for k, (image, person) in enumerate(zip(images, people)):
        cv2.imwrite(str(root / f'testset/images/{k:05d}.jpg'), image)
        world = (7 * person.joints_m()[:24] - 7 * shift) @ turn
        rotmat = person.rotmat.copy()
        rotmat[0] = turn.T @ rotmat[0]
        rows[f'{k:05d}'] = {
            'img_path': f'images\\{k:05d}.jpg', 'bbox': [[0, 0], [9, 9]],
            'betas': [person.betas.tolist()],
            'pose': [rotvec_from_rotmat(rotmat).ravel().tolist()],
            'trans': [[0, 0, 0]], 'scale': [7.0], 'extri': extrinsic.tolist(),
            'intri': np.asarray(matrix).tolist(), 'smpl_joints_3d': world.tolist(),
            'smpl_joints_2d': person.pixels(matrix, person.joints_m()[:24]).tolist()}
    (root / 'testset/annots.json').write_text(json.dumps(rows))


def write_agora(root, images, matrix, people, meshes, patch, valid=None):
    """
    Write a data frame with joints and vertices, of images with several people each.

    The frame does not name its images of 1280 pixels' width.
    """
    names = [f'ag_validationset_scene_{k}.png' for k in range(len(images))]
    (root / 'validation').mkdir(parents=True)
    for name, image in zip(names, images):
        cv2.imwrite(str(root / 'validation' / name.replace('.png', '_1280x720.png')), image)
    valid = valid or [[True] * len(here) for here in people]
    share = 3840 / 1280
    joints = [[p.joints_m()[:24] for p in here] for here in people]
    columns = {
        'imgPath': names, 'camX': [0.0] * len(names), 'isValid': valid,
        'occlusion': [[10.0] * len(here) for here in people],
        'gt_joints_3d': joints,
        'gt_joints_2d': [[share * p.pixels(matrix, p.joints_m()[:24]) for p in here]
                         for here in people],
        'gt_verts': [[meshes.neutral.vertices(p.rotmat[None], p.betas[None])[0] + p.root_m
                      for p in here] for here in people]}
    file = root / 'Cam' / 'validation_0_withjv.pkl'
    file.parent.mkdir(parents=True)
    with patch.context() as held:
        file.write_bytes(pickled_frame(held, columns, False))
