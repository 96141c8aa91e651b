"""Command-line arguments that several commands have, and their types."""

from argparse import ArgumentTypeError
from pathlib import Path


def positive_int(text: str) -> int:
    """Return a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError as error:
        raise ArgumentTypeError(f'{text!r}; expected a whole number') from error
    if number < 1:
        raise ArgumentTypeError(f'{number}; expected 1 or more')
    return number


def add_look_arguments(parser) -> None:
    """Add ``--clothes`` and ``--panoramas`` of commands that render people."""
    parser.add_argument('--clothes', type=Path, action='append', default=[], metavar='DIR',
                        help='folder of garments, shoes, hair and skins; may be repeated '
                        '(none: colours are painted on bodies)')
    parser.add_argument('--panoramas', type=Path, metavar='DIR',
                        help='folder of equirectangular pictures, as surroundings and light')
