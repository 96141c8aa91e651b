"""``niki run``: a video, a camera, images or a bag to bodies, by the pipeline of the node."""

from contextlib import ExitStack
from dataclasses import dataclass, field
import json
import sys
from time import perf_counter
from typing import Any, Callable, Dict, Optional, Set

from niki_ros.cli.arguments import add_source_arguments, check_files, open_source_of, settings_from

HELP = 'Turn a video, a webcam, a folder of images or a bag into bodies, without ROS.'


def add_arguments(parser):
    """Add the options of the verb."""
    parser.add_argument('source', metavar='SOURCE',
                        help='video, image, folder of images, bag (ROS 2, ROS 1), camera (0, '
                        '/dev/video0, /dev/v4l/by-id/…) or address (rtsp://…, http://…)')
    parser.add_argument('--image-topic', metavar='TOPIC',
                        help='of a bag: Image or CompressedImage (default: the only one)')
    parser.add_argument('--info-topic', metavar='TOPIC',
                        help='of a bag: CameraInfo (default: the one next to the images)')
    parser.add_argument('--depth-topic', metavar='TOPIC',
                        help='of a bag: depth registered to the images (default: not used)')
    parser.add_argument('--overlay', metavar='OUT.mp4', help='write the video with the skeletons')
    parser.add_argument('--json', metavar='OUT.jsonl', help='write one line a frame; - = stdout')
    add_source_arguments(parser)
    parser.add_argument('--rate-hz', metavar='HZ', type=float,
                        help="frames per second (default: the file's own; images: 30)")
    parser.add_argument('--observer', metavar='NAME', help='front end that finds people')
    parser.add_argument('--solver', metavar='NAME',
                        help='niki-temporal, niki, analytic, or a path to a model folder')
    parser.add_argument('--quiet', action='store_true', help='no progress bar, no summary')


def main(args) -> int:
    """Write the bodies of a source; 1 where it ends early, after the frames before."""
    from niki_ros import load_pipeline
    from niki_ros.files.video_writer import VIDEO_SUFFIXES
    settings = settings_from(args)
    for name, value in (('observer', args.observer), ('solver', args.solver)):
        if value is not None:
            settings[f'{name}.name'] = value
    check_files({'--overlay': args.overlay, '--json': args.json}, args.source, args.camera,
                settings, overlay=VIDEO_SUFFIXES)
    with ExitStack() as stack:
        source, camera = open_source_of(
            args, settings, rate_hz=args.rate_hz, image_topic=args.image_topic,
            info_topic=args.info_topic, depth_topic=args.depth_topic)
        stack.enter_context(source)
        write_line = _open_json(stack, args.json)
        overlay = _open_overlay(stack, args.overlay, source)
        pipeline = load_pipeline(wait=not source.live, **settings)
        stack.callback(pipeline.close)
        run = _process(source, pipeline, camera, write_line, overlay, args.quiet)
    if not args.quiet:
        lines = [*_summary(args, run, pipeline), *source.remarks(), overlay.remark if overlay
                 else '', *(f'{name}: {text}' for name, text in run.faults.items())]
        print('\n'.join(line for line in lines if line), file=sys.stderr)
    if run.source_error:
        print(f'niki: {run.source_error}; the {run.frame_count} frames before it were processed',
              file=sys.stderr)
        return 1
    return 0


def _open_json(stack, path) -> Optional[Callable[[str], Any]]:
    from niki_ros.files.atomic_write import line_writer
    if path is None:
        return None
    return print if path == '-' else stack.enter_context(line_writer(path))


def _open_overlay(stack, path, source):
    from niki_ros.files.atomic_write import atomic_write
    from niki_ros.files.video_writer import VIDEO_SUFFIXES, VideoWriter
    if path is None:
        return None
    part = stack.enter_context(atomic_write(path, VIDEO_SUFFIXES))
    return stack.enter_context(VideoWriter(part, source.rate_hz, source.width, source.height))


@dataclass
class _Run:
    frame_count: int = 0
    body_ids: Set[int] = field(default_factory=set)
    faults: Dict[str, str] = field(default_factory=dict)  # of the pipeline, by name
    source_error: str = ''  # the error that ended it
    duration_s: float = 0.0


def _process(source, pipeline, camera, write_line, overlay, quiet: bool) -> _Run:
    from niki_ros.common.errors import SourceError
    from niki_ros.loading.process_source import frame_record, process_source
    from tqdm import tqdm
    run, start_s = _Run(), perf_counter()
    try:
        for frame in tqdm(process_source(source, pipeline, camera), total=source.frame_count,
                          unit='frame', disable=quiet or not sys.stderr.isatty()):
            run.body_ids.update(body.id for body in frame.bodies)
            run.faults.update(pipeline.faults)
            run.frame_count += 1
            if write_line:
                write_line(json.dumps(frame_record(frame), separators=(',', ':')))
            if overlay:
                overlay.write(frame.overlay(), frame.stamp_ns)
    except (KeyboardInterrupt, SystemExit):
        # a camera only ends by Ctrl-C or SIGTERM; of a file, the outputs would be incomplete
        if not source.live:
            raise
    except SourceError as error:
        # the frames before it are correct
        if not run.frame_count:
            raise
        run.source_error = str(error)
    run.duration_s = perf_counter() - start_s
    return run


def _summary(args, run: _Run, pipeline) -> list:
    ids = ', '.join(str(n) for n in sorted(run.body_ids)) or 'none'
    lines = [f'{run.frame_count} frames in {run.duration_s:.1f} s '
             f'({run.frame_count / max(run.duration_s, 1e-9):.1f} fps)',
             f'ids of people: {ids}',
             ', '.join(f'{name} {value}' for name, value in pipeline.describe().items()
                       if not name.endswith('sha256'))]
    files = (('overlay', args.overlay), ('bodies', args.json))
    return lines + [f'{name}: {path}' for name, path in files if path not in (None, '-')]
