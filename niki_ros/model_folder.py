"""
Read and write model folders: ``manifest.json`` beside ``model.onnx``.

The manifest carries the sha256 of every graph. Bytes are read once, checked, and those same bytes
are handed to the backend, so what runs is what was checked.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import re
import tempfile
from typing import Optional, Union

from niki_ros.core.errors import ModelError

MANIFEST, GRAPH = 'manifest.json', 'model.onnx'
MAX_MANIFEST_BYTES = 1 << 20
MAX_GRAPH_BYTES = (1 << 31) - 1
"""Protobuf's own limit for one file."""
REQUIRED = ('name', 'kind', 'sha256')


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose manifest has been read; graphs are checked when they are loaded."""

    path: Path
    manifest: dict

    @property
    def precisions(self) -> tuple:
        """Precisions of which a graph lies in the folder, the main graph's first."""
        extra = tuple(self.manifest.get('graphs', {}))
        main = str(self.manifest.get('precision', 'fp32'))
        return (main, *(p for p in extra if p != main))

    def load_graph(self, precision: Optional[str] = None) -> bytes:
        """
        Return the bytes of the graph of ``precision`` (None = the main one), checked.

        :raises ModelError: when it is missing, changed, or there is none of that precision.
        """
        name, digest = self._entry(precision or self.precisions[0])
        path = self.path / name
        data = _read(path, MAX_GRAPH_BYTES)
        found = sha256(data)
        if found != digest:
            raise ModelError(f'{path} has sha256 {found[:16]}…, its manifest says {digest[:16]}…: '
                             'damaged or exchanged; fetch or export the model again')
        return data

    def _entry(self, precision: str) -> tuple:
        """Return file name and sha256 of the graph of ``precision``."""
        if precision == self.precisions[0]:
            return GRAPH, self.manifest['sha256']
        entry = self.manifest.get('graphs', {}).get(precision)
        if entry is None:
            raise ModelError(
                f'{self.path} has no {precision} graph (it has {", ".join(self.precisions)}); '
                f'make one: niki engine cast {self.path}')
        return entry['file'], entry['sha256']


def sha256(data: bytes) -> str:
    """Return the SHA-256 of ``data`` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def read_model_folder(path: Union[str, os.PathLike]) -> ModelFolder:
    """
    Read a model folder's manifest and check its form.

    :raises ModelError: naming the file and what is wrong with it.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise ModelError(f'{folder} is no model folder: there is no such directory')
    file = folder / MANIFEST
    try:
        manifest = json.loads(_read(file, MAX_MANIFEST_BYTES))
    except (ValueError, RecursionError) as error:
        raise ModelError(f'{file} is not JSON: {error}') from error
    if not isinstance(manifest, dict):
        raise ModelError(f'{file} holds a {type(manifest).__name__}; expected an object')
    missing = [key for key in REQUIRED if not isinstance(manifest.get(key), str)]
    if missing:
        raise ModelError(f'{file} lacks {", ".join(missing)} (text); expected in every manifest')
    _check_digest(file, manifest['sha256'])
    if not isinstance(manifest.get('precision', 'fp32'), str):
        raise ModelError(f'{file}: precision is no text')
    _check_graphs(file, manifest.get('graphs', {}))
    return ModelFolder(folder, manifest)


def find_model(name: str) -> ModelFolder:
    """
    Return the model folder of a model that ships, or the one at a path.

    :raises ModelError: when there is none.
    """
    shipped = Path(__file__).parent / 'models' / name
    if '/' not in name and (shipped / MANIFEST).is_file():
        return read_model_folder(shipped)
    return read_model_folder(Path(name).expanduser())


def load_graph(model: Union[str, os.PathLike, bytes], precision: Optional[str] = None) -> bytes:
    """Return the checked bytes of a model folder's graph, of an ``.onnx`` file, or ``model``."""
    if isinstance(model, bytes):
        return model
    path = Path(model)
    if path.is_file():
        return _read(path, MAX_GRAPH_BYTES)
    return read_model_folder(path).load_graph(precision)


def write_model_folder(path: Union[str, os.PathLike], graph: bytes, manifest: dict) -> ModelFolder:
    """Write ``model.onnx`` and ``manifest.json`` (sha256 filled in); each by rename."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / GRAPH, graph)
    manifest = {**manifest, 'sha256': sha256(graph)}
    write_file(folder / MANIFEST, (json.dumps(manifest, indent=1) + '\n').encode())
    return read_model_folder(folder)


def add_graph(folder: ModelFolder, precision: str, graph: bytes, facts: dict) -> ModelFolder:
    """Put a graph of another precision beside the main one, with ``facts`` in the manifest."""
    name = f'model.{precision}.onnx'
    write_file(folder.path / name, graph)
    entry = {'file': name, 'sha256': sha256(graph), **facts}
    graphs = {**folder.manifest.get('graphs', {}), precision: entry}
    manifest = {**folder.manifest, 'graphs': graphs}
    write_file(folder.path / MANIFEST, (json.dumps(manifest, indent=1) + '\n').encode())
    return read_model_folder(folder.path)


def write_file(path: Path, data: bytes):
    """Write under a temporary name, flush to the disk, rename: whole or not at all."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.name}.', suffix='.tmp')
    try:
        with os.fdopen(handle, 'wb') as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _read(path: Path, limit: int) -> bytes:
    """Return a regular file's bytes; refuse what is missing, no file, or larger than ``limit``."""
    try:
        if not path.is_file():
            raise ModelError(f'{path} is missing, or is no regular file')
        size = path.stat().st_size
        if size > limit:
            raise ModelError(f'{path} has {size} bytes; at most {limit} are read')
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {error}') from error


def _check_digest(file: Path, digest):
    if not isinstance(digest, str) or not re.fullmatch('[0-9a-f]{64}', digest):
        raise ModelError(f'{file}: sha256 is {str(digest)[:80]!r}; expected 64 hexadecimal digits')


def _check_graphs(file: Path, graphs):
    """Check the entries of the graphs beside the main one; a path may not leave the folder."""
    if not isinstance(graphs, dict) or not all(isinstance(g, dict) for g in graphs.values()):
        raise ModelError(f'{file}: graphs is no object of objects')
    for precision, entry in graphs.items():
        name = str(entry.get('file'))
        if not re.fullmatch(r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}', name):
            raise ModelError(f'{file}: the {precision} graph is the file {name[:80]!r}; '
                             'expected a plain name in the same folder')
        _check_digest(file, entry.get('sha256'))
