"""The rooms of both packages and the imports between them."""

import ast
from pathlib import Path
import re
import shutil
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = {'niki_ros': ROOT / 'niki_ros', 'niki_training': ROOT / 'training' / 'niki_training'}
ALGORITHM = ('common', 'body', 'images', 'scene', 'robot_model', 'people')
IMPORT_ALONE = f"""
import importlib, pkgutil, sys
for name in ('rclpy', 'torch', 'cv2', 'onnxruntime', 'onnx', 'tensorrt', 'yaml'):
    sys.modules[name] = None
count = 0
for room in {ALGORITHM}:
    package = importlib.import_module('niki_ros.' + room)
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):
        try:
            importlib.import_module(module.name)
        except ImportError as error:
            if error.name != 'cv2':
                raise
        count += 1
print(count)
"""


def rooms_of(package: str) -> dict[str, Path]:
    return {folder.name: folder for folder in sorted(PACKAGES[package].iterdir())
            if (folder / '__init__.py').is_file()}


def imported(folder: Path) -> set[str]:
    names = set()
    for path in folder.rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add(node.module)
    return names


def layers_of(package: str) -> tuple[dict[str, int], set[tuple[str, str]]]:
    """Return the height of each room in the layers of pyproject.toml, and the exceptions."""
    tomllib = pytest.importorskip('tomllib', reason='tomllib comes with Python 3.11')
    settings = tomllib.loads((ROOT / 'pyproject.toml').read_text('utf-8'))
    contract, = [one for one in settings['tool']['importlinter']['contracts']
                 if one['type'] == 'layers' and one['containers'] == [package]]
    exceptions = {tuple(re.findall(r'\w+\.(\w+)[\w.]*', rule)) for rule in contract.get(
        'ignore_imports', [])}
    return {room: -index for index, layer in enumerate(contract['layers'])
            for room in re.findall(r'\w+', layer)}, exceptions


def rooms_named(room: Path) -> set[str]:
    text = ast.get_docstring(ast.parse((room / '__init__.py').read_text('utf-8'))) or ''
    sentence = re.search(r'(?:May import|Imports)(?: the rooms)? ([\w\s,]+)\.', text)
    assert sentence, f'{room}/__init__.py does not say which rooms it may import'
    return set(re.findall(r'\w+', sentence[1])) - {
        'and', 'no', 'other', 'room', 'of', 'the', 'training'}


def test_contracts_of_import_linter():
    beside = Path(sys.executable).with_name('lint-imports')
    command = str(beside) if beside.exists() else shutil.which('lint-imports')
    if command is None:
        pytest.skip('import-linter is not installed: pip install import-linter')
    done = subprocess.run([command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('package', PACKAGES)
def test_every_room_says_which_rooms_it_may_import(package):
    """A room also imports the rooms in the layers below those that its docstring names."""
    height, exceptions = layers_of(package)
    for name, folder in rooms_of(package).items():
        named = rooms_named(folder)
        assert named <= set(height), (name, named)
        top = max((height[one] for one in named), default=-len(height))
        used = {module.split('.')[1] for module in imported(folder)
                if module.startswith(f'{package}.')} - {name}
        undeclared = {one for one in used - named if height[one] >= top}
        assert {(name, one) for one in undeclared} <= exceptions, name


@pytest.mark.parametrize('room', ALGORITHM)
def test_the_algorithm_imports_only_numpy_and_scipy(room):
    allowed = {*sys.stdlib_module_names, 'niki_ros', 'numpy', 'scipy'}
    if room == 'images':
        allowed.add('cv2')
    assert {name.split('.')[0] for name in imported(PACKAGES['niki_ros'] / room)} <= allowed


def test_the_algorithm_imports_without_other_libraries():
    done = subprocess.run([sys.executable, '-c', IMPORT_ALONE], cwd=ROOT,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
