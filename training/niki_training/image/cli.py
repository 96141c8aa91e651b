"""
Train a network from the image of a person to motion parameters, through the kinematic layer.

    niki-train kinematic render MOTION --crops crops --split train --clips 4000
    niki-train kinematic fit --crops crops --out runs/person
    niki-train kinematic table --crops crops --out runs/person
    niki-export runs/person/last.pt models/person
"""

import json
from pathlib import Path

from niki_training.common.arguments import positive_int


def add_arguments(parser) -> None:
    verbs = parser.add_subparsers(metavar='VERB', required=True)
    render = verbs.add_parser('render', help='render people and store crops with ground truth')
    render.add_argument('motion', type=Path, help='archive, or a store of niki-data prepare')
    render.add_argument('--split', default='train', help='train, val or test (train)')
    render.add_argument('--clips', type=positive_int, default=4000, help='four crops each (4000)')
    render.add_argument('--seed', type=int, default=11)
    fit = verbs.add_parser('fit', help='train the three heads on the same batches')
    fit.add_argument('--backbone', help="a model of timm, or 'plain'")
    fit.add_argument('--size', type=positive_int, help='side of the crops in pixels')
    fit.add_argument('--steps', type=positive_int)
    fit.add_argument('--minutes', type=float, help='end after this time')
    table = verbs.add_parser('table', help='score the three heads on held-out crops')
    table.add_argument('--split', default='val')
    table.add_argument('--pose2sim', type=Path,
                       help='folder of a calibrated trial: score the heads on real video as well')
    table.add_argument('--json', type=Path, help='write the figures there as well')
    for verb, run in ((render, _render), (fit, _fit), (table, _table)):
        verb.add_argument('--crops', type=Path, required=True, help='folder of the shards')
        verb.set_defaults(run_kinematic=run)
    for verb in (fit, table):
        verb.add_argument('--out', type=Path, required=True, help='folder of the run')
        verb.add_argument('--threads', type=positive_int, default=1,
                          help='CPU threads (default 1)')


def main(args) -> int:
    args.run_kinematic(args)
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
