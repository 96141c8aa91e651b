"""
``niki-train``: train one network; the same command on a CPU, a GPU, or under torchrun.

``niki-train kinematic`` trains the one from images to poses, ``niki-train lift`` the one from
keypoints over time to joints in metres, ``niki-train landmarks`` what takes the landmark network's
own errors off, ``niki-train ablations`` every variant into one table: see their own --help.
"""

from __future__ import annotations

import argparse
from pathlib import Path
import sys

from niki_ros.common.errors import ConfigError, NikiError
import torch

from niki_training.cli.arguments import positive
from niki_training.data.body import load_skeleton
from niki_training.data.motion import load_motion
from niki_training.front_end.pairs import Pairs
from niki_training.train.loop import Trainer
from niki_training.train.settings import read_config, TrainConfig

SMOKE_S = 60.0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='niki-train', description=__doc__)
    parser.add_argument('--data', type=Path, required=True, help='motion archive or store (.npz)')
    parser.add_argument('--out', type=Path, required=True, help='folder; an old run there goes on')
    parser.add_argument('--config', type=Path, help='JSON with settings; default: built in')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='change one setting, such as steps=5000 or net.kind=one_stage')
    parser.add_argument('--from', dest='start_from', type=Path,
                        help='checkpoint or model folder to begin with; net.kind=temporal also '
                        'begins on a per-frame network')
    parser.add_argument('--pairs', type=Path,
                        help='folder of niki-data render --observe: real errors of a front end')
    parser.add_argument('--lifted', metavar='MODEL',
                        help='train on what this lifter makes of the motion (lift ships), in '
                        'addition to corrupted joints')
    parser.add_argument('--body', type=Path, help='skeleton written by niki-data body')
    parser.add_argument('--threads', type=positive, default=2, help='CPU threads (default 2)')
    parser.add_argument('--smoke', action='store_true', help='stop after a minute')
    return parser


def _pairs(args, config: TrainConfig, skeleton):
    """Return real errors to train on, or None."""
    frames = config.frames if config.net.kind == 'temporal' else 1
    if args.lifted and args.pairs:
        raise ConfigError('--pairs and --lifted: one of them at a time')
    if args.pairs:
        return Pairs(args.pairs, 'train', frames)
    if not args.lifted:
        return None
    from niki_ros.lifters.lifter import Lifter
    from niki_ros.models.model_folder import find_model

    from niki_training.lift.data import LiftBatches
    from niki_training.lift.pairs import LiftedPairs
    from niki_training.render.motion import load_rooted_motion
    batches = LiftBatches(load_rooted_motion(args.data), skeleton)
    return LiftedPairs(batches, Lifter(find_model(args.lifted).path), frames, seed=config.seed)


def main(argv=None) -> int:
    """Run the command; errors become one line of text and exit code 2."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] == ['kinematic']:
        from niki_training.image.cli import main as kinematic
        return kinematic(argv[1:])
    if argv[:1] == ['lift']:
        from niki_training.lift.train import main as lift
        return lift(argv[1:])
    if argv[:1] == ['landmarks']:
        from niki_training.front_end.landmark_errors import main as landmarks
        return landmarks(argv[1:])
    if argv[:1] == ['ablations']:
        from niki_training.train.ablations import main as ablations
        return ablations(argv[1:])
    args = _parser().parse_args(argv)
    torch.set_num_threads(args.threads)
    try:
        config = read_config(args.config) if args.config else TrainConfig()
        for item in args.set:
            name, equals, value = item.partition('=')
            if not equals:
                raise ConfigError(f'--set {item}: expected NAME=VALUE')
            config.set(name, value)
        skeleton = load_skeleton(args.body)
        trainer = Trainer(config.check(), load_motion(args.data), skeleton, args.out,
                          args.start_from, _pairs(args, config, skeleton))
        trainer.run(SMOKE_S if args.smoke else None)
        trainer.leave()
    except (NikiError, OSError) as error:
        print(f'niki-train: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
