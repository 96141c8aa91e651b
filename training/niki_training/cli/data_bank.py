"""
Make a bank of dressed people, poses and surroundings, from which crops are rendered.

A bank is a folder of files of at most 15 MB. niki-data crops and niki-train look render crops
from it without the body model, the garments and the motion.
"""

from pathlib import Path
import sys

from niki_training.common.arguments import add_look_arguments, positive_int


def add_arguments(parser) -> None:
    parser.add_argument('motion', type=Path, help='archive, or a store of niki-data prepare')
    parser.add_argument('--out', type=Path, required=True, help='folder of the bank')
    parser.add_argument('--split', default='train', help='train or val (train)')
    parser.add_argument('--bodies', type=positive_int, default=120, help='dressed people (120)')
    parser.add_argument('--poses', type=positive_int, default=20000, help='of the motion (20000)')
    parser.add_argument('--seed', type=int, default=0)
    add_look_arguments(parser)


def main(args) -> int:
    from niki_training.data.store import licence_of
    from niki_training.render.batch.make_bank import make_bank
    from niki_training.render.motion import load_rooted_motion
    facts = make_bank(load_rooted_motion(args.motion), args.out, args.split, args.bodies,
                      args.poses, args.seed, args.clothes, args.panoramas, licence_of(args.motion))
    size = sum(path.stat().st_size for path in args.out.iterdir())
    print(f'{args.out}: {facts["bodies"]} people, {facts["poses"]} poses, '
          f'{facts["panoramas"]} panoramas, {len(facts["files"])} files, {size / 1e6:.1f} MB',
          file=sys.stderr)
    return 0
