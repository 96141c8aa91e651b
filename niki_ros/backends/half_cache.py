"""FP16 graphs that were cast on this machine, kept with the engines that are built of them."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Dict, Iterable, Optional, Set

from niki_ros.common.errors import BackendError
from niki_ros.models.model_folder import ModelFolder, sha256, write_file

CASTER = 2
"""Changes whenever :func:`niki_ros.backends.half_graph.cast_graph` makes other graphs."""
_DIGEST = 64
_log = logging.getLogger(__name__)


def cast_once(graph: bytes, islands: Iterable[str]) -> bytes:
    """
    Return ``graph`` in FP16 but for ``islands``; from the cache where it was cast before.

    The cached file begins with the sha256 of the rest. A cache that cannot be written is no error.

    :raises BackendError: when the onnx package is needed and not there.
    """
    from niki_ros.backends.half_graph import cast_graph
    folder = _folder()
    if folder is None:
        return cast_graph(graph, islands)
    source = sha256(graph)
    key = json.dumps([CASTER, source, sorted(islands)])
    digest = hashlib.sha256(key.encode()).hexdigest()
    file = folder / f'{source[:12]}-cast-{digest[:12]}.half'
    try:
        data = file.read_bytes()
        if sha256(data[_DIGEST:]).encode() == data[:_DIGEST]:
            return data[_DIGEST:]
        _log.warning('%s is damaged: the graph is cast again', file)
    except OSError:
        pass  # not there yet
    half = cast_graph(graph, islands)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_file(file, sha256(half).encode() + half)
    except OSError as error:
        _log.info('the fp16 graph is not kept: %s', error)
    return half


def casts() -> Dict[str, str]:
    """Return sha256 of every cast in the cache: first digits of the graph's that was cast."""
    found: Dict[str, str] = {}
    folder = _folder()
    for file in folder.glob('*-cast-*.half') if folder else ():
        with file.open('rb') as opened:
            found[opened.read(_DIGEST).decode('ascii', 'replace')] = file.name.split('-')[0]
    return found


def digests_of(folder: ModelFolder) -> Set[str]:
    """Return the sha256 of every graph of a model folder, and of what was cast of it here."""
    main = folder.manifest['sha256']
    extra = {entry['sha256'] for entry in folder.manifest.get('graphs', {}).values()}
    return {main, *extra, *(half for half, source in casts().items() if main.startswith(source))}


def _folder() -> Optional[Path]:
    """Return where casts are kept, None for a user without a home folder."""
    from niki_ros.backends.engine_cache import cache_folder
    try:
        return cache_folder()
    except BackendError as error:
        _log.info('the fp16 graph is not kept: %s', error)
        return None
