"""``niki view``: bodies of a video or a bag, in the viewer Rerun or a browser."""

from contextlib import contextmanager, nullcontext
import sys
from typing import Iterable, Iterator, List

from niki_ros.cli.arguments import add_source_arguments, check_files, open_source_of, settings_from

HELP = ('Show the bodies in a video or a bag: skeletons in 3D, next to the image. In the viewer '
        'Rerun, or with --web in any browser.')


def add_arguments(parser):
    """Add the options of the verb."""
    parser.add_argument('source', metavar='SOURCE',
                        help='a bag with joints, image and camera_info, or what niki run reads')
    output = parser.add_mutually_exclusive_group()
    output.add_argument('--save', metavar='OUT.rrd',
                        help='write a recording instead; open it with: rerun OUT.rrd')
    output.add_argument('--screenshot', metavar='OUT.png',
                        help='write an image instead, of the frame with most joints observed')
    output.add_argument('--web', action='store_true',
                        help='serve a web page instead, for which a browser is enough')
    parser.add_argument('--host', metavar='ADDRESS', default='127.0.0.1',
                        help='of --web: address to listen on; 0.0.0.0 = all, so that other '
                             'machines see the page without a password (default: %(default)s)')
    parser.add_argument('--port', metavar='N', type=int, default=8080,
                        help='of --web; 0 = any free one (default: %(default)s)')
    parser.add_argument('--at', metavar='S', type=float,
                        help='of --screenshot: seconds from the first image')
    parser.add_argument('--joints', metavar='TOPIC',
                        help='topic of the bodies, where a bag has several')
    add_source_arguments(parser, prefix='of a video: ')


def main(args) -> int:
    """Show, record, draw or serve the frames; the exit code is 1 where the source ends early."""
    from niki_ros.sources.bag_files import is_bag
    from niki_ros.viewers import rerun
    from niki_ros.viewers.recorded_frames import recorded_frames
    # first, so that a missing viewer is reported before the models are loaded
    if not args.web:
        rerun.load_rerun()
    check_files({'--save': args.save, '--screenshot': args.screenshot}, args.source, args.camera,
                settings_from(args), screenshot=('.png',))
    bag = is_bag(args.source)
    errors: List[str] = []
    with (nullcontext(recorded_frames(args.source, args.joints)) if bag
          else _processed(args) as frames):
        frames = _without_late_error(frames, errors)
        if args.web:
            _serve(frames, args, errors)
        elif args.screenshot:
            rerun.save_screenshot(_chosen(frames, args), args.screenshot, absolute_time=bag)
        elif args.save:
            count = rerun.save_recording(frames, args.save, absolute_time=bag)
            print(f'{count} frames: {args.save}   (open it with: rerun {args.save})',
                  file=sys.stderr)
        else:
            rerun.show_window(frames, absolute_time=bag)
    for text in errors:
        print(f'niki: {text}; the frames before it are shown', file=sys.stderr)
    return 1 if errors else 0


@contextmanager
def _processed(args):
    """Yield the frames of a source while the pipeline runs over it."""
    from niki_ros import load_pipeline
    from niki_ros.loading.process_source import process_source
    settings = settings_from(args)
    source, camera = open_source_of(args, settings)
    with source:
        pipeline = load_pipeline(wait=not source.live, **settings)
        try:
            yield process_source(source, pipeline, camera)
        finally:
            pipeline.close()


def _without_late_error(frames: Iterable, errors: List[str]) -> Iterator:
    """Yield the frames; append an error of the source after the first frame to ``errors``."""
    from niki_ros.common.errors import SourceError
    any_frame = False
    try:
        for frame in frames:
            yield frame
            any_frame = True
    except SourceError as error:
        if not any_frame:
            raise
        errors.append(str(error))


def _serve(frames, args, errors: List[str]):
    """Serve the page while frames are processed, and then until Ctrl-C."""
    from pathlib import Path
    import threading

    from niki_ros.viewers.web_page import FrameStore, WebView
    store = FrameStore(Path(args.source).name or str(args.source))
    try:
        view = WebView(store, args.host, args.port)
        try:
            print(f'niki: open {view.url} in a browser; Ctrl-C ends it', file=sys.stderr,
                  flush=True)
            count = store.add_all(frames)
            store.finish('; '.join(errors))
            print(f'niki: the page has all {count} images', file=sys.stderr, flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            print('', file=sys.stderr)
        finally:
            view.close()
    finally:
        store.close()


def _chosen(frames, args):
    from niki_ros.common.errors import SourceError
    if args.at is None:
        chosen = max(frames, key=lambda frame: frame.observed_count(), default=None)
    else:
        first_ns, chosen = None, None
        for chosen in frames:
            first_ns = chosen.stamp_ns if first_ns is None else first_ns
            if chosen.stamp_ns - first_ns >= args.at * 1e9:
                break
    if chosen is None:
        raise SourceError(f'{args.source} holds no frame with bodies to draw')
    return chosen
