"""
Write model folders for niki_ros.

Without a verb a checkpoint is exported: niki-export CHECKPOINT FOLDER is niki-export checkpoint …
"""

from niki_training.common.command import run_command

VERBS = {
    'checkpoint': ('niki_training.cli.export_checkpoint',
                   'export a checkpoint to a model folder (default)'),
    'cast': ('niki_training.export.fp16_folder', 'add an FP16 graph to a model folder'),
    'quantize': ('niki_training.export.int8_folder',
                 'add an INT8 graph, for CPUs, to the model folder of a detector'),
    'share': ('niki_training.export.graph_delta',
              'store a graph as a delta to the graph of another folder'),
}


def main(argv=None) -> int:
    """Run one verb; an error is printed in one line and returns 2."""
    return run_command('niki-export', __doc__, VERBS, argv, default='checkpoint')
