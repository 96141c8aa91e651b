"""Build ``niki_ros`` with colcon or pip, so that ros2 run and ros2 launch find it."""

from __future__ import annotations

import os
from pathlib import Path
import sys
from xml.etree import ElementTree

from setuptools import find_packages, setup

NAME = 'niki_ros'
HERE = Path(__file__).resolve().parent
EXECUTABLES = {
    'pose_node': 'niki_ros.ros.pose_node:main',
    'video_source': 'niki_ros.ros.video_source:main',
    'humans_merger': 'niki_ros.ros.humans_merger:main',
    'niki': 'niki_ros.cli.main:main',
}
# pip installs console scripts into bin/, ros2 looks in lib/<package>/: the latter call the former
FORWARDER = """#!/bin/sh
self="$(readlink -f "$0")"
exec "$(dirname "$self")/../../bin/$(basename "$self")" "$@"
"""


def package_data() -> list[str]:
    """List everything in the package that is not Python (old setuptools know no ``**``)."""
    package = HERE / NAME
    return [str(path.relative_to(package)) for path in sorted(package.rglob('*'))
            if path.is_file() and path.suffix not in ('.py', '.pyc')]


def data_files() -> list[tuple[str, list[str]]]:
    """List what goes to ``share``, and to ``lib`` when pip builds."""
    def files(folder, pattern):
        return [str(path.relative_to(HERE)) for path in sorted((HERE / folder).glob(pattern))]

    share = f'share/{NAME}'
    found = [
        ('share/ament_index/resource_index/packages', [f'resource/{NAME}']),
        (share, ['package.xml', 'LICENSE', 'NOTICE']),
        (f'{share}/launch', files('launch', '*.launch.py')),
        (f'{share}/config', files('config', '*')),
    ]
    if 'bdist_wheel' in sys.argv:
        found.append((f'lib/{NAME}', forwarders()))
    return found


def forwarders() -> list[str]:
    """Write one forwarding script for each executable and return their paths."""
    folder = HERE / 'build' / 'forwarders'
    folder.mkdir(parents=True, exist_ok=True)
    for name in EXECUTABLES:
        (folder / name).write_text(FORWARDER, encoding='utf-8')
        os.chmod(folder / name, 0o755)
    return [str((folder / name).relative_to(HERE)) for name in EXECUTABLES]


setup(
    name=NAME,
    version=ElementTree.parse(HERE / 'package.xml').findtext('version'),
    description='People seen by a camera as bodies in metres: TF and joint states by NIKI',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=[NAME, f'{NAME}.*']),
    package_data={NAME: package_data()},
    data_files=data_files(),
    install_requires=[
        'numpy',
        'scipy>=1.8',
        'opencv-python-headless',
        'onnxruntime',
        'pyyaml',
        'tqdm',
    ],
    extras_require={
        'bag': ['rosbags>=0.11'],
        'view': ['matplotlib', 'pillow'],
        # 170 MB; only niki view without --web needs it
        'rerun': ['rerun-sdk>=0.31'],
        'test': ['pytest', 'pytest-timeout', 'pytest-xdist', 'hypothesis', 'onnx', 'yourdfpy',
                 'rosbags>=0.11', 'matplotlib', 'ruff', 'mypy', 'import-linter', 'types-PyYAML',
                 'types-tqdm', 'catkin-pkg', 'setuptools>=70.1'],
    },
    entry_points={'console_scripts': [f'{name} = {target}'
                                      for name, target in EXECUTABLES.items()]},
    zip_safe=False,
)
