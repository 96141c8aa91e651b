"""Authors and licences of garments, to be named where pictures or weights made of them are."""

import re
from typing import Iterable

from niki_training.render.garments.garment import Garment

_HEAD = ('Rendered people wear these pieces, fitted to other bodies and in part recoloured.\n'
         'Their authors are to be named where pictures of them, or weights trained on such\n'
         'pictures, are published:\n')
_VERSION = re.compile(r'\d\.\d')


def credit_lines(garments: Iterable[Garment]) -> list[str]:
    """Return 'piece, by author, licence, link' of each garment whose licence asks for credit."""
    return [f'{_title(garment)}, by {garment.author or "an unnamed author"}, {_licence(garment)}'
            for garment in garments if garment.needs_credit]


def credits_text(garments: Iterable[Garment]) -> str:
    """Return the text that is published with pictures; it names free pieces by their number."""
    garments = list(garments)
    lines = credit_lines(garments)
    free = len(garments) - len(lines)
    text = ''.join([_HEAD, *(f'- {line}\n' for line in lines)]) if lines else ''
    return text + f'{free} pieces need no credit (CC0).\n'


def _title(garment: Garment) -> str:
    return garment.name.split('__')[-1].replace('_', ' ')


def _licence(garment: Garment) -> str:
    found = _VERSION.search(garment.licence)
    if not found:
        return 'CC BY (https://creativecommons.org/licenses/)'
    return f'CC BY {found[0]} (https://creativecommons.org/licenses/by/{found[0]}/)'
