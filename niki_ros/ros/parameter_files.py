"""Parameter files that several nodes share: what in them is meant for every node, and whose."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple

import yaml

_WILDCARDS = ('*', '**')
_HERE = 'ros__parameters'
# what launch writes for one node, under the name of every node
_OF_LAUNCH = 'launch_params_'


def shared_names(argv: Sequence[str], node_name: str) -> Dict[str, str]:
    """
    Return parameters that the files on a command line give to every node: name → file.

    Those that a file or the command line gives to this node are not among them.

    :param argv: with ``--ros-args``. :param node_name: without namespace.
    """
    shared: Dict[str, str] = {}
    own: Set[str] = set()
    for option, value in _ros_arguments(argv):
        if option in ('-p', '--param'):
            own.add(value.partition(':=')[0].rpartition(':')[2])
        elif option == '--params-file':
            for section, names in _sections(value):
                last = section[-1] if section else '**'
                if last in _WILDCARDS and not Path(value).name.startswith(_OF_LAUNCH):
                    shared.update(dict.fromkeys(names, value))
                elif last in (node_name, *_WILDCARDS):
                    own.update(names)
    return {name: file for name, file in shared.items() if name not in own}


def _ros_arguments(argv: Sequence[str]) -> Iterator[Tuple[str, str]]:
    """Yield pairs of words that follow each other between --ros-args and --."""
    inside = False
    for word, after in zip(argv, [*argv[1:], '']):
        inside = word == '--ros-args' or (inside and word != '--')
        if inside:
            yield word, after


def _sections(file: str) -> List[Tuple[List[str], List[str]]]:
    """Return the path of every node in a file, and the names of its parameters."""
    try:
        content = yaml.safe_load(Path(file).read_text('utf-8'))
    except (OSError, ValueError, yaml.YAMLError):
        return []  # ROS has its own words for it
    found = []

    def walk(path: List[str], inside):
        if isinstance(inside, dict):
            for key, value in inside.items():
                if key == _HERE:
                    found.append((path, list(_flat('', value))))
                else:
                    walk([*path, *filter(None, str(key).split('/'))], value)
    walk([], content)
    return found


def _flat(prefix: str, values) -> Iterator[str]:
    """Yield the names of nested parameters with dots."""
    for key, value in (values.items() if isinstance(values, dict) else ()):
        name = f'{prefix}{key}'
        if isinstance(value, dict):
            yield from _flat(f'{name}.', value)
        else:
            yield name
