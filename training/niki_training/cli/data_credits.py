"""List the garments whose licence asks to name their authors, and the authors."""

from pathlib import Path

from niki_training.render.garments.credits import credits_text
from niki_training.render.garments.garment import read_garments


def add_arguments(parser) -> None:
    parser.add_argument('folders', nargs='+', type=Path, metavar='DIR',
                        help='folders of garments, as for niki-data render --clothes')


def main(args) -> int:
    print(credits_text(garment for folder in args.folders for garment in read_garments(folder)),
          end='')
    return 0
