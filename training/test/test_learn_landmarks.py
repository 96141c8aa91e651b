"""``niki-train landmarks`` on made-up shards whose front end has a lasting error."""

from niki_ros.core.skeleton import open_skeleton
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_training import landmark_errors as tool
from niki_training.observe import OWN
from niki_training.train_cli import main
import numpy as np
import pytest
import torch

CLIPS, FRAMES = 6, 40


def _shard(path, rng, **changed):
    """Write people whose joints the front end puts 0.1 m too near, whichever way they turn."""
    found = rng.random((CLIPS, FRAMES)) < 0.9
    rest = open_skeleton().rest_joints_m
    joints = rest - rest[0] + 0.05 * rng.normal(size=(CLIPS, FRAMES, 29, 3))
    joints -= joints[:, :, :1]
    seen = joints.copy()
    seen[:, :, 1:, 2] -= 0.1
    flat = np.full((CLIPS, FRAMES, 33, 2), 0.5) + 0.01 * rng.normal(size=(CLIPS, FRAMES, 33, 2))
    world = 0.3 * rng.normal(size=(CLIPS, FRAMES, 33, 3))
    for array in (seen, flat, world):
        array[~found] = np.nan
    arrays = {
        'joints_m': joints + (0, 0, 3.0), 'obs_found': found, 'obs_joints_m': seen,
        'camera_matrix': np.tile([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]], (CLIPS, 1, 1)),
        'image_size': np.tile([640, 480], (CLIPS, 1)), 'obs_landmarks': flat,
        'obs_landmarks_world_m': world, 'obs_landmarks_seen': np.full(world.shape[:3], 0.9)}
    arrays.update(changed)
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})


def test_a_lasting_error_is_found(tmp_path, capsys):
    """On other people than those that were learned from; the run time reads the file."""
    rng = np.random.default_rng(0)
    _shard(tmp_path / 'train-00000.npz', rng)
    _shard(tmp_path / 'val-00000.npz', rng)
    out = tmp_path / 'weights.npz'
    assert main(['landmarks', str(tmp_path), '--val', str(tmp_path), '--out', str(out),
                 '--steps', '150', '--threads', '1']) == 0
    assert 'corrected' in capsys.readouterr().out
    val = tool.read_samples(tmp_path, 'val')
    before = tool.error_mm(val.seen_m, val.true_m)
    answer = LandmarkErrors.read(out).answer_m(val.shown.numpy())
    after = tool.error_mm(val.seen_m + torch.from_numpy(answer).float(), val.true_m)
    assert before == pytest.approx(96, abs=3), '23 of 24 joints'
    assert after < 0.4 * before


def test_own_joints_are_learned_from_where_there_are_corrected_ones(tmp_path):
    """Else a second training would learn what the first one left."""
    rng = np.random.default_rng(1)
    own = np.zeros((CLIPS, FRAMES, 29, 3))
    _shard(tmp_path / 'train-00000.npz', rng, **{OWN: own})
    assert float(tool.read_samples(tmp_path, 'train').seen_m.abs().max()) == 0


def test_mirrored_twice_is_the_same():
    """And a landmark's left is its right in the mirror."""
    rng = np.random.default_rng(2)
    shapes = ((4, 165), (4, 29, 3), (4, 29, 3))
    one = tool.Samples(*(torch.from_numpy(rng.normal(size=shape).astype(np.float32))
                         for shape in shapes))
    other = tool.mirrored(one)
    for a, b in zip(one, tool.mirrored(other)):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    wrist = one.shown[:, 15 * 3:16 * 3]
    torch.testing.assert_close(other.shown[:, 16 * 3:17 * 3], wrist * torch.tensor([-1.0, 1, 1]))
    assert torch.equal(other.shown[:, 99 + 16], one.shown[:, 99 + 15])


def test_shards_without_landmarks_are_refused(tmp_path, capsys):
    """By name, and a folder without shards too."""
    rng = np.random.default_rng(3)
    _shard(tmp_path / 'train-00000.npz', rng, obs_landmarks=None)
    out = str(tmp_path / 'w.npz')
    assert main(['landmarks', str(tmp_path), '--out', out]) == 2
    assert 'obs_landmarks' in capsys.readouterr().err
    assert main(['landmarks', str(tmp_path / 'none'), '--out', out]) == 2
    assert 'no shards' in capsys.readouterr().err
