"""``niki view``: bodies of a video or a bag beside the image, in the viewer Rerun or a browser."""

from __future__ import annotations

from contextlib import contextmanager
import sys
from typing import List

HELP = ('Look at the bodies in a video or a bag: skeletons in 3D, beside the image. In the viewer '
        'Rerun, or with --web in any browser.')


def add_arguments(parser):
    """Add the options of the verb."""
    parser.add_argument('source', metavar='SOURCE',
                        help='a bag with joints, image and camera_info, or what niki run reads')
    where = parser.add_mutually_exclusive_group()
    where.add_argument('--save', metavar='OUT.rrd',
                       help='write a recording instead; open it with: rerun OUT.rrd')
    where.add_argument('--screenshot', metavar='OUT.png',
                       help='write a picture instead, of the moment with most joints observed')
    where.add_argument('--web', action='store_true',
                       help='serve a web page instead, which needs nothing but a browser')
    parser.add_argument('--host', metavar='ADDRESS', default='127.0.0.1',
                        help='of --web: where it can be reached; 0.0.0.0 = from other machines, '
                             'without any password (default: %(default)s, this machine alone)')
    parser.add_argument('--port', metavar='N', type=int, default=8080,
                        help='of --web; 0 = any that is free (default: %(default)s)')
    parser.add_argument('--at', metavar='S', type=float,
                        help='moment of the screenshot, seconds from the first image')
    parser.add_argument('--joints', metavar='TOPIC',
                        help='topic of the bodies, where a bag has several')
    lens = parser.add_mutually_exclusive_group()
    lens.add_argument('--camera', metavar='CAMERA.yaml',
                      help='of a video: calibration as written by ROS camera_calibration')
    lens.add_argument('--fov-deg', metavar='DEG', type=float,
                      help='of a video: horizontal field of view where there is no calibration')
    parser.add_argument('--max-frames', metavar='N', type=int,
                        help='of a video: stop after so many')
    parser.add_argument('--set', metavar='NAME=VALUE', action='append', default=[],
                        help='of a video: any setting, as in niki run; may be repeated')


def main(args) -> int:
    """Show, record or draw what there is."""
    from niki_ros.cli.files import check_files
    from niki_ros.cli.run import parse_settings
    from niki_ros.viewers import rerun as rerun_view
    # first of all: nobody waits for a pipeline to learn that there is no viewer
    if not args.web:
        rerun_view.load_rerun()
    check_files({'--save': args.save, '--screenshot': args.screenshot}, args.source, args.camera,
                parse_settings(args.set), screenshot=('.png',))
    bag = rerun_view.is_bag(args.source)
    broken_off: List[str] = []
    with _moments(args, bag) as moments:
        moments = _until_it_breaks(moments, broken_off)
        if args.web:
            _serve(moments, args, broken_off)
        elif args.screenshot:
            rerun_view.screenshot(_chosen(moments, args), args.screenshot, absolute=bag)
        elif args.save:
            _save(rerun_view, moments, args.save, bag)
        else:
            rerun_view.show(moments, rerun_view.open_window, absolute=bag)
    for text in broken_off:
        print(f'niki: {text}; what came before it is shown', file=sys.stderr)
    return 1 if broken_off else 0


def _serve(moments, args, broken_off: List[str]):
    """Serve the page while moments come, and after that until Ctrl-C."""
    from pathlib import Path
    import threading

    from niki_ros.viewers.web_page import fill, MomentStore, WebView
    store = MomentStore(Path(args.source).name or str(args.source))
    try:
        view = WebView(store, args.host, args.port)
        try:
            print(f'niki: open {view.url} in a browser; Ctrl-C ends it', file=sys.stderr,
                  flush=True)
            count = fill(store, moments)
            store.finish('; '.join(broken_off))
            print(f'niki: all {count} images are there', file=sys.stderr, flush=True)
            threading.Event().wait()
        except KeyboardInterrupt:
            print('', file=sys.stderr)
        finally:
            view.close()
    finally:
        store.close()


def _until_it_breaks(moments, broken_off: List[str]):
    """Yield the moments; an error of the source after the first one is kept for the end."""
    from niki_ros.common.errors import SourceError
    any_came = False
    try:
        for moment in moments:
            yield moment
            any_came = True
    except SourceError as error:
        if not any_came:
            raise
        broken_off.append(str(error))


@contextmanager
def _moments(args, bag):
    """Hand out the moments of a bag, or of a video while the pipeline runs over it."""
    from niki_ros.viewers.rerun import bag_moments, video_moments
    if bag:
        yield bag_moments(args.source, args.joints)
        return
    from niki_ros import load_pipeline
    from niki_ros.cli.run import parse_settings
    from niki_ros.sources.open import open_source
    settings = parse_settings(args.set)
    if args.fov_deg is not None:
        settings['camera.fov_deg'] = args.fov_deg
    for part in ('observer', 'solver'):
        if f'{part}.name' in settings:
            settings[part] = settings.pop(f'{part}.name')
    with open_source(args.source, max_frames=args.max_frames) as source:
        camera = _camera(args.camera, source, settings)
        pipeline = load_pipeline(**settings)
        try:
            yield video_moments(source, pipeline, camera)
        finally:
            pipeline.close()


def _camera(path, source, settings):
    """Return the camera of the file at the size of the images, None where none is given."""
    if path is None:
        return None
    from niki_ros.sources.camera_file import camera_for_source
    return camera_for_source(path, source, settings.get('camera.images') == 'rectified')


def _save(rerun_view, moments, path, absolute):
    """Write the recording; it gets its name when it is whole."""
    from niki_ros.files.atomic_write import atomic_write
    with atomic_write(path) as part:
        count = rerun_view.show(moments, lambda recording, layout: recording.save(
            str(part), default_blueprint=layout), absolute)
    print(f'{count} moments: {path}   (open it with: rerun {path})', file=sys.stderr)


def _chosen(moments, args):
    """Return the moment to draw."""
    from niki_ros.common.errors import SourceError
    if args.at is None:
        chosen = max(moments, key=lambda moment: moment.observed(), default=None)
    else:
        first, chosen = None, None
        for chosen in moments:
            first = chosen.stamp_ns if first is None else first
            if chosen.stamp_ns - first >= args.at * 1e9:
                break
    if chosen is None:
        raise SourceError(f'{args.source} holds no moment with bodies to draw')
    return chosen
