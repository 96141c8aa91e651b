"""Windows of rendered people for the lifter, on made-up shards with exact landmarks."""

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT
from niki_ros.body.skeleton import JOINT, open_skeleton
from niki_ros.common.errors import InputError, ModelError
from niki_ros.lifters.window import AGES_S
from niki_ros.models.model_store import find_model
from niki_training.data.augmentation import CAMERA_FROM_UPRIGHT
from niki_training.lift.data import LiftBatches
from niki_training.lift.export import load_lifter
from niki_training.lift.rendered import MixedBatches, RenderedNumbers, RenderedWindows
from niki_training.lift.train import LiftTrainer
import numpy as np
import pytest
import torch

FRAMES, DISTANCE_M, LIMBS = 48, 4.0, slice(0, 12)
EXACT = RenderedNumbers(lasting=0.0, depth_m=0.0, depth_ratio=(1.0, 1.0), hidden_odds=0.0)
# landmarks that are keypoints, by the keypoints' order; the others are where the nose is
_LANDMARKS = [23, 24, 25, 26, 27, 28, 11, 12, 13, 14, 15, 16, 0, 7, 8, 29, 30, 31, 32, 19, 20]


def _shard(moving, path, **changed):
    """Write one clip for each piece of motion, seen exactly but for every fifth frame."""
    posed = LiftBatches(moving, open_skeleton(), 4, errors=False).posed(np.random.default_rng(0))
    points = posed.points[:, -FRAMES:].numpy() @ CAMERA_FROM_UPRIGHT.T
    keypoints, hips = points[:, :, 29:], points[:, :, [JOINT['left_hip'], JOINT['right_hip']]]
    world = np.repeat(keypoints[:, :, 12:13], 33, axis=2)
    world[:, :, _LANDMARKS], world[:, :, 17:19] = keypoints, keypoints[:, :, 19:21]
    matrix = np.array([[800.0, 0, 640], [0, 800, 360], [0, 0, 1]])
    # the hips stay in the middle of the image
    world, joints = (a - hips.mean(2, keepdims=True) for a in (world, points[:, :, :29]))
    placed = world + (0, 0, DISTANCE_M)
    flat = (placed @ matrix.T)[..., :2] / placed[..., 2:]
    found = np.broadcast_to(np.arange(FRAMES) % 5 > 0, world.shape[:2])
    rotmat = posed.rotmat[:, -FRAMES:].numpy().copy()
    rotmat[:, :, 0] = CAMERA_FROM_UPRIGHT @ rotmat[:, :, 0]
    arrays = {'joints_m': joints + (0, 0, DISTANCE_M), 'rotmat': rotmat, 'obs_found': found,
              'obs_landmarks': flat / (1280, 720), 'obs_landmarks_world_m': world,
              'obs_landmarks_seen': np.full(world.shape[:3], 0.99),
              'camera_matrix': np.tile(matrix, (4, 1, 1)),
              'image_size': np.tile((1280, 720), (4, 1))}
    arrays.update(changed)
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})


@pytest.fixture(scope='module')
def folder(moving, tmp_path_factory):
    folder = tmp_path_factory.mktemp('rendered')
    _shard(moving, folder / 'train-00000.npz')
    return folder


def test_mirrored_and_rolled_windows_agree_with_their_joints(folder):
    windows = RenderedWindows([folder], 'train', open_skeleton())
    assert len(windows) > 4 * FRAMES * 0.8, 'every found frame, and those of another rate'
    batch = windows.draw(300, np.random.default_rng(0), EXACT)
    again = windows.draw(300, np.random.default_rng(0), EXACT)
    assert torch.equal(batch.windows.rays, again.windows.rays)
    assert batch.windows.rays.shape == (300, len(AGES_S), 21, 2)
    joints = batch.joints_m[:, JOINT_OF_KEYPOINT[LIMBS]]
    across = joints[..., :2] - joints[:, :2, :2].mean(1, keepdim=True)
    seen = DISTANCE_M * (batch.windows.rays[:, 0, LIMBS]
                         - batch.windows.rays[:, 0, :2].mean(1, keepdim=True))
    assert (seen - across).norm(dim=-1).median() < 0.06, 'correction and perspective'
    mirrored = seen * torch.tensor([-1.0, 1.0])
    assert (mirrored - across).norm(dim=-1).median() > 0.15
    assert np.allclose(batch.twist.norm(dim=-1), 1.0, atol=2e-3)


def test_noise_hides_keypoints_and_stretches_the_depth(folder):
    windows = RenderedWindows([folder], 'train', open_skeleton())
    exact, noisy = (windows.draw(400, np.random.default_rng(1), numbers)
                    for numbers in (EXACT, RenderedNumbers(depth_ratio=(2.0, 2.0))))
    assert float((exact.windows.seen[:, 0] < 0.5).float().mean()) < 0.05
    assert 0.05 < float((noisy.windows.seen[:, 0] < 0.5).float().mean()) < 0.4
    depth = [batch.windows.guess_m[:, 0, LIMBS].square().mean() for batch in (exact, noisy)]
    assert depth[1] > 2 * depth[0]


def test_a_batch_has_simulated_and_rendered_windows(folder, moving):
    simulated = LiftBatches(moving, open_skeleton(), 4)
    mixed = MixedBatches(simulated, RenderedWindows([folder], 'train', open_skeleton()), 10)
    batch = mixed.draw(np.random.default_rng(0))
    assert len(batch.heading) == len(batch.windows.seen) == 10 + 4 * 8
    assert torch.equal(batch.joints_m[:32], simulated.draw(np.random.default_rng(0)).joints_m)


def test_shards_without_landmarks_are_refused(moving, tmp_path):
    _shard(moving, tmp_path / 'train-00000.npz', obs_landmarks=None)
    with pytest.raises(InputError, match='obs_landmarks.*--observe'):
        RenderedWindows([tmp_path], 'train', open_skeleton())
    with pytest.raises(InputError, match='no shards'):
        RenderedWindows([tmp_path / 'other'], 'train', open_skeleton())


def test_training_goes_on_from_the_model_that_ships(folder, moving, tmp_path):
    ships = find_model('lift').path
    mixed = MixedBatches(LiftBatches(moving, open_skeleton(), 4),
                         RenderedWindows([folder], 'train', open_skeleton()), 8)
    trainer = LiftTrainer(mixed, tmp_path, minutes=1, start_from=ships, steps=2)
    before = [value.clone() for value in trainer.net.parameters()]
    trainer.run()
    moved = [float((a - b).detach().abs().max()) for a, b in zip(before, trainer.net.parameters())]
    assert max(moved) > 0 and (tmp_path / 'last.pt').is_file()
    again = load_lifter(ships)
    with pytest.raises(ModelError, match='niki-export'):
        load_lifter(find_model('niki').path)
    assert all(torch.equal(a, b) for a, b in zip(before, again.parameters()))
