"""Data: readers, stores, corruption, bodies; what is refused and why."""

import json

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import MIRROR_29, open_skeleton
from niki_ros.common.errors import InputError
from niki_training.cli import data as data_cli
from niki_training.data.augmentation import mirror_poses
from niki_training.data.batches import Batches
from niki_training.data.readers import read_motion
from niki_training.data.store import load_motion
import numpy as np
import pytest

BVH = """HIERARCHY
ROOT Hips
{
 OFFSET 0 0 0
 CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
 JOINT LeftLeg
 {
  OFFSET 0 -1 0
  CHANNELS 3 Zrotation Xrotation Yrotation
  End Site
  {
   OFFSET 0 -1 0
  }
 }
}
MOTION
Frames: 2
Frame Time: 0.0333333
0 0 0 0 0 0 0 0 0
0 0 0 0 90 0 0 45 0
"""


def test_batch_truth_fits_the_observation(motion):
    batches = Batches(motion, open_skeleton(), 16, clean_share=1.0)
    batch = {k: v[:, 0] for k, v in batches.draw(np.random.default_rng(0)).items()}
    seen = batch['joints'] - batch['joints'][:, :1]
    assert np.abs(seen - batch['target']).max() < 1e-5
    found, _ = forward_kinematics(batch['rotmat'], batch['offsets'])
    assert np.abs(found * np.exp(batch['size'])[..., None] - batch['target']).max() < 0.02


def test_same_seed_same_batch(motion):
    batches = Batches(motion, open_skeleton(), 8, frames=20)
    one, two = (batches.draw(np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(one[k], two[k]) for k in one)
    assert one['joints'].shape == (8, 20, 29, 3)
    assert all(np.isfinite(value).all() for value in one.values())


def test_mirrored_motion_is_the_mirrored_body(motion):
    skeleton = open_skeleton()
    pose = motion.rotvec[:5]

    def joints(rotvec):
        return forward_kinematics(rotmat_from_rotvec(rotvec), skeleton.offsets())[0]

    mirrored = joints(pose)[:, list(MIRROR_29)] * (-1, 1, 1)
    assert np.abs(joints(mirror_poses(pose)) - mirrored).max() < 1e-3


def test_store_round_trip(motion, tmp_path, capsys):
    np.savez(tmp_path / 'a.npz', rotvec=motion.rotvec, lengths=motion.lengths, names=motion.names)
    out = tmp_path / 'store.npz'
    assert data_cli.main(['prepare', str(tmp_path / 'a.npz'), '--licence', 'CC0', '--out',
                          str(out)]) == 0
    assert '4 subjects' in capsys.readouterr().out
    assert np.abs(load_motion(out).rotvec - motion.rotvec).max() < 2e-3


def test_amass_turns_z_up(tmp_path):
    poses = np.zeros((8, 156))
    poses[:, 0] = np.pi / 2     # AMASS: z up, so an upright body is turned a quarter about x
    np.savez(tmp_path / 'clip.npz', poses=poses, mocap_framerate=60.0)
    motion = read_motion(tmp_path / 'clip.npz', 'amass')
    assert motion.rotvec.shape == (4, 24, 3)
    assert np.abs(motion.rotvec[:, 0]).max() < 1e-6


def test_hybrik_annotations(tmp_path):
    path = tmp_path / 'a.json'
    theta = [np.pi, 0, 0] + [0.0] * 69      # upright before a camera
    path.write_text(json.dumps({'annotations': [{'theta': theta, 'image_id': 7}]}))
    assert np.abs(read_motion(path, 'hybrik').rotvec).max() < 1e-6
    path.write_text('{}')
    with pytest.raises(InputError, match='theta'):
        read_motion(path, 'hybrik')
