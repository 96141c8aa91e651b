"""Windows of what a front end saw: gaps, mirroring, their place in the batches."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import MIRROR_29, open_skeleton
from niki_ros.common.errors import InputError
from niki_training.data.batches import Batches
from niki_training.data.motion import Motion
from niki_training.front_end.pairs import Pairs
from niki_training.render.shards import write_shard
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

FRAMES = 12


def clip_of(rng, found):
    """Return a clip whose observation is the truth, with limbs 0.1 m further right."""
    betas = rng.normal(size=10)
    turned = Rotation.from_rotvec(0.3 * rng.normal(size=(FRAMES * 24, 3))).as_matrix()
    rotmat = turned.reshape(FRAMES, 24, 3, 3)
    joints, _ = forward_kinematics(rotmat, open_skeleton().offsets(betas))
    seen = joints + (0.1, 0, 0)
    seen[:, 0] = 0
    seen[~found] = np.nan
    return {'betas': betas, 'rotmat': rotmat, 'joints_m': joints + (0.2, 0.1, 3.0),
            'obs_found': found, 'obs_joints_m': seen,
            'obs_sigma': np.where(found[:, None], 0.2, 1.0) * np.ones((FRAMES, 29))}


@pytest.fixture()
def folder(tmp_path):
    rng = np.random.default_rng(3)
    found = np.ones((4, FRAMES), dtype=bool)
    found[1, 0] = found[2, 5:8] = found[3] = False
    write_shard(tmp_path / 'train-00000.npz', [clip_of(rng, row) for row in found])
    return tmp_path


def test_windows_begin_with_a_person_and_gaps_hold_the_last_sight(folder):
    pairs = Pairs(folder, 'train', FRAMES)
    batch = pairs.draw(200, np.random.default_rng(0))
    assert batch['noisy'].shape == (200, FRAMES, 29, 3)
    assert np.isfinite(batch['noisy']).all()
    gap = (batch['sigma'] == 1).all(-1)
    assert not gap[:, 0].any()
    with_gap = gap.any(1)
    assert 0 < with_gap.sum() < 200
    assert np.array_equal(gap[with_gap][0].nonzero()[0], [5, 6, 7])
    held = batch['noisy'][with_gap]
    still = np.abs(held[:, 5:8] - held[:, 4:5]).mean()
    moving = np.abs(held[:, 1:4] - held[:, :3]).mean()
    assert still < 0.02 < moving


def test_mirrored_windows_stay_bodies(folder):
    pairs = Pairs(folder, 'train', 3)
    batch = pairs.draw(64, np.random.default_rng(1))
    offsets = open_skeleton().offsets(batch['betas'])
    joints, _ = forward_kinematics(batch['rotmat'], offsets[:, None])
    assert np.allclose(joints, batch['joints'], atol=1e-5)
    off = (batch['noisy'] - batch['joints'])[(batch['sigma'] < 1).all(-1)]
    # mirrored, an error to the right is one to the left; noise is added to both
    assert np.allclose(np.abs(off[:, 1:].mean(1)), (0.1, 0, 0), atol=0.05)
    right = off[:, 1:, 0].mean(1) > 0
    assert 0.2 < right.mean() < 0.8
    assert MIRROR_29[1] == 2


def test_batches_end_with_pairs(folder):
    rng = np.random.default_rng(2)
    motion = Motion(0.2 * rng.normal(size=(80, 24, 3)).astype(np.float32),
                    np.array([80]), np.array(['s_1']))
    pairs = Pairs(folder, 'train', 1)
    batches = Batches(motion, open_skeleton(), 16, pairs=pairs, pairs_share=0.25)
    batch = batches.draw(rng)
    assert batch['joints'].shape == (16, 1, 29, 3)
    assert np.allclose(batch['sigma'][-4:], 0.2)
    assert batch['rotmat'].dtype == np.float32
    assert Batches(motion, open_skeleton(), 16, pairs_share=0.25).paired == 0


def test_refuses_folders_without_pairs(tmp_path, folder):
    with pytest.raises(InputError, match='nothing'):
        Pairs(tmp_path / 'nothing', 'train', 1)
    with pytest.raises(InputError, match=f'{FRAMES + 1} frames'):
        Pairs(folder, 'train', FRAMES + 1)
