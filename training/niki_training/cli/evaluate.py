"""
Measure solvers, the lifter and the whole pipeline on held-out data.

Without a verb solvers are measured: niki-evaluate --data … is niki-evaluate solvers --data …
"""

from niki_training.common.command import run_command

VERBS = {
    'solvers': ('niki_training.cli.evaluate_solvers',
                'every baseline and model under every corruption of motion (default)'),
    'video': ('niki_training.evaluate.video',
              'the pipeline on calibrated video with measured joints (Pose2Sim trials)'),
    'sweep': ('niki_training.evaluate.sweep',
              'the effect of one number of a stage on the figures of calibrated video'),
    'rates': ('niki_training.evaluate.rates',
              'how much bodies depend on the rate of the camera, stage by stage, on any clip'),
    'occlude': ('niki_training.evaluate.occlude',
                'the effect of rectangles over parts of a person on every joint, on any clip'),
    'found': ('niki_training.evaluate.found',
              'how many annotated people of photographs have a body, and false bodies'),
    'rendered': ('niki_training.evaluate.rendered',
                 'error against percent of the body hidden, on rendered people'),
    'dataset': ('niki_training.evaluate.dataset',
                'the pipeline on a benchmark of the papers, with its own scores'),
    'landmarks': ('niki_training.evaluate.landmarks',
                  'errors of the landmark network on photographs, rendered people and video'),
    'look': ('niki_training.look.evaluate',
             'networks that look at people, each alone, on video, photographs, rendered crops'),
    'lift': ('niki_training.evaluate.lift',
             'the lifter and the solvers behind it on held-out motion, with parts left out'),
}


def main(argv=None) -> int:
    """Run one verb; an error is printed in one line and returns 2."""
    return run_command('niki-evaluate', __doc__, VERBS, argv, default='solvers')
