"""The store of motion on disk, and what is said about one."""

from __future__ import annotations

from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
import numpy as np

from niki_training.data.motion import Motion, subject_of
from niki_training.files.archives import opened_npz

UNKNOWN = 'not said'
"""The licence of an archive that names none."""


def write_store(path, motion: Motion, licence: str, sources) -> None:
    """
    Write a store.

    :param sources: names of the files it was made from.
    :raises InputError: when a rotation is not finite.
    :raises OutputError: when the file cannot be written to its end.
    """
    if not np.isfinite(motion.rotvec).all():
        raise InputError('the motion has values that are not finite')
    with atomic_write(path) as part, open(part, 'wb') as file:
        np.savez_compressed(
            file, rotvec=motion.rotvec.astype(np.float16), lengths=motion.lengths,
            names=motion.names.astype(str), fps=motion.fps, licence=licence,
            sources=np.asarray(list(sources), dtype=str))


def licence_of(path) -> str:
    """Return the licence that a store names; of an archive without one that it names none."""
    with opened_npz(path, 'a motion archive', 'niki-data prepare writes one') as z:
        return str(z['licence']) if 'licence' in z else UNKNOWN


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
