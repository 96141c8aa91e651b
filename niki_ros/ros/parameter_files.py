"""Parameter files that several nodes share: the parameters in them for every node."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple

import yaml

_WILDCARDS = ('*', '**')
_PARAMETERS_KEY = 'ros__parameters'
# launch writes the parameters of one node under the wildcard of every node
_LAUNCH_FILE_PREFIX = 'launch_params_'


def shared_names(argv: Sequence[str], node_name: str) -> Dict[str, str]:
    """
    Return name → file of the parameters that files on a command line give to every node.

    Parameters that a file or the command line gives to this node are left out.

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
                if last in _WILDCARDS and not Path(value).name.startswith(_LAUNCH_FILE_PREFIX):
                    shared.update(dict.fromkeys(names, value))
                elif last in (node_name, *_WILDCARDS):
                    own.update(names)
    return {name: file for name, file in shared.items() if name not in own}


def _ros_arguments(argv: Sequence[str]) -> Iterator[Tuple[str, str]]:
    """Yield pairs of consecutive words between --ros-args and --."""
    inside = False
    for word, after in zip(argv, [*argv[1:], '']):
        inside = word == '--ros-args' or (inside and word != '--')
        if inside:
            yield word, after


def _sections(file: str) -> List[Tuple[List[str], List[str]]]:
    """Return for each section of a file the path of the node and the names of its parameters."""
    try:
        content = yaml.safe_load(Path(file).read_text('utf-8'))
    except (OSError, ValueError, yaml.YAMLError):
        return []  # ROS reports it
    found = []

    def walk(path: List[str], inside):
        if isinstance(inside, dict):
            for key, value in inside.items():
                if key == _PARAMETERS_KEY:
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
