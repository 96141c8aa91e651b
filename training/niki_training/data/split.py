"""
Split one store into train, val and test; each subject is in one of them.

A network that has seen a person scores better on that person than on others.
"""

import argparse
from pathlib import Path

from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.motion import Motion, select_pieces
from niki_training.data.store import licence_of, load_motion, summary, write_store
from niki_training.files.outputs import check_arguments

SPLITS = ('train', 'val', 'test')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('file', type=Path, help='a store of niki-data prepare, or an archive')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder for train.npz, val.npz and test.npz')
    parser.add_argument('--val', type=float, default=0.1, help='share of the frames (0.1)')
    parser.add_argument('--test', type=float, default=0.1, help='share of the frames (0.1)')
    parser.add_argument('--seed', type=int, default=0, help='of the draw of subjects (0)')


def main(args) -> int:
    files = [args.out / f'{name}.npz' for name in SPLITS]
    check_arguments(args, {'--out': None,
                           **{f'--out {file.name}': file for file in files if file.exists()}})
    motion, licence = load_motion(args.file), licence_of(args.file)
    args.out.mkdir(parents=True, exist_ok=True)
    chosen = split_by_subject(motion, args.val, args.test, args.seed)
    for name, file in zip(SPLITS, files):
        part = select_pieces(motion, chosen[name])
        write_store(file, part, licence, [args.file.name])
        print(f'{file}: {summary(part)}')
    return 0


def split_by_subject(motion: Motion, val: float, test: float, seed: int) -> dict:
    """
    Return for each split which pieces belong to it, (P,) bool.

    Subjects are drawn one after another into the split that lacks most of its frames; ``val`` and
    ``test`` are shares of the frames.
    """
    wanted = {'train': 1 - val - test, 'val': val, 'test': test}
    if not all(0 < share < 1 for share in wanted.values()):
        raise InputError(f'--val {val:g} and --test {test:g}; expected shares above 0 with a sum '
                         'below 1')
    subjects = motion.subjects
    names = np.unique(subjects)
    if len(names) < len(SPLITS):
        raise InputError(f'{len(names)} subjects ({", ".join(names)}) cannot fill three splits; '
                         'prepare more of them, each in a folder of its own')
    frames = {name: int(motion.lengths[subjects == name].sum()) for name in names}
    filled, split_of = dict.fromkeys(SPLITS, 0), {}
    order = np.random.default_rng(seed).permutation(names)
    for left, name in zip(range(len(order), 0, -1), order):
        empty = [split for split in SPLITS if not filled[split]]
        # the last subjects go to the splits that are still empty
        split = empty[0] if len(empty) == left else min(
            SPLITS, key=lambda s: (filled[s] + frames[name] / 2) / wanted[s])
        split_of[name] = split
        filled[split] += frames[name]
    return {split: np.asarray([split_of[s] == split for s in subjects]) for split in SPLITS}
