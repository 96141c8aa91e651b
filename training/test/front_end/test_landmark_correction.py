"""``niki-train landmarks`` on made-up shards whose front end has a lasting error."""

from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.observers.landmark_observation import box_size, observation_from_landmarks
from niki_training.cli.train import main
from niki_training.front_end import landmark_correction as tool
import numpy as np
import pytest
import torch

CLIPS, FRAMES, SIZE = 6, 40, (640, 480)


def _shard(path, rng, **changed):
    """Write people whom the front end sees 0.1 m, and 0.1 of the box, too far above their hips."""
    found = rng.random((CLIPS, FRAMES)) < 0.9
    world = 0.3 * rng.normal(size=(CLIPS, FRAMES, 33, 3))
    flat = 0.5 + 0.3 * world[..., :2]
    seen = np.full(world.shape[:3], 0.97)
    joints, pixels = (np.zeros((CLIPS, FRAMES, 29, size)) for size in (3, 2))
    for at in np.ndindex(CLIPS, FRAMES):
        one = observation_from_landmarks(flat[at], world[at], seen[at], SIZE)
        joints[at] = one.joints_m + (0, 0.1, 0)
        joints[at][0] = 0
        pixels[at] = one.keypoints_px + (0, 0.1 * box_size(one.box_px))
    for array in (flat, world, seen):
        array[~found] = np.nan
    arrays = {
        'joints_m': joints + (0, 0, 3.0), 'keypoints_px': pixels, 'obs_found': found,
        'camera_matrix': np.tile([[5e4, 0, 320], [0, 5e4, 240], [0, 0, 1]], (CLIPS, 1, 1)),
        'image_size': np.tile(SIZE, (CLIPS, 1)), 'obs_landmarks': flat,
        'obs_landmarks_world_m': world, 'obs_landmarks_seen': seen}
    arrays.update(changed)
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})


def test_a_lasting_error_is_found(tmp_path, capsys):
    """On other people than those of the training; the node reads the file."""
    rng = np.random.default_rng(0)
    _shard(tmp_path / 'train-00000.npz', rng)
    _shard(tmp_path / 'val-00000.npz', rng)
    out = tmp_path / 'weights.npz'
    assert main(['landmarks', str(tmp_path), '--val', str(tmp_path), '--out', str(out),
                 '--steps', '150', '--threads', '1']) == 0
    assert 'corrected' in capsys.readouterr().out
    val = tool.read_samples(tmp_path, 'val')
    before = tool.error_mm(val.observed_m, val.true_m)
    metres, flat = LandmarkErrors.read(out).answer(val.inputs.numpy())
    after = tool.error_mm(val.observed_m + torch.from_numpy(metres).float(), val.true_m)
    assert before == pytest.approx(96, abs=3), '23 of 24 joints'
    assert after < 0.4 * before
    known = torch.isfinite(val.image_error).all(-1).numpy()
    assert known.any()
    left = np.linalg.norm(val.image_error.numpy()[known] - flat[known], axis=-1)
    assert np.median(left) < 0.04, '0.1 before'


def test_mirrored_twice_is_the_same_and_left_is_right_in_the_mirror():
    rng = np.random.default_rng(2)
    shapes = ((4, 165), (4, 29, 3), (4, 29, 3), (4, 29, 2))
    one = tool.Samples(*(torch.from_numpy(rng.normal(size=shape).astype(np.float32))
                         for shape in shapes))
    other = tool.mirrored(one)
    for a, b in zip(one, tool.mirrored(other)):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    wrist = one.inputs[:, 15 * 3:16 * 3]
    torch.testing.assert_close(other.inputs[:, 16 * 3:17 * 3], wrist * torch.tensor([-1.0, 1, 1]))
    assert torch.equal(other.inputs[:, 99 + 16], one.inputs[:, 99 + 15])


def test_shards_without_landmarks_are_refused(tmp_path, refused):
    rng = np.random.default_rng(3)
    _shard(tmp_path / 'train-00000.npz', rng, obs_landmarks=None)
    for folder, message in ((tmp_path, 'obs_landmarks'), (tmp_path / 'none', 'no shards')):
        refused(main, ['landmarks', folder, '--out', tmp_path / 'w.npz'], message)


def test_one_network_answers_the_mean_of_two():
    rng = np.random.default_rng(4)

    def weights(width):
        sizes = {'weight0': (width, tool.INPUTS), 'bias0': (width,), 'weight1': (width, width),
                 'bias1': (width,), 'weight2': (tool.OUTPUTS, width), 'bias2': (tool.OUTPUTS,),
                 'mean': (tool.INPUTS,)}
        drawn = {name: rng.normal(0, 0.2, size) for name, size in sizes.items()}
        return {**drawn, 'scale': rng.uniform(0.5, 2.0, tool.INPUTS)}
    both = weights(16), weights(24)
    shown = rng.normal(0, 1, (5, tool.INPUTS))
    wanted = [LandmarkErrors(one).answer(shown) for one in both]
    found = LandmarkErrors(tool.averaged(list(both))).answer(shown)
    for part in (0, 1):
        np.testing.assert_allclose(found[part], (wanted[0][part] + wanted[1][part]) / 2, atol=1e-9)
