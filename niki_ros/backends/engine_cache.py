"""
The cache of built engines on disk; every engine is checked before it is loaded.

An engine is a file ``.engine`` and a manifest ``.json`` of the same name, with its key and sha256,
which is written last. A ``.lock`` of this name, which the system releases when its holder ends,
prevents that two processes build the same engine.
"""

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Callable, Iterator, Optional

from niki_ros.common.errors import BackendError
from niki_ros.models.graph import sha256
from niki_ros.models.model_folder import write_file

MANIFEST_FORMAT = 1
ANY_GPU = 'any'
"""GPU name of an engine that was built ahead of time, for all GPUs of a compute capability."""
ON_MISMATCH = ('rebuild', 'refuse')
_MAX_MANIFEST_BYTES = 1 << 20
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EngineKey:
    """All values on which an engine depends; where one of them differs, the engine is another."""

    graph_sha256: str
    library: str
    library_version: str
    gpu: str
    compute_capability: str
    precision: str
    max_batch: int

    @property
    def name(self) -> str:
        """The file name without suffix, readable and different for every key."""
        digest = hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()
        return (f'{self.graph_sha256[:12]}-{self.library}-{self.compute_capability}-'
                f'{self.precision}-b{self.max_batch}-{digest[:12]}')


class EngineRefused(BackendError):
    """A cached engine is missing or damaged, or was built for another key."""


def cache_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/niki_ros/engines``; without the variable, below ``~/.cache``."""
    base = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    if base.startswith('~'):  # such as the numeric user of a container
        raise BackendError('this user has no home folder; name one for engines: '
                           'export XDG_CACHE_HOME=/tmp/cache')
    return Path(base) / 'niki_ros' / 'engines'


class EngineCache:
    """The engines in one folder; None = :func:`cache_folder`."""

    def __init__(self, folder: Optional[Path] = None):
        self.folder = Path(folder) if folder is not None else cache_folder()

    def load(self, key: EngineKey) -> bytes:
        """Return the engine for ``key``; an EngineRefused names the file and its fault."""
        return self._load(self.folder / f'{key.name}.json', asdict(key))

    def store(self, key: EngineKey, data: bytes, facts: dict) -> Path:
        """Write an engine, then its manifest with ``facts``; return the file of the engine."""
        engine = self.folder / f'{key.name}.engine'
        now = datetime.now(timezone.utc).isoformat(timespec='seconds')
        manifest = {'format': MANIFEST_FORMAT, 'key': asdict(key), 'sha256': sha256(data),
                    'bytes': len(data), 'built': now, **facts}
        self.folder.mkdir(parents=True, exist_ok=True)
        # a process that loads at this moment must not compare the new engine with the old
        # manifest: without one the engine counts as unfinished, and not as damaged
        (self.folder / f'{key.name}.json').unlink(missing_ok=True)
        write_file(engine, data)
        write_file(engine.with_suffix('.json'), (json.dumps(manifest, indent=1) + '\n').encode())
        return engine

    def get(self, key: EngineKey, build: Callable[[], tuple], on_mismatch: str = 'rebuild',
            remedy: str = 'niki engine build MODEL') -> bytes:
        """
        Return the engine for ``key``; where there is none, one process builds it for all.

        :param build: returns the engine's bytes and the facts for its manifest.
        :param on_mismatch: ``rebuild``, or ``refuse`` to raise an EngineRefused with ``remedy``.
        :raises BackendError: when the cache cannot be written.
        """
        if on_mismatch not in ON_MISMATCH:
            raise BackendError(f'on_mismatch is {on_mismatch!r}; expected rebuild or refuse')
        try:
            return self.load(key)
        except EngineRefused as refused:
            if on_mismatch == 'refuse':
                raise EngineRefused(f'{refused}{self._similar(key)}; build it: {remedy}') from None
            _log.warning('%s: building', refused)
        try:
            with self._lock(key):
                try:
                    return self.load(key)  # another process built it during the wait
                except EngineRefused:
                    data, facts = build()
                    self.store(key, data, facts)
                    return data
        except OSError as error:
            raise BackendError(f'{self.folder} cannot be written ({error}); set XDG_CACHE_HOME to '
                               'a folder that can be written and has space') from error

    def entries(self) -> Iterator[tuple]:
        """Yield (engine file, manifest, fault) for every engine; '' = no fault."""
        for engine in sorted(self.folder.glob('*.engine')):
            try:
                manifest = _manifest(engine.with_suffix('.json'))
                self._load(engine.with_suffix('.json'), manifest.get('key'))
                fault = '' if self._named_by_key(engine, manifest) else 'renamed: not its key'
            except EngineRefused as refused:
                manifest, fault = {}, str(refused)
            yield engine, manifest, fault

    def clear(self, graph_sha256: Optional[str] = None) -> int:
        """Delete all engines, or those of one graph; return their number."""
        pattern = f'{graph_sha256[:12]}-*' if graph_sha256 else '*'
        engines = list(self.folder.glob(f'{pattern}.engine'))
        for suffix in ('json', 'engine', 'lock'):
            for file in self.folder.glob(f'{pattern}.{suffix}'):
                file.unlink(missing_ok=True)
        for file in self.folder.glob(f'.{pattern}.tmp'):
            file.unlink(missing_ok=True)
        return len(engines)

    def _load(self, manifest_file: Path, key) -> bytes:
        engine = manifest_file.with_suffix('.engine')
        if not engine.is_file():
            raise EngineRefused(f'there is no engine {engine}')
        manifest = _manifest(manifest_file)
        if manifest.get('format') != MANIFEST_FORMAT:
            raise EngineRefused(f'{manifest_file} has format {manifest.get("format")!r}; '
                                f'expected {MANIFEST_FORMAT}')
        built_for = manifest.get('key')
        if not isinstance(built_for, dict) or built_for != key:
            raise EngineRefused(f'{engine} is foreign: {_difference(built_for, key)}')
        try:
            data = engine.read_bytes()
        except OSError as error:
            raise EngineRefused(f'{engine} cannot be read: {error}') from error
        if len(data) != manifest.get('bytes'):
            raise EngineRefused(f'{engine} is truncated: {len(data)} bytes of '
                                f'{manifest.get("bytes")}')
        if sha256(data) != manifest.get('sha256'):
            raise EngineRefused(f'{engine} was changed since it was built: its sha256 differs')
        return data

    def _named_by_key(self, engine: Path, manifest: dict) -> bool:
        try:
            return EngineKey(**manifest['key']).name == engine.stem
        except (KeyError, TypeError):
            return False

    def _similar(self, key: EngineKey) -> str:
        """Describe the engines of the same graph for other keys: the usual reason for a miss."""
        found = []
        for engine in self.folder.glob(f'{key.graph_sha256[:12]}-*.engine'):
            try:
                other = _manifest(engine.with_suffix('.json')).get('key')
            except EngineRefused:
                continue
            if isinstance(other, dict) and other != asdict(key):
                found.append(f'{engine.name} ({_difference(other, asdict(key))})')
        return f'; there is {", ".join(found[:3])}' if found else ''

    @contextmanager
    def _lock(self, key: EngineKey):
        import fcntl
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / f'{key.name}.lock').open('w') as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                _log.warning('another process builds %s: waiting', key.name)
                fcntl.flock(file, fcntl.LOCK_EX)
            for left in self.folder.glob(f'.{key.name}.*.tmp'):
                left.unlink(missing_ok=True)  # from a process that was killed
            yield


def _manifest(file: Path) -> dict:
    try:
        size = file.stat().st_size
        if size > _MAX_MANIFEST_BYTES:
            raise EngineRefused(f'{file} is damaged: {size} bytes are no manifest')
        manifest = json.loads(file.read_bytes())
    except OSError as error:
        raise EngineRefused(f'{file} is missing: the engine was not finished') from error
    except (ValueError, RecursionError) as error:
        raise EngineRefused(f'{file} is damaged: {error}') from error
    if not isinstance(manifest, dict):
        raise EngineRefused(f'{file} is damaged: no JSON object')
    return manifest


def _difference(built_for, wanted) -> str:
    """Describe the values of an engine's key that differ from those of ``wanted``."""
    if not isinstance(built_for, dict) or not isinstance(wanted, dict):
        return 'its manifest has no key'
    words = [f'{name} {str(built_for.get(name))[:16]}, here {str(value)[:16]}'
             for name, value in wanted.items() if built_for.get(name) != value]
    return 'built for ' + '; '.join(words) if words else 'its manifest has unknown keys'
