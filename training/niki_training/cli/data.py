"""Prepare motion, skeletons and rendered people for training."""

from niki_training.common.command import run_command

VERBS = {
    'prepare': ('niki_training.cli.data_prepare', 'read motion files, write one store'),
    'split': ('niki_training.data.split',
              'split a store into train, val and test; each subject is in one of them'),
    'xocc': ('niki_training.data.xocc', "add occluders to 3DPW's images and crop them: 3DPW-XOCC"),
    'show': ('niki_training.cli.data_show',
             'show counts, hours, subjects and balance of a store'),
    'body': ('niki_training.cli.data_body', 'make a skeleton and shape space from a body model'),
    'render': ('niki_training.cli.data_render',
               'render people from motion, with exact ground truth'),
    'bank': ('niki_training.cli.data_bank',
             'make a bank of dressed people, from which crops are rendered'),
    'crops': ('niki_training.cli.data_crops',
              'render crops of people from a bank, with exact ground truth'),
    'credits': ('niki_training.cli.data_credits',
                'list the authors of garments whose licence asks for it'),
    'observe': ('niki_training.cli.data_observe', 'run a front end on rendered shards'),
    'report': ('niki_training.evaluate.front_end_report',
               "report a front end's errors on rendered people"),
}


def main(argv=None) -> int:
    """Run one verb; an error is printed in one line and returns 2."""
    return run_command('niki-data', __doc__, VERBS, argv)
