"""
``niki-train kinematic``: an image of a person to motion parameters, through the kinematic layer.

    niki-train kinematic render MOTION --crops crops --split train --clips 4000
    niki-train kinematic fit --crops crops --out runs/person
    niki-train kinematic table --crops crops --out runs/person
    niki-export runs/person/last.pt models/person
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import sys

from niki_ros.common.errors import NikiError

from niki_training.cli.arguments import positive


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='niki-train kinematic', description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest='verb', required=True)
    render = verbs.add_parser('render', help='draw people and keep crops with their truth')
    render.add_argument('motion', type=Path, help='archive, or a store of niki-data prepare')
    render.add_argument('--split', default='train', help='train, val or test (train)')
    render.add_argument('--clips', type=positive, default=4000, help='four crops each (4000)')
    render.add_argument('--seed', type=int, default=11)
    fit = verbs.add_parser('fit', help='train the three heads on the same batches')
    fit.add_argument('--backbone', help="a model of timm, or 'plain'")
    fit.add_argument('--size', type=positive, help='of the crops in pixels')
    fit.add_argument('--steps', type=positive)
    fit.add_argument('--minutes', type=float, help='end after so long')
    table = verbs.add_parser('table', help='the three heads on held-out crops')
    table.add_argument('--split', default='val')
    table.add_argument('--pose2sim', type=Path, help='folder of a calibrated trial: domain gap')
    table.add_argument('--json', type=Path, help='write the figures there as well')
    for verb in (render, fit, table):
        verb.add_argument('--crops', type=Path, required=True, help='folder of the shards')
    for verb in (fit, table):
        verb.add_argument('--out', type=Path, required=True, help='folder of the run')
        verb.add_argument('--threads', type=positive, default=1, help='CPU threads (default 1)')
    return parser


def main(argv=None) -> int:
    """Run the command; errors become one line of text and exit code 2."""
    args = _parser().parse_args(argv)
    try:
        {'render': _render, 'fit': _fit, 'table': _table}[args.verb](args)
    except (NikiError, OSError) as error:
        print(f'niki-train kinematic: {error}', file=sys.stderr)
        return 2
    return 0


def _render(args) -> None:
    from niki_training.image.crops import render_crops
    render_crops(args.motion, args.crops, args.split, args.clips, args.seed)


def _fit(args) -> None:
    import torch

    from niki_training.image.crops import read_crops
    from niki_training.image.network import PersonConfig
    from niki_training.image.train import ImageTrainConfig, ImageTrainer
    torch.set_num_threads(args.threads)
    person, config = PersonConfig(), ImageTrainConfig()
    person.backbone = args.backbone or person.backbone
    person.size_px = args.size or person.size_px
    config.steps = args.steps or config.steps
    config.minutes = args.minutes or config.minutes
    ImageTrainer(config, person, read_crops(args.crops, 'train'), args.out).run()


def _table(args) -> None:
    import torch

    from niki_training.files.outputs import check_arguments, write_text
    from niki_training.image.crops import read_crops
    from niki_training.image.evaluate import rendered_table, text_table
    from niki_training.image.train import load_people
    check_arguments(args, {'--json': args.json})
    torch.set_num_threads(args.threads)
    nets, record = load_people(args.out / 'last.pt')
    crops = read_crops(args.crops, args.split)
    print(f'{record["step"]} steps on {record["crops"]} crops; {args.split}: '
          f'{len(crops["image"])} crops of other people')
    result = {'rendered': rendered_table(nets, crops, read_crops(args.crops, 'train'))}
    print(text_table(result['rendered']))
    if args.pose2sim:
        from niki_training.image.real_video import COLUMNS, trial_table
        result['pose2sim'] = trial_table(nets, args.pose2sim)
        print('\n' + text_table(result['pose2sim'], COLUMNS))
    if args.json:
        write_text(args.json, json.dumps(result, indent=1) + '\n')


if __name__ == '__main__':
    sys.exit(main())
