"""
Reader and writer of motion on disk.

A store is one ``.npz``: ``rotvec`` (F, 24, 3) float16 local rotation vectors in radians with y up,
``lengths`` (P,), ``names`` (P,) as ``subject/clip``, ``fps``, ``licence``, ``sources``.
"""

from pathlib import Path

from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
import numpy as np

from niki_training.data.frame_rate import at_30_fps, checked_rate_hz, FPS
from niki_training.data.motion import Motion
from niki_training.files.archives import opened_npz

UNKNOWN = 'not said'  # the licence of an archive that names none
_SUMMARY_SUBJECTS = 5


def write_store(path, motion: Motion, licence: str, sources) -> None:
    """Write a store; ``sources`` are the names of the files from which the motion was read."""
    if not np.isfinite(motion.rotvec).all():
        raise InputError('the motion has values that are not finite')
    with atomic_write(path) as part, open(part, 'wb') as file:
        np.savez_compressed(
            file, rotvec=motion.rotvec.astype(np.float16), lengths=motion.lengths,
            names=motion.names.astype(str), fps=motion.fps, licence=licence,
            sources=np.asarray(list(sources), dtype=str))


def load_motion(path) -> Motion:
    """Read a store, or a published archive of 24-joint motion, at 30 frames per second."""
    path = Path(path)
    with opened_npz(path, 'a motion archive', 'niki-data prepare writes one') as z:
        motion = _read_store(path, z) if 'rotvec' in z else _decode_archive(z)
    _check_pieces(path, motion)
    return motion


def _read_store(path: Path, z) -> Motion:
    rate_hz = checked_rate_hz(path, z['fps']) if 'fps' in z else FPS
    motion = Motion(z['rotvec'].astype(np.float32), z['lengths'].astype(np.int64), z['names'])
    _check_pieces(path, motion)
    pieces = [at_30_fps(piece, rate_hz).astype(np.float32)
              for piece in np.split(motion.rotvec, motion.starts[1:])]
    lengths = np.asarray([len(piece) for piece in pieces])
    return Motion(np.concatenate(pieces), lengths, motion.names)


def _decode_archive(z) -> Motion:
    """Decode a published archive: 16-bit differences of tenths of a degree, split in bytes."""
    tenths_deg = running_sums(z['rot_lo'], z['rot_hi'])
    lengths = z['lengths'].astype(np.int64)
    rotvec = np.zeros((lengths.sum(), 24, 3), dtype=np.float32)
    rotvec[:, z['kept']] = np.radians(tenths_deg.astype(np.float32) * 0.1).reshape(
        len(tenths_deg), -1, 3)
    return Motion(rotvec, lengths, z['names'])


def running_sums(low, high) -> np.ndarray:
    """Return (F, n) int16 sums of differences (n, F), given as their low and high bytes."""
    step = (low.astype(np.uint16) | (high.astype(np.uint16) << 8)).view(np.int16)
    return np.cumsum(step, axis=1, dtype=np.int16).T


def _check_pieces(path: Path, motion: Motion) -> None:
    shape, lengths = motion.rotvec.shape, motion.lengths
    fault = ''
    if shape[1:] != (24, 3):
        fault = f'rotvec has shape {shape}; expected (frames, 24, 3)'
    elif lengths.ndim != 1 or motion.names.shape != lengths.shape:
        fault = f'lengths {lengths.shape} and names {motion.names.shape}; expected one per piece'
    elif not len(lengths) or lengths.min() < 1:
        fault = 'it has an empty piece, or none at all'
    elif lengths.sum() != shape[0]:
        fault = f'its pieces have {lengths.sum()} frames, rotvec has {shape[0]}'
    elif not np.isfinite(motion.rotvec).all():
        fault = 'it has rotations that are not finite'
    if fault:
        raise InputError(f'{path}: {fault}; make it again with niki-data prepare')


def licence_of(path) -> str:
    """Return the licence in a store, or ``UNKNOWN`` for an archive without one."""
    with opened_npz(path, 'a motion archive', 'niki-data prepare writes one') as z:
        return str(z['licence']) if 'licence' in z else UNKNOWN


def summary(motion: Motion) -> str:
    """Return counts, hours, and the shares of the subjects in the motion and in the draws."""
    subjects, counts = np.unique(np.repeat(motion.subjects, motion.lengths), return_counts=True)
    ratio = counts / counts.sum()
    drawn = np.sqrt(ratio) / np.sqrt(ratio).sum()
    hours = counts.sum() / motion.fps / 3600
    lines = [f'{len(motion.lengths)} pieces, {counts.sum()} frames, {hours:.2f} hours, '
             f'{len(subjects)} subjects']
    lines += [f'  subject {subjects[i]}: {ratio[i]:.1%} of the frames, drawn {drawn[i]:.1%}'
              for i in np.argsort(-ratio)[:_SUMMARY_SUBJECTS]]
    return '\n'.join(lines)
