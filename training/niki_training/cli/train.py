"""
Train a network, on a CPU, on a GPU, or on several under torchrun.

Without a verb the solver is trained: niki-train --data … is niki-train solver --data …
"""

import sys

from niki_training.common.command import run_command

VERBS = {
    'solver': ('niki_training.cli.train_solver',
               'train a solver: joints and sigma to rotations (default)'),
    'lift': ('niki_training.lift.train',
             'train the lifter: keypoints over time to joints in metres'),
    'landmarks': ('niki_training.front_end.landmark_correction',
                  "train the correction of the landmark network's errors"),
    'look': ('niki_training.look.cli',
             'train a network that looks at people, on rendered crops and photographs'),
    'ablations': ('niki_training.evaluate.ablations',
                  'train every variant of the solver and write one table'),
}


def main(argv=None) -> int:
    """Run one verb; an error is printed in one line and returns 2."""
    return run_command('niki-train', __doc__, VERBS, argv, default='solver')


if __name__ == '__main__':
    sys.exit(main())
