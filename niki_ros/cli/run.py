"""``niki run``: a video, a webcam, images or a bag to bodies; the node's pipeline, no ROS."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
import json
import sys
from time import perf_counter
from typing import Dict, Set

HELP = 'Turn a video, a webcam, a folder of images or a bag into bodies, without ROS.'


def add_arguments(parser):
    """Add the options of the verb."""
    parser.add_argument('source', metavar='SOURCE',
                        help='video, image, folder of images, bag (ROS 2, ROS 1), camera (0, '
                        '/dev/video0, /dev/v4l/by-id/…) or address (rtsp://…, http://…)')
    parser.add_argument('--image-topic', metavar='TOPIC',
                        help='of a bag: Image or CompressedImage (default: the only one)')
    parser.add_argument('--info-topic', metavar='TOPIC',
                        help='of a bag: CameraInfo (default: the one beside the images)')
    parser.add_argument('--depth-topic', metavar='TOPIC',
                        help='of a bag: depth registered to the images (default: not used)')
    parser.add_argument('--overlay', metavar='OUT.mp4', help='write the video with the skeletons')
    parser.add_argument('--json', metavar='OUT.jsonl', help='write one line a frame; - = stdout')
    lens = parser.add_mutually_exclusive_group()
    lens.add_argument('--camera', metavar='CAMERA.yaml',
                      help='calibration as written by ROS camera_calibration')
    lens.add_argument('--fov-deg', metavar='DEG', type=float,
                      help='horizontal field of view where there is no calibration')
    parser.add_argument('--max-frames', metavar='N', type=int, help='stop after so many')
    parser.add_argument('--rate-hz', metavar='HZ', type=float,
                        help="frames per second (default: the file's own; images: 30)")
    parser.add_argument('--observer', metavar='NAME', help='front end that finds people')
    parser.add_argument('--solver', metavar='NAME',
                        help='niki-temporal, niki, analytic, or a path to a model folder')
    parser.add_argument('--set', metavar='NAME=VALUE', action='append', default=[],
                        help='any setting, such as smoothing.beta=0.5; may be repeated')
    parser.add_argument('--quiet', action='store_true', help='no progress bar, no summary')


def main(args) -> int:
    """
    Run the pipeline over the source; files get their names when they are whole.

    Where the source breaks off they hold what came before, and the exit code is 1.
    """
    from niki_ros import load_pipeline
    from niki_ros.cli.files import check_files
    from niki_ros.files.video_writer import VIDEO_SUFFIXES
    from niki_ros.sources.open import open_source
    settings = _settings(args)
    check_files({'--overlay': args.overlay, '--json': args.json}, args.source, args.camera,
                settings, overlay=VIDEO_SUFFIXES)
    with ExitStack() as stack:
        source = stack.enter_context(open_source(
            args.source, rate_hz=args.rate_hz, max_frames=args.max_frames,
            **_bag_options(args, settings)))
        camera = _camera(args, source, settings)
        write_line = _json_writer(stack, args.json)
        overlay = _overlay_writer(stack, args.overlay, source)
        pipeline = load_pipeline(**settings)
        stack.callback(pipeline.close)
        start = perf_counter()
        done = _process(args, source, pipeline, camera, write_line, overlay)
        seconds = perf_counter() - start
    if not args.quiet:
        print(_summary(args, done, seconds, pipeline), file=sys.stderr)
        for line in [*source.remarks(), *([overlay.remark] if overlay and overlay.remark else []),
                     *(f'{name}: {t}' for name, t in done.faults.items())]:
            print(line, file=sys.stderr)
    if done.broken_off:
        print(f'niki: {done.broken_off}; the {done.frames} frames before it were worked on',
              file=sys.stderr)
        return 1
    return 0


def body_record(body) -> dict:
    """Return what one line of JSON says about a body; micrometres are below any meaning."""
    from niki_ros.body.body import STATUS_NAMES
    return {
        'id': int(body.id),
        'root_m': _numbers(body.root_m, 6),
        'joints_m': _numbers(body.joints_m, 6),
        'confidence': _numbers(body.confidence, 4),
        'status': [STATUS_NAMES[status] for status in body.status],
        'keypoints_px': _numbers(body.keypoints_px, 3),
    }


def parse_settings(pairs) -> dict:
    """
    Return ``['smoothing.beta=0.5', …]`` as a dictionary with values of the settings' types.

    :raises ConfigError: for a setting that does not exist, or a value that cannot be read.
    """
    from niki_ros.common.errors import ConfigError
    from niki_ros.common.setting import settings_of
    from niki_ros.common.settings import PipelineConfig
    known = {item.name: type(item.default) for item in settings_of(PipelineConfig())}
    readers = {bool: {'true': True, 'false': False}.__getitem__}
    values = {}
    for pair in pairs:
        name, equals, text = pair.partition('=')
        if not equals or name not in known:
            raise ConfigError(f'{pair!r} is no setting; expected NAME=VALUE with a NAME out of '
                              f'{", ".join(sorted(known))}')
        try:
            values[name] = readers.get(known[name], known[name])(text)
        except (KeyError, ValueError) as error:
            raise ConfigError(f'{name} is {text!r}; expected a value of type '
                              f'{known[name].__name__}') from error
    return values


def _settings(args) -> dict:
    """Return what ``load_pipeline`` takes; an option of its own wins over --set."""
    settings = parse_settings(args.set)
    own = {'observer.name': args.observer, 'solver.name': args.solver,
           'camera.fov_deg': args.fov_deg}
    settings.update({name: value for name, value in own.items() if value is not None})
    for name in ('observer', 'solver'):
        if f'{name}.name' in settings:
            settings[name] = settings.pop(f'{name}.name')
    return settings


def _bag_options(args, settings) -> dict:
    """Return what only a bag is asked for; named for another source it is an error."""
    from niki_ros.common.errors import InputError
    from niki_ros.common.settings import CameraConfig, TrackingConfig
    from niki_ros.sources.bag_files import is_bag
    named = {'image_topic': args.image_topic, 'info_topic': args.info_topic,
             'depth_topic': args.depth_topic}
    if is_bag(args.source):
        fov_deg = settings.get('camera.fov_deg', CameraConfig().fov_deg)
        return {**named, 'fov_deg': None if args.camera else fov_deg,
                'late_s': settings.get('tracking.late_s', TrackingConfig.late_s),
                'images': settings.get('camera.images', CameraConfig.images)}
    for name, topic in named.items():
        if topic is not None:
            raise InputError(f'{args.source} is no bag and has no topic {topic}: leave out '
                             f'--{name.replace("_", "-")}')
    return {}


def _camera(args, source, settings):
    """Return the camera of the file, scaled to the images, or None for the field of view."""
    if not args.camera:
        return None
    from niki_ros.sources.camera_file import camera_for_source
    return camera_for_source(args.camera, source, settings.get('camera.images') == 'rectified')


def _json_writer(stack, path):
    """Return a function that writes one line, or None."""
    from niki_ros.files.atomic_write import line_writer
    if path is None:
        return None
    write = print if path == '-' else stack.enter_context(line_writer(path))
    return lambda record: write(json.dumps(record, separators=(',', ':')))


def _overlay_writer(stack, path, source):
    """Return a :class:`VideoWriter`, or None."""
    from niki_ros.files.atomic_write import atomic_write
    from niki_ros.files.video_writer import VIDEO_SUFFIXES, VideoWriter
    if path is None:
        return None
    part = stack.enter_context(atomic_write(path, VIDEO_SUFFIXES))
    return stack.enter_context(VideoWriter(part, source.rate_hz, source.width, source.height))


@dataclass
class _Done:
    """How many frames, the ids seen, what the pipeline said, and why the source ended early."""

    frames: int = 0
    people: Set[int] = field(default_factory=set)
    faults: Dict[str, str] = field(default_factory=dict)
    broken_off: str = ''


def _process(args, source, pipeline, camera, write_line, overlay) -> _Done:
    """Do the work."""
    from niki_ros.common.errors import SourceError
    from niki_ros.images.overlay import draw_overlay
    from tqdm import tqdm
    done = _Done()
    hidden = args.quiet or not sys.stderr.isatty()
    try:
        for frame in tqdm(source, total=source.frame_count, unit='frame', disable=hidden):
            lens = camera.resized(*frame.image_rgb.shape[1::-1]) if camera else frame.camera
            bodies = pipeline.process(frame.image_rgb, lens, frame.stamp_ns,
                                      depth_m=frame.depth_m)
            done.people.update(body.id for body in bodies)
            done.faults.update(pipeline.faults)
            done.frames += 1
            if write_line:
                write_line({'stamp_ns': frame.stamp_ns,
                            'bodies': [body_record(body) for body in bodies]})
            if overlay:
                lens = lens or pipeline.assumed_camera(frame.image_rgb)
                overlay.write(draw_overlay(frame.image_rgb, bodies, lens), frame.stamp_ns)
    except (KeyboardInterrupt, SystemExit):
        # a camera has no other end than Ctrl-C or SIGTERM; a file not finished is dropped
        if not source.live:
            raise
    except SourceError as error:
        # what came before is right, and perhaps all that there is
        if not done.frames:
            raise
        done.broken_off = str(error)
    return done


def _summary(args, done: _Done, seconds, pipeline) -> str:
    """Return the closing words."""
    who = ', '.join(str(n) for n in sorted(done.people)) or 'nobody'
    lines = [f'{done.frames} frames in {seconds:.1f} s '
             f'({done.frames / max(seconds, 1e-9):.1f} fps)',
             f'people seen: {who}',
             ', '.join(f'{name} {value}' for name, value in pipeline.describe().items()
                       if not name.endswith('sha256'))]
    files = (('overlay', args.overlay), ('bodies', args.json))
    lines += [f'{what}: {path}' for what, path in files if path not in (None, '-')]
    return '\n'.join(lines)


def _numbers(array, digits):
    """Return nested lists of floats with so many digits; null where there is no number."""
    if getattr(array, 'ndim', 0) > 1:
        return [_numbers(row, digits) for row in array]
    return [round(x, digits) if abs(x) < float('inf') else None for x in map(float, array)]
