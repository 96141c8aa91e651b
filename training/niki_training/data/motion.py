"""Motion to training batches: the store, balanced sampling, augmentation, corruption."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from pathlib import Path

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.shape import (
    body_scale,
    resized_betas,
    scale_per_beta,
    shape_information,
    size_sigma,
)
from niki_ros.body.skeleton import MIRROR_29, Skeleton
from niki_ros.body.trunk_frame import trunk_frame
from niki_ros.common.errors import InputError
from niki_ros.solvers.joint_filter import JointFilter
import numpy as np

from niki_training.corrupt import corrupt
from niki_training.data.frame_rate import at_30_fps, checked_rate_hz, FPS
from niki_training.files.archives import opened_npz

CAMERA_FROM_UPRIGHT = np.diag([1.0, -1.0, -1.0])
"""Turns motion axes (y up) into camera axes (y down) of a camera that the person faces."""

_SHAPE_ERROR = 0.6
"""Of the pipeline's estimate of a person: the betas behind the first."""
_HANDED_DOWN, _HANDED_DOWN_PAIRED, _LEAST_DOUBT = 0.4, 0.7, 0.3
"""Shares of a batch, and of its pairs, that come with a shape as the pipeline estimates it."""


@dataclass
class Motion:
    """
    Pieces of motion, end to end.

    :param rotvec: (F, 24, 3) float32 local rotation vectors, radians; joint 0 in axes with y up.
    :param lengths: (P,) frames of each piece.
    :param names: (P,) of the pieces, see :func:`subject_of`.
    :param fps: frames a second.
    """

    rotvec: np.ndarray
    lengths: np.ndarray
    names: np.ndarray
    fps: float = FPS

    @property
    def starts(self) -> np.ndarray:
        """Return the first frame of each piece (P,)."""
        return np.cumsum(self.lengths) - self.lengths

    def digest(self) -> str:
        """Return a hash of the motion, kept in checkpoints."""
        parts = (self.rotvec[::97].tobytes(), self.lengths.tobytes())
        return hashlib.sha256(b''.join(parts)).hexdigest()[:16]


def subject_of(name) -> str:
    """Return whose motion a piece is: ``subject/clip``, or in older archives ``subject_clip``."""
    subject, slash, _ = str(name).rpartition('/')
    return subject if slash else str(name).split('_')[0]


def joined(parts) -> Motion:
    """Return the pieces of several motions as one."""
    return Motion(np.concatenate([part.rotvec for part in parts]),
                  np.concatenate([part.lengths for part in parts]),
                  np.concatenate([part.names for part in parts]))


def load_motion(path) -> Motion:
    """
    Read an archive of 24-joint motion, or a store written by ``niki-data prepare``.

    :raises InputError: when it is neither, or not whole.
    """
    path = Path(path)
    with opened_npz(path, 'a motion archive', 'niki-data prepare writes one') as z:
        motion = _stored(path, z) if 'rotvec' in z else _decode(z)
    _check_pieces(path, motion)
    return motion


def _stored(path: Path, z) -> Motion:
    """Return the motion of a store, at 30 frames a second."""
    rate_hz = checked_rate_hz(path, z['fps']) if 'fps' in z else FPS
    motion = Motion(z['rotvec'].astype(np.float32), z['lengths'].astype(np.int64), z['names'])
    _check_pieces(path, motion)
    return _resampled(motion, rate_hz)


def _check_pieces(path: Path, motion: Motion) -> None:
    """
    Refuse motion whose parts do not fit together.

    :raises InputError: naming what does not fit.
    """
    shape, lengths = motion.rotvec.shape, motion.lengths
    fault = ''
    if shape[1:] != (24, 3):
        fault = f'rotvec has shape {shape}; expected (frames, 24, 3)'
    elif lengths.ndim != 1 or motion.names.shape != lengths.shape:
        fault = f'lengths {lengths.shape} and names {motion.names.shape}; expected one a piece'
    elif not len(lengths) or lengths.min() < 1:
        fault = 'there is an empty piece in it, or none at all'
    elif lengths.sum() != shape[0]:
        fault = f'its pieces have {lengths.sum()} frames, rotvec has {shape[0]}'
    elif not np.isfinite(motion.rotvec).all():
        fault = 'it has rotations that are not finite'
    if fault:
        raise InputError(f'{path}: {fault}; make it again with niki-data prepare')


def _resampled(motion: Motion, rate_hz: float) -> Motion:
    """Return the pieces at 30 frames a second: losses, filters and networks count on it."""
    pieces = np.split(motion.rotvec, motion.starts[1:])
    pieces = [at_30_fps(piece, rate_hz).astype(np.float32) for piece in pieces]
    lengths = np.asarray([len(piece) for piece in pieces])
    return Motion(np.concatenate(pieces), lengths, motion.names)


def _decode(z) -> Motion:
    """Decode the published archives: 16-bit differences of tenths of a degree, split in bytes."""
    tenths = running_sums(z['rot_lo'], z['rot_hi'])
    lengths = z['lengths'].astype(np.int64)
    rotvec = np.zeros((lengths.sum(), 24, 3), dtype=np.float32)
    rotvec[:, z['kept']] = np.radians(tenths.astype(np.float32) * 0.1).reshape(
        len(tenths), -1, 3)
    return Motion(rotvec, lengths, z['names'])


def running_sums(low, high) -> np.ndarray:
    """Return (F, n) int16 of differences (n, F), given as their low and high bytes."""
    step = (low.astype(np.uint16) | (high.astype(np.uint16) << 8)).view(np.int16)
    return np.cumsum(step, axis=1, dtype=np.int16).T


class Windows:
    """
    Balanced draws of windows of consecutive frames.

    A subject with n frames is drawn in proportion to the square root of n, so that walking, which
    fills a few subjects, does not crowd out the rest; bent poses are drawn more often than upright
    ones, up to six times.
    """

    def __init__(self, motion: Motion, frames: int):
        """Prepare draws of ``frames`` consecutive frames."""
        self.motion, self.frames = motion, frames
        usable = motion.lengths >= frames
        if not usable.any():
            raise InputError(
                f'no piece of the motion has {frames} frames, the longest has '
                f'{max(motion.lengths, default=0)}: single images cannot train what looks at '
                'frames one after another; prepare sequences, or set frames=… lower')
        lengths = np.where(usable, motion.lengths - frames + 1, 0)
        subjects = np.asarray([subject_of(name) for name in motion.names])
        total = {s: lengths[subjects == s].sum() for s in set(subjects)}
        weight = np.repeat([1 / np.sqrt(max(total[s], 1)) for s in subjects], motion.lengths)
        first = np.concatenate([np.arange(n) < m for n, m in zip(motion.lengths, lengths)])
        bent = np.linalg.norm(motion.rotvec[:, 1:], axis=-1).mean(axis=1)
        weight = weight * first * (0.5 + np.minimum(bent / np.median(bent), 2.5))
        self._cumulative = np.cumsum(weight / weight.sum())

    def draw_starts(self, count: int, rng) -> np.ndarray:
        """Return the first frames (count,) of windows."""
        return np.searchsorted(self._cumulative, rng.random(count) * self._cumulative[-1])

    def draw(self, count: int, rng) -> np.ndarray:
        """Return rotation vectors (count, frames, 24, 3)."""
        start = self.draw_starts(count, rng)
        return self.motion.rotvec[start[:, None] + np.arange(self.frames)]


def mirrored(rotvec) -> np.ndarray:
    """Mirror poses (..., 24, 3) left to right: exchange sides, flip the rotations' y and z."""
    return rotvec[..., list(MIRROR_29[:24]), :] * np.asarray([1.0, -1.0, -1.0])


def camera_views(count: int, rng, pitch_deg: float = 40.0, roll_deg: float = 10.0) -> np.ndarray:
    """Return camera-from-upright rotations (count, 3, 3): any heading, moderate pitch and roll."""
    heading = np.zeros((count, 3))
    heading[:, 1] = rng.uniform(-np.pi, np.pi, count)
    pitch = np.zeros((count, 3))
    pitch[:, 0] = np.radians(rng.uniform(-pitch_deg, pitch_deg, count))
    roll = np.zeros((count, 3))
    roll[:, 2] = np.radians(np.clip(rng.normal(size=count) * roll_deg / 2, -roll_deg, roll_deg))
    tilt = rotmat_from_rotvec(roll) @ rotmat_from_rotvec(pitch)
    return tilt @ CAMERA_FROM_UPRIGHT @ rotmat_from_rotvec(heading)


def random_betas(count: int, rng, components: int = 10) -> np.ndarray:
    """Return shapes (count, 10): any size of 0.8 … 1.2, proportions of the shape space."""
    betas = np.clip(rng.normal(size=(count, components)), -2.5, 2.5)
    betas[rng.random(count) < 0.4, 1:] = 0.0
    betas[:, 0] = np.where(rng.random(count) < 0.5, betas[:, 0], rng.uniform(-3, 3, count))
    return betas


def augmented(rotvec, rng, skeleton: Skeleton):
    """
    Turn windows of motion into posed bodies before a camera.

    :param rotvec: (B, T, 24, 3).
    :return: rotmat (B, T, 24, 3, 3) in camera axes, joints (B, T, 29, 3), betas (B, 10).
    """
    mirror = rng.random((len(rotvec), 1, 1, 1)) < 0.5
    rotvec = np.where(mirror, mirrored(rotvec), rotvec)
    rotmat = rotmat_from_rotvec(rotvec)
    views = camera_views(len(rotvec), rng)
    rotmat[:, :, 0] = views[:, None] @ rotmat[:, :, 0]
    betas = random_betas(len(rotvec), rng)
    joints, _ = forward_kinematics(rotmat, skeleton.offsets(betas)[:, None])
    return rotmat, joints, betas


def observed(joints, sigma, skeleton: Skeleton, betas=None, doubt=None) -> dict:
    """
    What the network is given for an observation: the same steps as the runtime's.

    :param joints: (N, 29, 3) camera axes. :param sigma: (N, 29).
    :param betas: (N, 10), or None to estimate them frame by frame.
    :param doubt: (N,) standard deviation of the first of ``betas``; None = 0.
    :return: joints (N, 29, 3) in the trunk's frame and scaled to the mean body, sigma, condition
        (N, 17), rotation and scale of the frame, offsets (N, 29, 3).
    """
    if betas is None:
        betas, information = shape_information(joints, sigma, skeleton)
        doubt = size_sigma(information)
    doubt = np.zeros(len(joints)) if doubt is None else doubt
    scale = body_scale(betas, skeleton)
    frame = trunk_frame(joints, sigma, skeleton.rest(betas))
    return {
        'joints': frame.to_trunk(joints) / scale[:, None, None],
        'sigma': sigma,
        'condition': np.concatenate([betas, frame.camera_axes(), doubt[:, None]], axis=-1),
        'turn': frame.camera_from_trunk,
        'scale': scale,
        'offsets': skeleton.offsets(betas) / scale[:, None, None],
    }


def filtered(joints, sigma, betas, frames: int, skeleton: Skeleton):
    """
    Pass windows through the runtime's filter of joints.

    :param joints: (B · frames, 29, 3). :param sigma: (B · frames, 29). :param betas: likewise.
    :return: joints relative to the trunk, and sigma, of the same shapes.
    """
    origin = trunk_frame(joints, sigma, skeleton.rest(betas)).origin_m
    points = (joints - origin[:, None]).reshape(-1, frames, 29, 3)
    spread = sigma.reshape(-1, frames, 29)
    state = JointFilter()
    out = [state.step(points[:, t], spread[:, t], 1 / 30) for t in range(frames)]
    return (np.stack([p for p, _ in out], axis=1).reshape(-1, 29, 3),
            np.stack([s for _, s in out], axis=1).reshape(-1, 29))


def batch_of(rotmat, joints, true_betas, seen: dict, skeleton: Skeleton) -> dict:
    """
    Join observations and their truth into one batch of float32 arrays.

    The true rotations and joints are in the trunk's frame of the observation, the joints
    root-relative and scaled as the observation is; size is the log of true over assumed size.

    :param rotmat: (N, 24, 3, 3). :param joints: (N, 29, 3). :param true_betas: (N, 10).
    """
    truth = rotmat.copy()
    truth[:, 0] = np.swapaxes(seen['turn'], -1, -2) @ truth[:, 0]
    target = (joints @ seen['turn']) / seen['scale'][:, None, None]
    size = np.log(body_scale(true_betas, skeleton) / seen['scale'])[:, None]
    batch = dict(seen, rotmat=truth, target=target, size=size)
    return {k: v.astype(np.float32) for k, v in batch.items()}


class Batches:
    """
    An endless stream of training batches, seeded.

    :param clean_share: the first share of each batch is left without corruption.
    :param pairs: what a real front end saw, with ``draw(count, rng)``, or None.
    :param pairs_share: the last share of each batch, drawn from ``pairs``.
    """

    def __init__(self, motion: Motion, skeleton: Skeleton, batch: int, frames: int = 1,
                 seed: int = 0, clean_share: float = 0.125, pairs=None,
                 pairs_share: float = 0.0):
        """Keep what a draw needs."""
        self.windows = Windows(motion, frames)
        self.skeleton, self.batch, self.seed = skeleton, batch, seed
        self.clean = int(batch * clean_share)
        self.pairs = pairs
        self.paired = int(batch * pairs_share) if pairs else 0

    def draw(self, rng) -> dict:
        """Return one batch of arrays (B, T, …)."""
        rotmat, joints, betas = augmented(
            self.windows.draw(self.batch - self.paired, rng), rng, self.skeleton)
        noisy, sigma = corrupt.training_mix(joints, rng, self.clean)
        if self.paired:
            paired = self.pairs.draw(self.paired, rng)
            rotmat, joints, betas, noisy, sigma = (
                np.concatenate([one, paired[name]]) for name, one in (
                    ('rotmat', rotmat), ('joints', joints), ('betas', betas), ('noisy', noisy),
                    ('sigma', sigma)))
        batch, frames = sigma.shape[:2]
        noisy, sigma = noisy.reshape(-1, 29, 3), sigma.reshape(-1, 29)
        if frames > 1:
            shape = self._tracked(noisy, sigma, betas, frames, rng)
        else:
            shape = self._single(noisy, sigma, betas, rng)
        shape = self._handed_down(*shape, betas, frames, rng)
        if frames > 1:
            noisy, sigma = filtered(noisy, sigma, shape[0], frames, self.skeleton)
        seen = observed(noisy, sigma, self.skeleton, *shape)
        out = batch_of(rotmat.reshape(-1, 24, 3, 3), joints.reshape(-1, 29, 3),
                       np.repeat(betas, frames, axis=0), seen, self.skeleton)
        out = {k: v.reshape((batch, frames) + v.shape[1:]) for k, v in out.items()}
        out['twist'] = np.zeros((batch, frames, 46), np.float32)
        if self.paired and 'twist' in paired:
            out['twist'][-self.paired:] = paired['twist'].reshape(self.paired, frames, 46)
        return out

    def _handed_down(self, guess, doubt, betas, frames, rng):
        """Exchange some shapes for such as the pipeline has estimated, with what it doubts."""
        count = len(betas)
        share = np.full(count, _HANDED_DOWN)
        share[count - self.paired:] = _HANDED_DOWN_PAIRED
        chosen = rng.random(count) < share
        unsure = rng.uniform(_LEAST_DOUBT, 1.0, count)
        growth = scale_per_beta(self.skeleton)
        near = resized_betas(betas, unsure * growth * rng.normal(size=count), self.skeleton)
        near[:, 1:] += _SHAPE_ERROR * rng.normal(size=near[:, 1:].shape)
        near, unsure, each = (np.repeat(one, frames, axis=0) for one in (near, unsure, chosen))
        return np.where(each[:, None], near, guess), np.where(each, unsure, doubt)

    def _single(self, noisy, sigma, betas, rng):
        """Estimate the shape of single frames; every fourth is given the truth."""
        guess, information = shape_information(noisy, sigma, self.skeleton)
        given = rng.random(len(betas)) < 0.25
        doubt = np.where(given, 0.0, size_sigma(information))
        return np.where(given[:, None], betas, guess), doubt

    def _tracked(self, noisy, sigma, betas, frames, rng):
        """Estimate the shape as a track does: information adds up, from an earlier past on."""
        guess, information = shape_information(noisy, sigma, self.skeleton)
        guess = guess.reshape(-1, frames, 10, 1)
        information = information.reshape(-1, frames, 10, 10)
        before = np.exp(rng.uniform(-3, 5, (len(betas), 1, 1))) * information[:, 0]
        root = np.linalg.cholesky(before + 1e-6 * np.eye(10))
        noise = np.linalg.solve(root.swapaxes(1, 2), rng.normal(size=(len(betas), 10, 1)))
        total = np.cumsum(information, axis=1) + before[:, None]
        vector = np.cumsum(information @ guess, axis=1) + (
            before @ (betas[..., None] + np.clip(noise, -1, 1)))[:, None]
        mean = np.linalg.solve(total + np.eye(10), vector)[..., 0]
        return np.clip(mean, -5, 5).reshape(-1, 10), size_sigma(total.reshape(-1, 10, 10))

    def __iter__(self):
        """Yield batches without end; each worker has its own stream."""
        import torch
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng([self.seed, worker.id if worker else 0])
        while True:
            yield {k: torch.from_numpy(v) for k, v in self.draw(rng).items()}

