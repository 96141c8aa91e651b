"""
Read and write model folders: ``manifest.json`` beside ``model.onnx``.

The manifest carries the sha256 of every graph. Bytes are read once, checked, and those same bytes
are handed to the backend, so what runs is what was checked. Instead of a graph of its own a folder
may name another folder's, of which it is a part (``part_of``: ``folder``, and ``outputs``: name of
every output, name of that value in the other graph); ``sha256`` is then that of the part. And it
may say how to cast its graph to FP16 (``fp16``: ``fp32_islands``) instead of holding the result.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import re
import tempfile
from typing import List, Optional, Tuple, Union

from niki_ros.common.errors import InputError, ModelError, OutputError

MANIFEST, GRAPH = 'manifest.json', 'model.onnx'
MAX_MANIFEST_BYTES = 1 << 20
MAX_GRAPH_BYTES = (1 << 31) - 1
"""Protobuf's own limit for one file."""
REQUIRED = ('name', 'kind', 'sha256')
LANDMARK_SIZES = ('lite', 'full', 'heavy')
_PLAIN_NAME = r'[A-Za-z0-9_][A-Za-z0-9_.-]{0,100}'


@dataclass(frozen=True)
class ModelFolder:
    """A model folder whose manifest has been read; graphs are checked when they are loaded."""

    path: Path
    manifest: dict

    @property
    def name(self) -> str:
        """Return the model's name."""
        return str(self.manifest['name'])

    @property
    def precisions(self) -> tuple:
        """Precisions of which there is a graph, or that it can be cast to; the main one first."""
        main = str(self.manifest.get('precision', 'fp32'))
        more = [*self.manifest.get('graphs', {}), *(['fp16'] if 'fp16' in self.manifest else [])]
        return tuple(dict.fromkeys([main, *more]))

    @property
    def ships(self) -> bool:
        """Tell whether this is a folder of the installed package: nothing writes to these."""
        return self.path.resolve().parent == shipped_models().resolve()

    def check_kind(self, kind: str, maker: str):
        """
        Refuse a model of another kind.

        :param maker: the command that makes such folders.
        :raises ModelError: when it is one.
        """
        if self.manifest['kind'] != kind:
            raise ModelError(f'{self.path} is of kind {self.manifest["kind"]!r}; expected {kind}, '
                             f'as made by {maker}')

    def load_graph(self, precision: Optional[str] = None) -> bytes:
        """
        Return the bytes of the graph of ``precision`` (None = the main one), checked.

        A graph that the manifest says how to cast is cast now, or was cast before.

        :raises ModelError: when it is missing, changed, or there is none of that precision.
        :raises BackendError: when it must be cast and the onnx package is not there.
        """
        precision = precision or self.precisions[0]
        entry = self.manifest.get('graphs', {}).get(precision)
        if precision == self.precisions[0]:
            data, digest, source = *self._main(), self.path / GRAPH
        elif entry is not None:
            source, digest = self.path / entry['file'], entry['sha256']
            data = _read(source, MAX_GRAPH_BYTES)
        elif precision in self.precisions:
            from niki_ros.backends.half_cache import cast_once
            return cast_once(self.load_graph(), self.manifest['fp16']['fp32_islands'])
        else:
            raise ModelError(
                f'{self.path} has no {precision} graph (it has {", ".join(self.precisions)}); '
                f'make one: niki engine cast {self.path}')
        found = sha256(data)
        if found != digest:
            raise ModelError(f'{source} has sha256 {found[:16]}…, its manifest says '
                             f'{digest[:16]}…: damaged or exchanged; install niki_ros again, or '
                             'export the model again')
        return data

    def _main(self) -> tuple:
        """Return the bytes of the main graph and what its sha256 has to be."""
        whole, digest = self.manifest.get('part_of'), self.manifest['sha256']
        if whole is None:
            return _read(self.path / GRAPH, MAX_GRAPH_BYTES), digest
        from niki_ros.backends.graph_file import part_of
        folder = self.path.parent / whole['folder']
        if not folder.is_dir():
            folder = shipped_models() / whole['folder']
        return part_of(read_model_folder(folder).load_graph(), whole['outputs']), digest


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
    _check_part(file, manifest.get('part_of'))
    _check_cast(file, manifest.get('fp16'))
    return ModelFolder(folder, manifest)


def shipped_models() -> Path:
    """Return the folder of the models that ship with the package."""
    return Path(__file__).parent


def shipped_folders() -> List[ModelFolder]:
    """
    Return the model folders that ship, by name.

    :raises ModelError: when a manifest is damaged.
    """
    return [read_model_folder(file.parent)
            for file in sorted(shipped_models().glob(f'*/{MANIFEST}'))]


def folder_of(name: str) -> Optional[Path]:
    """Return the folder of a model that ships, or the one at a path; None where there is none."""
    shipped = shipped_models() / name
    if name and '/' not in name and (shipped / MANIFEST).is_file():
        return shipped
    folder = Path(os.path.expanduser(name))
    return folder if name and folder.is_dir() else None


def find_model(name: str) -> ModelFolder:
    """
    Return the model folder of a model that ships, or the one at a path.

    :raises ModelError: when there is none.
    """
    folder = folder_of(name)
    if folder is not None:
        return read_model_folder(folder)
    names = sorted(file.parent.name for file in shipped_models().glob(f'*/{MANIFEST}'))
    raise ModelError(f'no model {name!r}: it is neither one that ships ({", ".join(names)}) nor a '
                     'model folder: there is no such directory')


def graphs_of(config) -> List[Tuple[str, ModelFolder]]:
    """
    Return (role, folder) of every graph that these settings run.

    Roles are ``detector``, ``landmarks`` (whatever looks at one person), ``lifter``, ``solver``.

    :param config: :class:`niki_ros.common.settings.PipelineConfig`.
    :raises ModelError: when a model is missing.
    """
    observer, found = config.observer, []
    if observer.detector:
        found.append(('detector', observer.detector))
    if observer.name != 'landmarks':
        found.append(('landmarks', observer.path))
    else:
        sizes = LANDMARK_SIZES if observer.model == 'auto' else (observer.model,)
        found += [('landmarks', f'landmarks-{size}') for size in sizes]
        if config.lifter.name:
            found.append(('lifter', config.lifter.name))
    if config.solver.name != 'analytic':
        found.append(('solver', config.solver.name))
    return [(role, find_model(name)) for role, name in found]


def load_graph(model: Union[str, os.PathLike, bytes], precision: Optional[str] = None) -> bytes:
    """Return the checked bytes of a model folder's graph, of an ``.onnx`` file, or ``model``."""
    if isinstance(model, bytes):
        return model
    path = Path(model)
    if path.is_file():
        return _read(path, MAX_GRAPH_BYTES)
    return read_model_folder(path).load_graph(precision)


def write_model_folder(path: Union[str, os.PathLike], graph: bytes, manifest: dict) -> ModelFolder:
    """
    Write ``model.onnx`` and ``manifest.json`` (sha256 filled in); each by rename.

    :raises InputError: where the folder cannot be made, or holds such files of something else.
    :raises OutputError: where they could not be written.
    """
    from niki_ros.files.atomic_write import make_folder
    folder = make_folder(path)
    _refuse_to_replace(folder)
    manifest = {**manifest, 'sha256': sha256(graph)}
    try:
        write_file(folder / GRAPH, graph)
        write_file(folder / MANIFEST, (json.dumps(manifest, indent=1) + '\n').encode())
    except OSError as error:
        raise OutputError(f'the model could not be written to {folder}: {error.strerror}'
                          ) from error
    return read_model_folder(folder)


def _refuse_to_replace(folder: Path):
    """Refuse a folder whose files of these names are not those of a model folder."""
    there = [name for name in (GRAPH, MANIFEST) if (folder / name).exists()]
    try:
        known = json.loads((folder / MANIFEST).read_text('utf-8'))
        ours = isinstance(known, dict) and set(REQUIRED) <= set(known)
    except (OSError, ValueError):
        ours = False
    if there and not ours:
        raise InputError(f'{folder} holds a {there[0]} already, and is no model folder: it would '
                         'be replaced; choose another folder')


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
        if not re.fullmatch(_PLAIN_NAME, name):
            raise ModelError(f'{file}: the {precision} graph is the file {name[:80]!r}; '
                             'expected a plain name in the same folder')
        _check_digest(file, entry.get('sha256'))


def _check_part(file: Path, whole):
    """Check of which graph this one is a part: that of a folder with the same parent."""
    if whole is None:
        return
    outputs = whole.get('outputs') if isinstance(whole, dict) else None
    if not isinstance(outputs, dict) or not outputs or not _texts(outputs.values()):
        raise ModelError(f'{file}: part_of is no object with a folder and outputs')
    if not re.fullmatch(_PLAIN_NAME, str(whole.get('folder'))):
        raise ModelError(f'{file}: part_of is in {str(whole.get("folder"))[:80]!r}; expected the '
                         'plain name of a folder with the same parent folder')


def _check_cast(file: Path, cast):
    """Check how the graph is to be cast."""
    islands = cast.get('fp32_islands') if isinstance(cast, dict) else None
    if cast is not None and (not isinstance(islands, list) or not _texts(islands)):
        raise ModelError(f'{file}: fp16 is no object with a list of texts, fp32_islands')


def _texts(values) -> bool:
    return all(isinstance(value, str) for value in values)
