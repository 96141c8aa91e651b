"""
Files in pieces of a limited size, with an index that names the pieces and their hashes.

The index ``last.json`` of ``last-000120-00.pt``, ``last-000120-01.pt`` … is written last and the
pieces of the index before are removed then, so that a kill at any time leaves one whole file.
"""

import hashlib
import json
from pathlib import Path

from niki_ros.common.errors import ModelError
from niki_ros.files.atomic_write import atomic_write

from niki_training.files.outputs import write_text

MAX_PIECE_BYTES = 15_000_000
_FORMAT = 'pieces-1'


def write_pieces(index: Path, data: bytes, tag: str, facts: dict,
                 piece_bytes: int = MAX_PIECE_BYTES) -> None:
    """
    Write ``data`` beside ``index``, then the index.

    :param tag: part of the names of the pieces, which differs from that of the file before.
    :param facts: further keys of the index, for people and scripts that read it.
    """
    before = _named_pieces(index)
    pieces = {}
    for number, start in enumerate(range(0, len(data), piece_bytes)):
        name = f'{index.stem}-{tag}-{number:02d}.pt'
        part = data[start:start + piece_bytes]
        with atomic_write(index.with_name(name)) as path:
            path.write_bytes(part)
        pieces[name] = hashlib.sha256(part).hexdigest()
    entry = {'format': _FORMAT, 'bytes': len(data), 'pieces': pieces, **facts}
    write_text(index, json.dumps(entry, indent=1) + '\n')
    for name in set(before) - set(pieces):
        index.with_name(name).unlink(missing_ok=True)


def read_pieces(index: Path) -> bytes:
    """Return the bytes of a file; a ModelError names the piece that is missing or damaged."""
    parts = []
    for name, expected in _named_pieces(index, strict=True).items():
        path = index.with_name(name)
        if not path.is_file():
            raise ModelError(f'{index} needs {name}, which is not beside it; copy all its pieces')
        parts.append(path.read_bytes())
        if hashlib.sha256(parts[-1]).hexdigest() != expected:
            raise ModelError(f'{path} is damaged: its sha256 differs from that in {index.name}; '
                             'copy it again, or continue from an earlier checkpoint')
    return b''.join(parts)


def is_index(path: Path) -> bool:
    """Return whether ``path`` is an index that :func:`write_pieces` wrote."""
    return path.suffix == '.json' and bool(_named_pieces(path))


def _named_pieces(index: Path, strict: bool = False) -> dict:
    """Return {name: sha256}; empty, or a ModelError with ``strict``, for another file."""
    try:
        entry = json.loads(index.read_text('utf-8'))
        if entry['format'] == _FORMAT:
            # a name leads to no other folder
            return {Path(str(name)).name: str(value) for name, value in entry['pieces'].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    if strict:
        raise ModelError(f'{index} is no index of pieces; niki-train look writes last.json')
    return {}
