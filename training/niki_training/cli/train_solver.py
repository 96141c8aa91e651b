"""Train a solver network on motion; started again with the same --out, the run is resumed."""

from pathlib import Path

from niki_ros.common.errors import ConfigError
import torch

from niki_training.common.arguments import positive_int
from niki_training.data.smpl_skeleton import load_skeleton
from niki_training.data.store import load_motion
from niki_training.front_end.pairs import Pairs
from niki_training.train.settings import read_config, TrainConfig
from niki_training.train.trainer import Trainer

SMOKE_S = 60.0


def add_arguments(parser) -> None:
    parser.add_argument('--data', type=Path, required=True, help='motion archive or store (.npz)')
    parser.add_argument('--out', type=Path, required=True,
                        help='folder of the run; a run that is there is resumed')
    parser.add_argument('--config', type=Path, help='JSON with settings; default: built in')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='change one setting, such as steps=5000 or net.kind=one_stage')
    parser.add_argument('--from', dest='start_from', type=Path,
                        help='checkpoint or model folder with the first weights; a network with '
                        'net.kind=temporal also starts from a per-frame network')
    parser.add_argument('--pairs', type=Path, help='folder of niki-data render --observe: train '
                        'on errors of a front end as well')
    parser.add_argument('--lifted', metavar='MODEL',
                        help='train on the outputs of this lifter for the motion (lift ships), in '
                        'addition to corrupted joints')
    parser.add_argument('--body', type=Path, help='skeleton written by niki-data body')
    parser.add_argument('--threads', type=positive_int, default=2, help='CPU threads (default 2)')
    parser.add_argument('--smoke', action='store_true', help='stop after a minute')


def main(args) -> int:
    torch.set_num_threads(args.threads)
    config = read_config(args.config) if args.config else TrainConfig()
    config.set_all(args.set)
    skeleton = load_skeleton(args.body)
    trainer = Trainer(config.check(), load_motion(args.data), skeleton, args.out,
                      args.start_from, _pairs(args, config, skeleton))
    trainer.run(SMOKE_S if args.smoke else None)
    trainer.leave()
    return 0


def _pairs(args, config: TrainConfig, skeleton):
    """Return the pairs of observation and ground truth of the options, or None."""
    frames = config.frames if config.net.kind == 'temporal' else 1
    if args.lifted and args.pairs:
        raise ConfigError('--pairs and --lifted: give one of them')
    if args.pairs:
        return Pairs(args.pairs, 'train', frames)
    if not args.lifted:
        return None
    from niki_ros.lifters.lifter import Lifter
    from niki_ros.models.model_store import find_model

    from niki_training.lift.data import LiftBatches
    from niki_training.lift.pairs import LiftedPairs
    from niki_training.render.motion import load_rooted_motion
    batches = LiftBatches(load_rooted_motion(args.data), skeleton)
    return LiftedPairs(batches, Lifter(find_model(args.lifted).path), frames, seed=config.seed)
