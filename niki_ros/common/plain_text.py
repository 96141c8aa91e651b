"""Text on terminals that do not know every letter: what they lack is written in ASCII."""

from __future__ import annotations

import codecs
import sys

_NAME = 'niki_plain'
_IN_ASCII = {'→': '->', '…': '...', '°': ' deg', '×': 'x', '–': '-', '−': '-', '±': '+-'}


def write_plainly() -> None:
    """Let stdout and stderr write what their encoding lacks otherwise; no text is an error."""
    codecs.register_error(_NAME, _plain)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, 'reconfigure'):
            stream.reconfigure(errors=_NAME)


def _plain(error: UnicodeError):
    """Return the letters in ASCII, or as Python writes them, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lost = error.object[error.start:error.end]
    return ''.join(_IN_ASCII.get(one) or one.encode('ascii', 'backslashreplace').decode()
                   for one in lost), error.end
