"""What the launch files make of their arguments; needs neither launch nor a graph of ROS."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import settings_of
from niki_ros.ros.settings import NodeConfig
import yaml

_LISTS = {item.name for item in settings_of(NodeConfig()) if isinstance(item.default, tuple)}
_OF_CAMERA = ('image', 'camera_info', 'camera_frame', 'parameters')
# with several cameras each has its own: of what the launch file knows, and of the parameters
_OF_ONE = {'image': 'image', 'camera_info': 'camera_info', 'camera_frame': '', 'id_prefix': '',
           'frame_prefix': ''}


class CameraNode(NamedTuple):
    """
    One node for one camera.

    :ivar namespace: of the node; ``image`` and ``camera_info`` are topics of the camera.
    :ivar camera_frame: empty = as the images say.
    :ivar parameters: those that were given; the rest is the parameter file's.
    """

    namespace: str
    image: str
    camera_info: str
    camera_frame: str
    parameters: Dict[str, Any]


def unknown_arguments(argv: Iterable[str], known: Iterable[str]) -> List[str]:
    """Return a sentence for every ``name:=value`` of a command line that has no known name."""
    said = []
    for word in argv:
        name, sign, _ = word.partition(':=')
        if sign and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f'did you mean {near[0]!r}?' if near else f'known: {", ".join(sorted(known))}'
            said.append(f'unknown launch argument {name!r}; {hint}')
    return said


def flag(name: str, text: str) -> bool:
    """Return true or false of an argument, as YAML has them."""
    value = yaml.safe_load(text)
    if not isinstance(value, bool):
        raise ConfigError(f'{name}:={text}; expected true or false')
    return value


def choice(name: str, text: str, known: Iterable[str]) -> str:
    """Return the argument, one of the known words."""
    if text not in known:
        raise ConfigError(f'{name}:={text}; expected {" or ".join(known)}')
    return text


def existing_file(name: str, path: str) -> str:
    """Return the path of a file that is there: launch itself would go on without it."""
    if not Path(path).is_file():
        raise ConfigError(f'{name}:={path}: there is no such file')
    return path


def given_parameters(arguments: Dict[str, str], names: Iterable[str]) -> Dict[str, Any]:
    """Return those of the arguments that are parameters and not empty; commas make lists."""
    given = {name: arguments[name] for name in names if arguments[name]}
    return {name: [one.strip() for one in value.strip('[]').split(',')] if name in _LISTS
            else value for name, value in given.items()}


def camera_nodes(arguments: Dict[str, str], parameters: Dict[str, Any]) -> List[CameraNode]:
    """
    Return the nodes to start: one, or one for each camera of a file.

    :param arguments: of the launch file: namespace, image, camera_info, camera_frame, cameras.
    :param parameters: of every node.
    """
    if not arguments['cameras']:
        return [CameraNode(arguments['namespace'], arguments['image'], arguments['camera_info'],
                           arguments['camera_frame'], parameters)]
    twice = [name for name, default in _OF_ONE.items()
             if arguments.get(name, default) != default]
    if twice:
        raise ConfigError(f'{twice[0]}:={arguments[twice[0]]} and cameras:='
                          f'{arguments["cameras"]}: with several cameras it is said for each in '
                          'the file')
    return [_camera_node(name, about, arguments['namespace'], parameters)
            for name, about in _read(arguments['cameras']).items()]


def _camera_node(name: str, about: Optional[dict], namespace: str, parameters) -> CameraNode:
    """Return the node of one entry; what tells its bodies from others' is its name."""
    about = about or {}
    if not isinstance(name, str) or not re.fullmatch('[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?', name):
        raise ConfigError(f'camera {name!r}: expected a name of letters, digits and _, a letter '
                          'first: namespace, ids and frames begin with it')
    odd = [key for key in about if key not in _OF_CAMERA]
    if odd:
        raise ConfigError(f'camera {name!r}: {odd[0]!r} is not one of {", ".join(_OF_CAMERA)}')
    for key, kind in (*dict.fromkeys(_OF_CAMERA[:3], str).items(), ('parameters', dict)):
        if not isinstance(about.get(key, kind()), kind):
            raise ConfigError(f'camera {name!r}: {key} is {about[key]!r}; expected ' + (
                'a text' if kind is str else '{name: value, …}'))
    own = {'id_prefix': f'{name}_', 'frame_prefix': f'{name}/'}
    return CameraNode(f'{namespace.rstrip("/")}/{name}' if namespace else name,
                      about.get('image', 'image'), about.get('camera_info', 'camera_info'),
                      about.get('camera_frame', ''),
                      {**parameters, **own, **about.get('parameters', {})})


def need_merger(cameras: List[CameraNode], params_file: str) -> bool:
    """
    Return whether several nodes publish by REP-155, so that their lists of people must be merged.

    :param params_file: the parameter file of all of them.
    """
    return sum('ros4hri' in camera.parameters.get('conventions', _conventions(params_file))
               for camera in cameras) > 1


def _conventions(params_file: str) -> List[str]:
    """Return what the parameter file says, of whichever node it says it."""
    try:
        found = [yaml.safe_load(Path(params_file).read_text('utf-8'))]
    except (OSError, UnicodeError, yaml.YAMLError):
        return []  # the node that reads it too says what is wrong
    said: List[str] = []
    while found:
        about = found.pop()
        if isinstance(about, dict):
            words = about.get('conventions', [])
            said += [words] if isinstance(words, str) else words
            found += about.values()
    return said


def _read(path: str) -> dict:
    """Return name → what is known of each camera."""
    try:
        cameras = yaml.safe_load(Path(path).read_text('utf-8'))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ConfigError(f'cameras:={path}: {error}') from error
    if not isinstance(cameras, dict) or not cameras or not all(
            isinstance(about, (dict, type(None))) for about in cameras.values()):
        raise ConfigError(f'cameras:={path}: expected a name for each camera, and below it '
                          f'{", ".join(_OF_CAMERA)}; config/cameras.yaml is an example')
    return cameras
