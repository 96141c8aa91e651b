"""Parameter files that several nodes share: the parameters in them for every node."""

from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple

import yaml

_WILDCARDS = ('*', '**')
# launch writes the parameters of one node under the wildcard of every node
_LAUNCH_FILE_PREFIX = 'launch_params_'


def shared_names(argv: Sequence[str], node_name: str) -> Dict[str, str]:
    """
    Return name → file of the parameters that files on a command line give to every node.

    Parameters that a file or the command line gives to ``node_name`` are left out.
    """
    shared: Dict[str, str] = {}
    own: Set[str] = set()
    for option, value in _ros_arguments(argv):
        if option in ('-p', '--param'):
            own.add(value.partition(':=')[0].rpartition(':')[2])
        elif option == '--params-file':
            for section, names in _sections(_content(value)):
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


def _content(file: str):
    try:
        return yaml.safe_load(Path(file).read_text('utf-8'))
    except (OSError, ValueError, yaml.YAMLError):
        return None  # ROS reports it


def _sections(content, path: Tuple[str, ...] = ()) -> Iterator[Tuple[Tuple[str, ...], List[str]]]:
    """Yield for each section of a file the path of the node and the names of its parameters."""
    for key, value in content.items() if isinstance(content, dict) else ():
        if key == 'ros__parameters':
            yield path, list(_flat('', value))
        else:
            yield from _sections(value, (*path, *filter(None, str(key).split('/'))))


def _flat(prefix: str, values) -> Iterator[str]:
    """Yield the names of nested parameters with dots."""
    for key, value in values.items() if isinstance(values, dict) else ():
        name = f'{prefix}{key}'
        yield from _flat(f'{name}.', value) if isinstance(value, dict) else (name,)
