"""Arguments that several verbs share: source, camera, settings, files to write."""

from argparse import ArgumentTypeError
import os
from pathlib import Path
from typing import Any, Dict, Iterable, List, Mapping, Optional


def add_source_arguments(parser, prefix: str = ''):
    """Add the options of a source for the pipeline; ``prefix`` begins each help text."""
    lens = parser.add_mutually_exclusive_group()
    lens.add_argument('--camera', metavar='CAMERA.yaml',
                      help=f'{prefix}calibration as written by ROS camera_calibration')
    lens.add_argument('--fov-deg', metavar='DEG', type=float,
                      help=f'{prefix}horizontal field of view where there is no calibration')
    parser.add_argument('--max-frames', metavar='N', type=int,
                        help=f'{prefix}stop after this number of frames')
    parser.add_argument('--set', metavar='NAME=VALUE', action='append', default=[],
                        help=f'{prefix}any setting, such as smoothing.beta=0.5; may be repeated')


def settings_from(args) -> Dict[str, Any]:
    """Return the settings of --set and --fov-deg."""
    settings = parse_settings(args.set)
    if args.fov_deg is not None:
        settings['camera.fov_deg'] = args.fov_deg
    return settings


def parse_settings(pairs: Iterable[str]) -> Dict[str, Any]:
    """Return ``['smoothing.beta=0.5', …]`` as a dictionary with values of the settings' types."""
    from niki_ros.common.errors import ConfigError
    from niki_ros.common.setting import settings_of
    from niki_ros.common.settings import PipelineConfig
    types = {item.name: type(item.default) for item in settings_of(PipelineConfig())}
    readers = {bool: {'true': True, 'false': False}.__getitem__}
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition('=')
        if not equals or name not in types:
            raise ConfigError(f'{pair!r} is not a setting; expected NAME=VALUE, where NAME is one '
                              f'of {", ".join(sorted(types))}')
        try:
            values[name] = readers.get(types[name], types[name])(text)
        except (KeyError, ValueError) as error:
            raise ConfigError(f'{name} is {text!r}; expected a value of type '
                              f'{types[name].__name__}') from error
    return values


def open_source_of(args, settings: Mapping[str, Any], **options):
    """Open the source of the arguments; return it, and the camera of --camera or None."""
    from niki_ros.common.settings import CameraConfig, TrackingConfig
    from niki_ros.sources.camera_file import camera_for_source
    from niki_ros.sources.open import open_source
    images = settings.get('camera.images', CameraConfig.images)
    source = open_source(
        args.source, max_frames=args.max_frames, images=images,
        fov_deg=None if args.camera else settings.get('camera.fov_deg', CameraConfig.fov_deg),
        late_s=settings.get('tracking.late_s', TrackingConfig.late_s), **options)
    if not args.camera:
        return source, None
    try:
        return source, camera_for_source(args.camera, source, images == 'rectified')
    except BaseException:
        source.close()
        raise


def check_files(outputs: Mapping[str, Any], source, camera: Optional[str],
                settings: Mapping[str, Any], **suffixes) -> None:
    """
    Check, before any work, that outputs can be written and replace no file that the verb reads.

    :param outputs: name of the option → path, None where it was not given.
    :param source: video, folder of images or bag; None where there is none.
    :param suffixes: name of the option without dashes → file name endings of its writer.
    """
    from niki_ros.files.output_paths import check_outputs
    from niki_ros.models.model_store import shipped_models
    from niki_ros.sources.open import source_files
    inputs = [] if source is None else source_files(source)
    inputs += shipped_models().glob('*/*')
    for value in settings.values():
        inputs += _model_files(value)
    check_outputs(outputs, [*inputs, camera],
                  {f'--{name}': endings for name, endings in suffixes.items()})


def _model_files(value) -> List[Path]:
    """
    Return the files of a model folder, or of a graph, that a setting names.

    The model folders next to it are included, because a model may use parts of another.
    """
    if not isinstance(value, str) or not value:
        return []
    path = Path(os.path.expanduser(value))
    if (path / 'manifest.json').is_file():
        return [file for folder in path.resolve().parent.iterdir()
                if (folder / 'manifest.json').is_file()
                for file in folder.iterdir() if file.is_file()]
    return [path] if path.is_file() else []


def number_between(kind, low, high):
    """Return a type for argparse: a number from ``low`` to ``high``."""
    def read(text):
        value = kind(text)
        if not low <= value <= high:
            raise ArgumentTypeError(f'{text} is out of range; expected {low} … {high}')
        return value
    read.__name__ = kind.__name__
    return read


def add_error_arguments(parser):
    """Add the options by which the error of a graph is measured and limited."""
    parser.add_argument('--limit', type=float, metavar='MM', help='largest 99th percentile of the '
                        'error: millimetres, of a detector pixels (solver 0.5, landmarks 1; '
                        'detector 0.5)')
    parser.add_argument('--poses', metavar='NPZ', help='joints_m (N, 29, 3) and sigma (N, 29) to '
                        'measure a solver with; default: those that ship')
    parser.add_argument('--images', metavar='FOLDER', help='JPEG or PNG images of people to '
                        'measure the front end with; default: those that ship')
