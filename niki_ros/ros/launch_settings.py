"""Arguments of the launch files: checks, and the nodes to start; independent of launch."""

from difflib import get_close_matches
from pathlib import Path
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

from niki_ros.common.errors import ConfigError
from niki_ros.common.setting import settings_of
from niki_ros.ros.settings import NodeConfig
import yaml

_LIST_PARAMETERS = {
    item.name for item in settings_of(NodeConfig()) if isinstance(item.default, tuple)}
_CAMERA_KEYS = {'image': str, 'camera_info': str, 'camera_frame': str, 'parameters': dict}
# arguments that differ between cameras, so the file of cameras sets them; name → default
_PER_CAMERA = {'image': 'image', 'camera_info': 'camera_info', 'camera_frame': '',
               'id_prefix': '', 'frame_prefix': ''}


class CameraNode(NamedTuple):
    """The node of one camera."""

    namespace: str
    image: str  # its topic
    camera_info: str  # its topic
    camera_frame: str  # empty = the frame of the images
    parameters: Dict[str, Any]  # name → value; the parameter file has the others


def unknown_arguments(argv: Iterable[str], known: Iterable[str]) -> List[str]:
    """Return a text for every ``name:=value`` of a command line with an unknown name."""
    texts = []
    for word in argv:
        name, sign, _ = word.partition(':=')
        if sign and name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f'did you mean {near[0]!r}?' if near else f'known: {", ".join(sorted(known))}'
            texts.append(f'unknown launch argument {name!r}; {hint}')
    return texts


def flag(name: str, text: str) -> bool:
    """Return the truth value of an argument in YAML; other values are a ConfigError."""
    value = yaml.safe_load(text)
    if not isinstance(value, bool):
        raise ConfigError(f'{name}:={text}; expected true or false')
    return value


def choice(name: str, text: str, known: Iterable[str]) -> str:
    """Return the argument; a word that is not known is a ConfigError."""
    if text not in known:
        raise ConfigError(f'{name}:={text}; expected {" or ".join(known)}')
    return text


def existing_file(name: str, path: str) -> str:
    """Return the path of an existing file; launch itself ignores a missing one."""
    if not Path(path).is_file():
        raise ConfigError(f'{name}:={path}: there is no such file')
    return path


def given_parameters(arguments: Dict[str, str], names: Iterable[str]) -> Dict[str, Any]:
    """Return the arguments with these names that are not empty; commas separate list items."""
    given = {name: arguments[name] for name in names if arguments[name]}
    return {name: [one.strip() for one in value.strip('[]').split(',')] if name in _LIST_PARAMETERS
            else value for name, value in given.items()}


def camera_nodes(arguments: Dict[str, str], parameters: Dict[str, Any]) -> List[CameraNode]:
    """
    Return the nodes to start: one, or one for each camera in the file ``cameras``.

    :param arguments: of the launch file: namespace, image, camera_info, camera_frame, cameras.
    :param parameters: of every node.
    """
    if not arguments['cameras']:
        return [CameraNode(arguments['namespace'], arguments['image'], arguments['camera_info'],
                           arguments['camera_frame'], parameters)]
    conflicts = [name for name, default in _PER_CAMERA.items()
                 if arguments.get(name, default) != default]
    if conflicts:
        raise ConfigError(f'{conflicts[0]}:={arguments[conflicts[0]]} and cameras:='
                          f'{arguments["cameras"]}: set it for each camera in the file')
    return [_camera_node(name, entry, arguments['namespace'], parameters)
            for name, entry in _read_cameras(arguments['cameras']).items()]


def _camera_node(name: str, entry: Optional[dict], namespace: str, parameters) -> CameraNode:
    """Return the node of one entry of the file; its name is the prefix of its bodies."""
    entry = entry or {}
    if not isinstance(name, str) or not re.fullmatch('[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?', name):
        raise ConfigError(f'camera {name!r}: expected letters, digits and _, a letter first: '
                          'namespace, ids and frames begin with the name')
    unknown = [key for key in entry if key not in _CAMERA_KEYS]
    if unknown:
        raise ConfigError(f'camera {name!r}: {unknown[0]!r} is not one of '
                          f'{", ".join(_CAMERA_KEYS)}')
    for key, kind in _CAMERA_KEYS.items():
        if not isinstance(entry.get(key, kind()), kind):
            raise ConfigError(f'camera {name!r}: {key} is {entry[key]!r}; expected ' + (
                'a text' if kind is str else '{name: value, …}'))
    own = {'id_prefix': f'{name}_', 'frame_prefix': f'{name}/'}
    return CameraNode(f'{namespace.rstrip("/")}/{name}' if namespace else name,
                      entry.get('image', 'image'), entry.get('camera_info', 'camera_info'),
                      entry.get('camera_frame', ''),
                      {**parameters, **own, **entry.get('parameters', {})})


def needs_merger(cameras: List[CameraNode], params_file: str) -> bool:
    """Return whether several nodes publish lists of people by REP-155, which must be merged."""
    return sum('ros4hri' in camera.parameters.get('conventions', _conventions(params_file))
               for camera in cameras) > 1


def _conventions(params_file: str) -> List[str]:
    """Return the conventions in a parameter file, of any node."""
    try:
        sections = [yaml.safe_load(Path(params_file).read_text('utf-8'))]
    except (OSError, UnicodeError, yaml.YAMLError):
        return []  # the node reads the file too and reports the error
    conventions: List[str] = []
    while sections:
        section = sections.pop()
        if isinstance(section, dict):
            value = section.get('conventions', [])
            conventions += [value] if isinstance(value, str) else value
            sections += section.values()
    return conventions


def _read_cameras(path: str) -> dict:
    """Return the entries of a file of cameras: name → entry or None."""
    try:
        cameras = yaml.safe_load(Path(path).read_text('utf-8'))
    except (OSError, UnicodeError, yaml.YAMLError) as error:
        raise ConfigError(f'cameras:={path}: {error}') from error
    if not isinstance(cameras, dict) or not cameras or not all(
            isinstance(entry, (dict, type(None))) for entry in cameras.values()):
        raise ConfigError(f'cameras:={path}: expected a name for each camera, and below it '
                          f'{", ".join(_CAMERA_KEYS)}; config/cameras.yaml is an example')
    return cameras
