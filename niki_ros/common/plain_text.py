"""Replacement in ASCII of characters that the encoding of a terminal lacks."""

import codecs
import sys

_NAME = 'niki_plain'
_IN_ASCII = {'→': '->', '…': '...', '°': ' deg', '×': 'x', '–': '-', '−': '-', '±': '+-'}


def write_plainly() -> None:
    """Make stdout and stderr write ASCII for characters that their encoding lacks."""
    codecs.register_error(_NAME, _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors=_NAME)


def _plain(error: UnicodeError):
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start:error.end]
    return ''.join(_IN_ASCII.get(one) or one.encode('ascii', 'backslashreplace').decode()
                   for one in lost), error.end
