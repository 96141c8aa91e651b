"""
Training windows of the lifter from rendered people, as the front end saw them.

Simulated errors of keypoints are independent of the pose. Those of a landmark network are not: it
has its own idea of the depth of each pose, and the lifter learns here what that idea is worth.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from niki_ros.body.keypoints import KEYPOINTS
from niki_ros.body.skeleton import Skeleton
from niki_ros.common.errors import InputError
from niki_ros.lifters.lifter import known_keypoints, MAX_HIDDEN_SEEN
from niki_ros.lifters.window import LiftWindow
from niki_ros.observers.landmark_errors import LandmarkErrors
import numpy as np
import torch
from tqdm import tqdm

from niki_training.front_end.observe import FRAME_NS, observation_at
from niki_training.lift.data import Batch, LiftBatches
from niki_training.lift.keypoint_errors import HIDDEN_GROUPS, KeypointWindows
from niki_training.lift.network import mirrored_body, mirrored_inputs
from niki_training.networks.swing import bone_axes, swing_twist
from niki_training.render.shards import check_keys, read_shard, shard_paths

_KEYS = ('rotmat', 'joints_m', 'obs_found', 'camera_matrix', 'image_size')
_PERIODS = (2, 3)  # frames of a clip between the images of further windows


@dataclass(frozen=True)
class RenderedNumbers:
    """What is added to the keypoints, so that some thousand clips are not learned by heart."""

    lasting: float = 0.02  # error in the image that lasts, over the size of the person
    depth_m: float = 0.03  # error of the estimated depth that lasts
    # estimates of real people are worth less: on video the lifted joints are best with 0.7 of them
    depth_ratio: tuple[float, float] = (0.8, 1.25)
    hidden_odds: float = 0.06  # of each group of keypoints to be hidden
    hidden: float = 0.3  # error in the image of a hidden keypoint
    roll_rad: float = 0.15  # of the camera


class RenderedWindows:
    """Windows of all found frames of ``niki-data render --observe``, in memory."""

    def __init__(self, folders: Sequence[Path], split: str, skeleton: Skeleton, seed: int = 0):
        """Read all shards; observations are recomputed with the correction that ships."""
        axes = torch.as_tensor(bone_axes(skeleton.rest_joints_m), dtype=torch.float32)
        errors, rng = LandmarkErrors.read(), np.random.default_rng(seed)
        paths = [path for folder in folders for path in shard_paths(folder, split)]
        parts = []
        for path in tqdm(paths, disable=None, unit='shard', desc='rendered'):
            rows = _windows_of_shard(path, errors, axes, rng)
            # half precision: 3 kB each
            parts += [[np.array(values, np.float16) for values in zip(*rows)]] if rows else []
        if not parts:
            raise InputError(f'{", ".join(map(str, folders))}: no person was found in {split}')
        self._arrays = [torch.from_numpy(np.concatenate(arrays)) for arrays in zip(*parts)]

    def __len__(self) -> int:
        return len(self._arrays[0])

    def draw(self, count: int, rng, numbers: RenderedNumbers = RenderedNumbers()) -> Batch:
        """Return ``count`` random windows, half of them mirrored, with noise added."""
        torch.manual_seed(int(rng.integers(1 << 31)))
        pick = torch.from_numpy(rng.integers(len(self), size=count))
        rays, seen, guess_m, heading, joints_m, twist = (
            array[pick].float() for array in self._arrays)
        batch = _mirrored_half(Batch(KeypointWindows(rays, seen, guess_m), heading, joints_m,
                                     twist))
        return _with_noise(_rolled(batch, numbers), numbers)


class MixedBatches:
    """Batches of simulated windows and of ``count`` windows of rendered people."""

    def __init__(self, batches: LiftBatches, rendered: RenderedWindows, count: int):
        self.batches, self.rendered, self.count = batches, rendered, count

    def draw(self, rng) -> Batch:
        simulated, rendered = self.batches.draw(rng), self.rendered.draw(self.count, rng)
        windows = KeypointWindows(*map(torch.cat, zip(simulated.windows, rendered.windows)))
        return Batch(windows, *map(torch.cat, zip(simulated[1:], rendered[1:])))


def _windows_of_shard(path: Path, errors: LandmarkErrors, bones, rng) -> list:
    """Return inputs and targets of found frames, at the full rate and at another one."""
    shard = read_shard(path)
    keypoints_of = 'obs_rays' if 'obs_rays' in shard else 'obs_landmarks'
    check_keys(shard, (*_KEYS, keypoints_of), path, 'render it with --observe')
    rotmat = torch.as_tensor(shard['rotmat'], dtype=torch.float32)
    twist = swing_twist(rotmat.flatten(0, 1), bones)[1].unflatten(0, rotmat.shape[:2])
    rows = []
    for clip, found in enumerate(shard['obs_found']):
        keypoints = {t: known_keypoints(observation_at(shard, clip, t, errors))
                     for t in np.flatnonzero(found)}
        for period in (1, int(rng.choice(_PERIODS))):
            window = LiftWindow()
            for t in range(int(rng.integers(period)), len(found), period):
                if t in keypoints:
                    window.push(t * FRAME_NS, keypoints[t])
                    one = window.at_ages()
                    joints_m = shard['joints_m'][clip, t] - shard['joints_m'][clip, t, :1]
                    rows.append((one.rays, one.seen, one.guess_m, one.heading,
                                 joints_m @ one.camera_from_view, twist[clip, t].numpy()))
    return rows


def _mirrored_half(batch: Batch) -> Batch:
    *windows, heading = mirrored_inputs(*batch.windows, batch.heading)
    mirrored = Batch(KeypointWindows(*windows), heading,
                     *mirrored_body(batch.joints_m, batch.twist))
    is_plain = torch.rand(len(heading)) < 0.5

    def chosen(a, b):
        return torch.where(is_plain.view(-1, *[1] * (a.ndim - 1)), a, b)
    return Batch(KeypointWindows(*map(chosen, batch.windows, mirrored.windows)),
                 *map(chosen, batch[1:], mirrored[1:]))


def _rolled(batch: Batch, numbers: RenderedNumbers) -> Batch:
    """Return the batch in a camera that is rolled about the axis of the view."""
    angle = torch.randn(len(batch.heading)) * numbers.roll_rad
    turn = torch.stack([torch.stack([angle.cos(), -angle.sin()], -1),
                        torch.stack([angle.sin(), angle.cos()], -1)], -2)
    flat = torch.cat([batch.joints_m[..., :2] @ turn.mT, batch.joints_m[..., 2:]], -1)
    windows = batch.windows._replace(rays=batch.windows.rays @ turn.mT[:, None])
    return batch._replace(windows=windows, joints_m=flat,
                          heading=(batch.heading[:, None] @ turn.mT)[:, 0])


def _with_noise(batch: Batch, numbers: RenderedNumbers) -> Batch:
    rays, seen, guess_m = batch.windows
    count, now = len(rays), rays[:, 0, :12]
    size = (now - now.mean(1, keepdim=True)).norm(dim=-1).mean(1)[:, None, None, None]
    low, high = numbers.depth_ratio
    ratio = low + (high - low) * torch.rand(count, 1, 1)
    hidden = torch.zeros(count, len(KEYPOINTS), dtype=torch.bool)
    for group in HIDDEN_GROUPS:
        hidden[:, group] |= torch.rand(count, 1) < numbers.hidden_odds
    error = torch.randn(count, 1, len(KEYPOINTS), 2) * torch.where(
        hidden, numbers.hidden, numbers.lasting)[:, None, :, None]
    off_m = numbers.depth_m * torch.randn(count, 1, len(KEYPOINTS))
    seen = torch.where(hidden[:, None], seen * MAX_HIDDEN_SEEN, seen)
    return batch._replace(windows=KeypointWindows(
        rays + error * size, seen, guess_m * ratio + off_m))
