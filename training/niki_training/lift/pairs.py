"""
Training windows of NIKI behind the lifter: lifted joints of motion, with their ground truth.

The interface is that of :class:`niki_training.front_end.pairs.Pairs`. The lifted joints have the
errors of the run time: they last, they are correlated, and sigma is the lifter's own.
"""

from functools import partial
from typing import NamedTuple

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINTS
from niki_ros.body.observation import HIDDEN_SIGMA
from niki_ros.body.rotations import rotmat_from_rotvec, rotvec_from_rotmat, swing_rotmat
from niki_ros.common.errors import InputError
from niki_ros.lifters.lifter import lifted_sigma, Lifter, MAX_HIDDEN_SEEN
from niki_ros.lifters.window import AGES_S
from niki_ros.observers.landmark_observation import joint_sigma, LANDMARK_WEIGHTS
from niki_ros.people.stages.extrapolate_hidden_joints import ExtrapolationNumbers
import numpy as np
import torch
from tqdm import tqdm

from niki_training.lift.data import LiftBatches, PIECE_FRAMES, random_views
from niki_training.lift.keypoint_errors import exact, KeypointErrorNumbers, KeypointErrors

RATE_HZ = 30.0
_HISTORY = int(np.ceil(AGES_S[-1] * RATE_HZ)) + 1
LENGTH = PIECE_FRAMES - _HISTORY  # frames of a piece of motion with a whole window before them
_NEW_PERSON_ODDS = 0.4  # of a piece to begin with a person who was not seen before
_FORWARD = np.array([0.0, 0.0, 1.0])
_MAX_TANGENT = 20.0


class LifterInputs(NamedTuple):
    """Parts of the pipeline that are used, for ablations."""

    window: bool = True  # False = only the newest image
    depth: bool = True  # False = no estimated depth
    extrapolation: bool = True  # hidden joints are extrapolated, as in the pipeline


ALL_INPUTS = LifterInputs()


class _Pool(NamedTuple):
    """Arrays (P, LENGTH, ...) of ``draw``, rotations as vectors; ``begins`` (P,) first frame."""

    rotvec: np.ndarray
    joints: np.ndarray
    noisy: np.ndarray
    sigma: np.ndarray
    twist: np.ndarray
    betas: np.ndarray
    begins: np.ndarray


class LiftedPairs:
    """Lifted joints of ``pieces`` of motion and their ground truth, in windows of ``frames``."""

    def __init__(self, batches: LiftBatches, lifter: Lifter, frames: int, pieces: int = 6000,
                 seed: int = 0, inputs: LifterInputs = ALL_INPUTS):
        """Lift all pieces once; ten thousand take some minutes."""
        if frames > LENGTH:
            raise InputError(f'windows have {frames} frames; lifted motion has {LENGTH}')
        self.frames, self._lifter_sha256 = frames, lifter.engine.describe().get('sha256', '')
        rng = np.random.default_rng([seed, 4])
        parts = [_lifted_pieces(batches, lifter, frames, rng, inputs) for _ in tqdm(
            range(-(-pieces // batches.pieces)), disable=None, unit='batch', desc='lift')]
        self._pool = _Pool(*(np.concatenate(values) for values in zip(*parts)))

    def digest(self) -> str:
        """Return the lifter's hash, kept in checkpoints."""
        return str(self._lifter_sha256)[:16]

    def draw(self, count: int, rng) -> dict:
        """
        Return ``count`` random windows.

        :return: ``rotmat`` (N, T, 24, 3, 3), ``joints`` and ``noisy`` (N, T, 29, 3) root-relative
            in camera axes, ``sigma`` (N, T, 29), ``betas`` (N, 10), ``twist`` (N, T, 23, 2).
        """
        pool = self._pool
        piece = rng.integers(len(pool.betas), size=count)
        first = pool.begins[piece]
        last = np.where(first > 0, first, LENGTH - self.frames)
        start = rng.integers(first, last + 1)
        at = piece[:, None], start[:, None] + np.arange(self.frames)
        return {'rotmat': rotmat_from_rotvec(pool.rotvec[at]).astype(np.float32),
                'joints': pool.joints[at], 'noisy': pool.noisy[at], 'sigma': pool.sigma[at],
                'twist': pool.twist[at], 'betas': pool.betas[piece]}


def _lifted_pieces(batches: LiftBatches, lifter: Lifter, frames: int, rng,
                   inputs: LifterInputs) -> _Pool:
    posed = batches.posed(rng)
    count = batches.pieces
    view, heading, distance_m = random_views(count, rng)
    towards = torch.cat([heading, torch.ones(count, 1)], 1).numpy()
    camera_from_view = torch.as_tensor(swing_rotmat(_FORWARD, towards), dtype=torch.float32)
    hips = posed.points[:, -1, 1:3].mean(1)
    points = (posed.points - hips[:, None, None]) @ view[:, None].transpose(-1, -2)
    place = torch.zeros(count, 1, 1, 3)
    place[..., 2] = distance_m[:, None, None]
    begins = np.where(rng.random(count) < _NEW_PERSON_ODDS,
                      rng.integers(0, LENGTH - frames + 1, count), 0)
    torch.manual_seed(int(rng.integers(1 << 31)))
    rays, seen, guess_m = _observed(points[:, :, 29:] + place, camera_from_view, batches.errors)
    seen[torch.arange(PIECE_FRAMES) < torch.as_tensor(begins)[:, None] + _HISTORY
         * torch.as_tensor(begins > 0)[:, None]] = 0.0
    visible = seen.numpy()[..., _KEYPOINT_OF_LANDMARK] @ LANDMARK_WEIGHTS.T
    hidden = joint_sigma(visible, np.zeros(29)) >= HIDDEN_SIGMA
    known = torch.where(torch.as_tensor(hidden[..., JOINT_OF_KEYPOINT]),
                        seen.clamp_max(MAX_HIDDEN_SEEN), seen)
    noisy, sigma, twist = _lift(lifter, rays, known, guess_m * inputs.depth, hidden[:, _HISTORY:],
                                inputs.window)
    turn = (camera_from_view @ view)[:, None]
    rotmat = posed.rotmat[:, _HISTORY:].clone()
    rotmat[:, :, 0] = turn @ rotmat[:, :, 0]
    if inputs.extrapolation:
        noisy = _extrapolated(noisy, hidden[:, _HISTORY:], rotmat[:, :, 0].numpy(), begins)
    joints = posed.points[:, _HISTORY:, :29] @ turn.transpose(-1, -2)
    return _Pool(rotvec_from_rotmat(rotmat.numpy()).astype(np.float32),
                 (joints - joints[:, :, :1]).numpy(), noisy, sigma, twist,
                 posed.betas.astype(np.float32), begins)


def _observed(keypoints, camera_from_view, with_errors: bool):
    """
    Return keypoints (P, F, 21, 3), axes of the view, as observed by a front end.

    :return: rays (P, F, 21, 3), camera axes; visibility (P, F, 21); and estimated positions about
        the hips (P, F, 21, 3), camera axes, metres.
    """
    count, frames = keypoints.shape[:2]
    numbers = KeypointErrorNumbers(image_count=frames)
    observe = (KeypointErrors(keypoints[:, -1], count, numbers).observed if with_errors else exact)
    images = []
    for frame in range(frames):
        age = frames - 1 - frame
        truth = keypoints[:, frame]
        tangents, seen, depth_m = observe(
            truth, torch.full((count,), age / RATE_HZ), torch.full((count,), age))
        about = truth - truth[:, :2].mean(1, keepdim=True)
        images.append((torch.cat([tangents, torch.ones_like(depth_m)[..., None]], -1), seen,
                       torch.cat([about[..., :2], depth_m[..., None]], -1)))
    rays, seen, guess_m = (torch.stack(values, 1) for values in zip(*images))
    turn = camera_from_view[:, None].transpose(-1, -2)
    return torch.nn.functional.normalize(rays @ turn, dim=-1), seen, guess_m @ turn


def _lift(lifter: Lifter, rays, seen, guess_m, hidden, window: bool):
    """Return joints (P, LENGTH, 29, 3), sigma (P, LENGTH, 29) and twist (P, LENGTH, 23, 2)."""
    ages = torch.as_tensor(AGES_S * RATE_HZ, dtype=torch.float32)
    first = ages.floor().long()
    share = ages - first
    joints, sigmas, twists = [], [], []
    for i, end in enumerate(range(_HISTORY, PIECE_FRAMES)):
        hips = rays[:, end, :2].sum(1).numpy()
        turn = torch.as_tensor(swing_rotmat(_FORWARD, hips), dtype=torch.float32)
        at_ages = partial(_interpolated, end - first, share)
        viewed = rays[:, :end + 1] @ turn[:, None]
        tangents = viewed[..., :2] / viewed[..., 2:].clamp_min(0.05)
        tangents = tangents.clamp(-_MAX_TANGENT, _MAX_TANGENT)
        heading = hips[:, :2] / np.maximum(hips[:, 2:], 0.05)
        out = lifter.engine.run({
            'rays': at_ages(tangents), 'seen': at_ages(seen) * (window | (AGES_S == 0))[:, None],
            'guess': at_ages((guess_m[:, :end + 1] @ turn[:, None])[..., 2]),
            'heading': np.clip(heading, -_MAX_TANGENT, _MAX_TANGENT)})
        joints.append(out['joints'] @ turn.numpy().swapaxes(-1, -2))
        sigmas.append(lifted_sigma(out['spread'], hidden[:, i]))
        twists.append(out['twist'] / np.maximum(
            np.linalg.norm(out['twist'], axis=-1, keepdims=True), 1e-6))
    return tuple(np.stack(values, 1).astype(np.float32) for values in (joints, sigmas, twists))


def _interpolated(frame, share, values):
    """Return values (P, 16, 21, ...) between frames (16,) of (P, F, 21, ...) and those before."""
    share = share.view(-1, *[1] * (values.ndim - 2))
    before = values[:, (frame - 1).clamp_min(0)]
    return ((1 - share) * values[:, frame] + share * before).numpy()


# eyes and mouth have the visibility of the nose, fingers that of the knuckles
_KEYPOINT_OF_LANDMARK = [KEYPOINTS.index(name) for name in (
    *('nose',) * 7, 'left_ear', 'right_ear', 'nose', 'nose', 'left_shoulder', 'right_shoulder',
    'left_elbow', 'right_elbow', 'left_wrist', 'right_wrist',
    *('left_knuckles', 'right_knuckles') * 3, 'left_hip', 'right_hip', 'left_knee', 'right_knee',
    'left_ankle', 'right_ankle', 'left_heel', 'right_heel', 'left_toe', 'right_toe')]


def _extrapolated(noisy, hidden, root, begins) -> np.ndarray:
    """
    Return joints with hidden ones at their last place relative to the trunk, as in the pipeline.

    :param noisy: (P, T, 29, 3). :param hidden: (P, T, 29). :param root: (P, T, 3, 3) of the trunk.
    """
    placed, numbers = noisy.copy(), ExtrapolationNumbers()
    unseen_s = np.full((len(noisy), 29), np.inf)
    for t in range(noisy.shape[1]):
        new = (t == begins)[:, None]
        unseen_s = np.where(hidden[:, t], np.where(new, np.inf, unseen_s) + 1 / RATE_HZ, 0.0)
        if t == 0:
            continue
        weights = np.where(hidden[:, t], numbers.weights(unseen_s), 0.0)[..., None]
        step = root[:, t] @ root[:, t - 1].swapaxes(-1, -2)
        moved = placed[:, t - 1] @ step.swapaxes(-1, -2)
        placed[:, t] += weights * (moved - placed[:, t])
    return placed - placed[:, :, :1]
