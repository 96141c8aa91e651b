"""Types of command-line arguments."""

from argparse import ArgumentTypeError


def positive_int(text: str) -> int:
    """Return a whole number of at least 1."""
    try:
        number = int(text)
    except ValueError as error:
        raise ArgumentTypeError(f'{text!r}; expected a whole number') from error
    if number < 1:
        raise ArgumentTypeError(f'{number}; expected 1 or more')
    return number
