"""
Model folders: ``manifest.json`` and ``model.onnx``.

The manifest states the sha256 of every graph. A graph is read once, its sha256 is compared, and
the same bytes go to the backend, so that what runs is what was checked. Keys for graphs:

- ``sha256``, ``precision``, ``weight_bytes``, ``layers_by_precision``: facts of the main graph,
  see :class:`niki_ros.models.graph.Graph`;
- ``graphs``: precision → the same facts of another graph, and its ``file``;
- ``delta``: where a graph has no file of its own, the ``file`` from which it is rebuilt
  (:mod:`niki_ros.models.graph_delta`). The base of a main graph is the main graph of the folder
  ``base`` with the same parent; the base of another graph is the main graph of its own folder.
"""

from dataclasses import dataclass
import json
import os
from pathlib import Path
import re
import tempfile
from typing import FrozenSet, Optional, Tuple, Union

from niki_ros.common.errors import InputError, ModelError, OutputError
from niki_ros.files.atomic_write import make_folder
from niki_ros.models.graph import Graph, sha256
from niki_ros.models.graph_delta import apply_delta

MANIFEST, GRAPH = 'manifest.json', 'model.onnx'
MAX_MANIFEST_BYTES = 1 << 20
MAX_GRAPH_BYTES = (1 << 31) - 1
"""Protobuf's own limit for one file."""
_REQUIRED_KEYS = ('name', 'kind', 'sha256')
_PLAIN_NAME = r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}'
_PathLike = Union[str, os.PathLike]


@dataclass(frozen=True)
class ModelFolder:
    """A model folder with its manifest; a graph is checked when it is loaded."""

    path: Path
    manifest: dict

    @property
    def name(self) -> str:
        return str(self.manifest['name'])

    @property
    def precisions(self) -> Tuple[str, ...]:
        """The precisions of the graphs, that of the main graph first."""
        return tuple(dict.fromkeys([str(self.manifest.get('precision', 'fp32')),
                                    *self.manifest.get('graphs', {})]))

    @property
    def digests(self) -> FrozenSet[str]:
        """The sha256 of every graph, as the manifest states them."""
        others = self.manifest.get('graphs', {}).values()
        return frozenset([self.manifest['sha256'], *(facts['sha256'] for facts in others)])

    def check_kind(self, kind: str, maker: str):
        """Raise a ModelError for another kind; ``maker`` is the command that makes this kind."""
        if self.manifest['kind'] != kind:
            raise ModelError(f'{self.path} is of kind {self.manifest["kind"]!r}; expected {kind}, '
                             f'as made by {maker}')

    def load_graph(self, precision: Optional[str] = None) -> Graph:
        """Return the graph of ``precision``, None = the main one, after a check of its sha256."""
        main = self.precisions[0]
        precision = precision or main
        if precision not in self.precisions:
            raise ModelError(
                f'{self.path} has no {precision} graph (it has {", ".join(self.precisions)}); '
                f'make one: niki-export cast {self.path}')
        facts = ({**self.manifest, 'file': GRAPH} if precision == main
                 else self.manifest['graphs'][precision])
        source, data = self._read_graph(facts)
        graph = Graph(data, precision, facts.get('weight_bytes'),
                      facts.get('layers_by_precision', {}))
        if graph.sha256 != facts['sha256']:
            raise ModelError(f'{source} has sha256 {graph.sha256[:16]}…, its manifest says '
                             f'{facts["sha256"][:16]}…: damaged or exchanged; install niki_ros '
                             'again, or export the model again')
        return graph

    def _read_graph(self, facts: dict) -> Tuple[Path, bytes]:
        delta = facts.get('delta')
        if not delta:
            source = self.path / facts['file']
            return source, _read(source, MAX_GRAPH_BYTES)
        source, base = self.path / delta['file'], self
        if 'base' in delta:
            folder = self.path.parent / delta['base']
            # the base of a shipped folder that was copied to another place ships as well
            base = read_model_folder(folder if folder.is_dir()
                                     else Path(__file__).parent / delta['base'])
        return source, apply_delta(base.load_graph().data, _read(source, MAX_GRAPH_BYTES))


def read_model_folder(path: _PathLike) -> ModelFolder:
    """Read a model folder's manifest and check its form; a ModelError names file and fault."""
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
    missing = [key for key in _REQUIRED_KEYS if not isinstance(manifest.get(key), str)]
    if missing:
        raise ModelError(f'{file} lacks {", ".join(missing)} (text); expected in every manifest')
    if not isinstance(manifest.get('precision', 'fp32'), str):
        raise ModelError(f'{file}: precision is no text')
    if 'part_of' in manifest:
        raise ModelError(f'{file}: part_of, a key of an earlier version, is not read; export the '
                         f'model again: niki-export CHECKPOINT {folder}')
    _check_graphs(file, manifest)
    return ModelFolder(folder, manifest)


def load_graph(model: Union[_PathLike, bytes], precision: Optional[str] = None) -> Graph:
    """
    Return a graph of a model folder, or the graph of an ``.onnx`` file or of its bytes.

    :param precision: of a model folder only; None = its main graph.
    :raises ModelError: when the graph is missing, changed, or its precision is not stated.
    """
    if isinstance(model, bytes):
        graph, name = Graph(model), 'a graph given as bytes'
    elif Path(model).is_file():
        graph, name = Graph(_read(Path(model), MAX_GRAPH_BYTES)), str(model)
    else:
        return read_model_folder(model).load_graph(precision)
    if precision is not None:
        raise ModelError(f'{name} states no precision, and {precision} is required; give a model '
                         'folder, whose manifest states it')
    return graph


def write_model_folder(path: _PathLike, graph: bytes, manifest: dict) -> ModelFolder:
    """
    Write ``model.onnx`` and ``manifest.json`` with its sha256; each file is complete or absent.

    :raises InputError: when the folder cannot be made, or holds other files of these names.
    :raises OutputError: when the files could not be written.
    """
    folder = make_folder(path)
    _refuse_to_replace(folder)
    try:
        write_file(folder / GRAPH, graph)
    except OSError as error:
        raise OutputError(f'the model could not be written to {folder}: {error.strerror}'
                          ) from error
    return write_manifest(folder, {**manifest, 'sha256': sha256(graph)})


def write_manifest(folder: _PathLike, manifest: dict) -> ModelFolder:
    """Replace the manifest of a model folder, or raise an OutputError."""
    file = Path(folder) / MANIFEST
    try:
        write_file(file, (json.dumps(manifest, indent=1) + '\n').encode())
    except OSError as error:
        raise OutputError(f'{file} could not be written: {error.strerror}') from error
    return read_model_folder(folder)


def write_file(path: Path, data: bytes):
    """Replace ``path`` by a complete file on the disk; after an OSError it is as it was before."""
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


def _refuse_to_replace(folder: Path):
    """Raise an InputError where files of a model folder's names belong to something else."""
    present = [name for name in (GRAPH, MANIFEST) if (folder / name).exists()]
    try:
        manifest = json.loads((folder / MANIFEST).read_text('utf-8'))
        is_model = isinstance(manifest, dict) and set(_REQUIRED_KEYS) <= set(manifest)
    except (OSError, ValueError):
        is_model = False
    if present and not is_model:
        raise InputError(f'{folder} holds a {present[0]} already, and is no model folder: it '
                         'would be replaced; choose another folder')


def _read(path: Path, max_bytes: int) -> bytes:
    """Return the bytes of a regular file; raise a ModelError where it is none, or too large."""
    try:
        if not path.is_file():
            raise ModelError(f'{path} is missing, or is no regular file')
        size = path.stat().st_size
        if size > max_bytes:
            raise ModelError(f'{path} has {size} bytes; at most {max_bytes} are read')
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f'{path} cannot be read: {error}') from error


def _check_graphs(file: Path, manifest: dict):
    """Check the facts of each graph; the name of a file may not lead out of the folder."""
    graphs = manifest.get('graphs', {})
    if not isinstance(graphs, dict) or not all(isinstance(g, dict) for g in graphs.values()):
        raise ModelError(f'{file}: graphs is no object of objects')
    for facts in ({**manifest, 'file': GRAPH}, *graphs.values()):
        digest = str(facts.get('sha256'))
        if not re.fullmatch('[0-9a-f]{64}', digest):
            raise ModelError(f'{file}: sha256 is {digest[:80]!r}; expected 64 hexadecimal digits')
        delta = facts.get('delta', {})
        if not isinstance(delta, dict):
            raise ModelError(f'{file}: delta is no object')
        names = [delta.get('file'), delta.get('base', GRAPH)] if delta else [facts.get('file')]
        for name in names:
            if not isinstance(name, str) or not re.fullmatch(_PLAIN_NAME, name):
                raise ModelError(f'{file}: a graph is in {str(name)[:80]!r}; expected a plain '
                                 'name, without a path')
