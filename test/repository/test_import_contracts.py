"""The dependency rule, on the sources and on an algorithm that is imported without the rest."""

from __future__ import annotations

import ast
from pathlib import Path
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'niki_ros'
MESSAGES = {'rclpy', 'sensor_msgs', 'std_msgs', 'geometry_msgs', 'tf2_msgs', 'visualization_msgs',
            'diagnostic_msgs', 'lifecycle_msgs', 'rcl_interfaces', 'builtin_interfaces',
            'vision_msgs', 'launch', 'launch_ros', 'ament_index_python'}

ALGORITHM = ('common', 'body', 'images', 'scene', 'robot_model', 'people')
IMPORT_ALONE = f"""
ROOMS = {ALGORITHM}
import importlib, pkgutil, sys
for name in ('rclpy', 'torch', 'cv2', 'onnxruntime', 'onnx', 'tensorrt', 'yaml'):
    sys.modules[name] = None
names = []
for room in ROOMS:
    package = importlib.import_module('niki_ros.' + room)
    names += [one.name for one in pkgutil.walk_packages(package.__path__, package.__name__ + '.')]
for name in names:
    try:
        importlib.import_module(name)
    except ImportError as error:
        if not error.name == 'cv2':
            raise
print(len(names))
"""


def imported(path: Path) -> set[str]:
    """Return the top-level names that a file imports, anywhere in it."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split('.')[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module.split('.')[0])
    return names


def test_lint_imports():
    beside = Path(sys.executable).with_name('lint-imports')
    command = str(beside) if beside.exists() else shutil.which('lint-imports')
    if command is None:
        pytest.skip('import-linter is not installed: pip install import-linter')
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('path', [path for room in ALGORITHM
                                  for path in sorted((PACKAGE / room).rglob('*.py'))],
                         ids=lambda p: f'{p.parent.stem}/{p.stem}')
def test_the_algorithm_imports_only_numpy_and_scipy(path):
    allowed = {*sys.stdlib_module_names, 'niki_ros', 'numpy', 'scipy'}
    if path.parent.name == 'images':
        allowed.add('cv2')
    assert imported(path) <= allowed


def test_only_ros_imports_ros():
    guilty = {str(path.relative_to(PACKAGE)): sorted(imported(path) & MESSAGES)
              for path in PACKAGE.rglob('*.py') if imported(path) & MESSAGES
              and path.relative_to(PACKAGE).parts[0] not in ('ros', 'demo')}
    assert guilty == {}


def test_the_algorithm_imports_without_everything_else():
    done = subprocess.run([sys.executable, '-c', IMPORT_ALONE], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
