"""Print counts, hours, subjects and balance of a store of motion."""

from pathlib import Path

from niki_training.data.readers import read_motion
from niki_training.data.store import summary


def add_arguments(parser) -> None:
    parser.add_argument('file', type=Path, help='a store of niki-data prepare, or an archive')


def main(args) -> int:
    print(summary(read_motion(args.file, 'archive')))
    return 0
