"""The store of motion on disk, and what is said about one."""

from __future__ import annotations

from niki_ros.core.errors import InputError
import numpy as np

from niki_training.data import Motion, subject_of


def write_store(path, motion: Motion, licence: str, sources) -> None:
    """
    Write a store.

    :param sources: names of the files it was made from.
    :raises InputError: when a rotation is not finite, or the file cannot be written.
    """
    if not np.isfinite(motion.rotvec).all():
        raise InputError('the motion has values that are not finite')
    try:
        np.savez_compressed(
            path, rotvec=motion.rotvec.astype(np.float16), lengths=motion.lengths,
            names=motion.names.astype(str), fps=motion.fps, licence=licence,
            sources=np.asarray(list(sources), dtype=str))
    except OSError as error:
        raise InputError(f'{path}: cannot be written: {error.strerror or error}') from error


def licence_of(path) -> str:
    """Return the licence that a store names; of an archive without one that it names none."""
    with np.load(path, allow_pickle=False) as z:
        return str(z['licence']) if 'licence' in z else 'not said'


def summary(motion: Motion) -> str:
    """Return counts, hours, and how the motion is spread over the subjects."""
    subjects = np.asarray([subject_of(name) for name in motion.names])
    frames = {s: int(motion.lengths[subjects == s].sum()) for s in sorted(set(subjects))}
    total = sum(frames.values())
    share = np.asarray(list(frames.values())) / total
    drawn = np.sqrt(share) / np.sqrt(share).sum()
    lines = [f'{len(motion.lengths)} pieces, {total} frames, '
             f'{total / motion.fps / 3600:.2f} hours, {len(frames)} subjects']
    order = np.argsort(-share)[:5]
    lines += [f'  subject {list(frames)[i]}: {share[i]:.1%} of the frames, drawn {drawn[i]:.1%}'
              for i in order]
    return '\n'.join(lines)
