"""The demonstration: video source and node as processes, a listener over DDS, files at the end."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
import random
import signal
import subprocess
import sys
import threading
import time
from typing import List

from niki_ros.common.errors import InputError, NikiError, SourceError
from niki_ros.common.plain_text import write_plainly

_START_S = 60.0
_QUIET_S = 1.0
_STOP_S = 20.0
_BAG_FILES = {'metadata.yaml', 'bag.mcap'}


class DemoError(NikiError):
    """A process of the demonstration did not do its part."""


def main(argv=None) -> int:
    """Run the demonstration; the last line of stdout is one JSON object."""
    write_plainly()
    args = _parse(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        return _run(args, stop)
    except (NikiError, OSError) as error:
        print(f'niki demo: {error}', file=sys.stderr)
        return 1


def _parse(argv) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='python -m niki_ros.demo.demo', description=__doc__)
    parser.add_argument('--video', required=True, help='video file or folder of images')
    parser.add_argument('--out', type=Path, default=Path('out/demo'),
                        help='folder for the results')
    parser.add_argument('--fov-deg', type=float, default=60.0, help='horizontal field of view')
    parser.add_argument('--camera', help='calibration file, as camera_calibration writes it')
    parser.add_argument('--param', action='append', default=[], metavar='NAME:=VALUE',
                        help='parameter of the node, such as observer.model:=lite; repeatable')
    return parser.parse_args(argv)


def _run(args, stop) -> int:
    from niki_ros.sources.open import open_source
    # a file that cannot be read is refused before anything is started
    with open_source(args.video) as source:
        frames = source.frame_count
        if source.live:
            raise SourceError('the demonstration ends with the video; a camera has no end')
    _make_out(args)
    environment = _own_graph()
    from niki_ros.ros.process import start_ros
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    start_ros([], SignalHandlerOptions.NO)
    from niki_ros.demo.listener import DemoListener
    listener = DemoListener()
    processes: List[subprocess.Popen] = []
    line = _LiveLine()
    try:
        broken_off = _play(args, listener, processes, environment, stop, line, frames)
        if stop.is_set():
            return 130
    finally:
        _end(processes)
        listener.destroy_node()
        rclpy.try_shutdown()
    _report(args, listener, line)
    return 1 if broken_off else 0


def _make_out(args):
    """Make the folder; nothing in it that is an input, or not of a demonstration, is replaced."""
    from niki_ros.files.atomic_write import make_folder
    from niki_ros.files.file_kinds import name_for_opencv
    from niki_ros.files.output_paths import check_outputs
    from niki_ros.sources.open import source_files
    name_for_opencv(args.out)
    make_folder(args.out)
    read = source_files(args.video)
    check_outputs({'the overlay': args.out / 'overlay.mp4',
                   'the picture': args.out / 'skeleton.png'}, [*read, args.camera])
    bag = args.out / 'bag'
    if not (bag.exists() or bag.is_symlink()):
        # the bag is the first thing that a demonstration writes, and the one with our mark
        for name in ('overlay.mp4', 'skeleton.png'):
            if (args.out / name).is_file():
                raise InputError(f'{args.out / name} is there already without the bag of an '
                                 'earlier demonstration, and would be replaced; choose another '
                                 'folder (make demo OUT=…)')
        return
    described = bag / 'metadata.yaml'
    about = described.read_text('utf-8') if described.is_file() else ''
    # as write_bag makes it: our mark, since then, or the library's and our topics
    ours = 'niki_ros demo' in about or ('ros_distro: rosbags' in about and '/tf' in about
                                        and '/image/compressed' in about)
    others = {one.name for one in bag.iterdir()} - _BAG_FILES if ours else set()
    if not ours or others or bag.is_symlink() or any(
            bag.resolve() in file.resolve().parents for file in read):
        raise InputError(f'{bag} is there already and not the bag of an earlier demonstration, '
                         'which would be replaced; choose another folder (make demo OUT=…)')


def _own_graph() -> dict:
    """Choose a ROS domain that nobody else uses, on this machine alone."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    environment = dict(os.environ)
    # the wheels start Python anew with their library path; a child does that by itself
    environment.pop('_ROS_WHEELS_BOOTSTRAP_COMPLETE', None)
    return environment


def _play(args, listener, processes, environment, stop, line, frames) -> bool:
    """
    Start the node, then the source; listen until both have no more to say.

    Return whether the source broke off, after its message on stderr.
    """
    from rclpy.executors import SingleThreadedExecutor
    executor = SingleThreadedExecutor()
    executor.add_node(listener)

    def listen(until, limit_s, doing, must_live=processes):
        end = time.monotonic() + limit_s
        while not stop.is_set() and not until():
            executor.spin_once(timeout_sec=0.02)
            line.show(doing())
            _check(must_live)
            if time.monotonic() > end:
                raise DemoError(f'nothing came for {limit_s:.0f} s while: {doing()}')
    node = _start('pose_node', _node_parameters(args), environment)
    processes.append(node)
    listen(listener.ready, _START_S, lambda: 'loading the models')
    source = _start('video_source', _source_parameters(args), environment)
    processes.append(source)
    listen(lambda: source.poll() is not None, float('inf'),
           lambda: f'{listener.line()}   of {frames or "?"}', [node])
    broken_off = source.returncode not in (None, 0) and listener.counts['camera_info'] > 0
    if broken_off:
        processes.remove(source)
    listen(lambda: time.monotonic() - listener.last_heard > _QUIET_S, _START_S, listener.line)
    # one more second, so that the node's own last counters arrive
    until = time.monotonic() + 1.2
    listen(lambda: time.monotonic() > until, 10.0, listener.line)
    executor.remove_node(listener)
    return broken_off


def _node_parameters(args) -> dict:
    given = dict(text.partition(':=')[::2] for text in args.param)
    return {'camera.fov_deg': str(args.fov_deg), **given}


def _source_parameters(args) -> dict:
    # quoted: a folder named 0 is text in YAML too
    # DDS can take seconds until the listener is known, and it counts every camera_info
    values = {'source': _quoted(str(args.video)), 'fov_deg': str(args.fov_deg),
              'wait_for_subscribers': '1', 'qos_overrides./camera_info.publisher.depth': '1000'}
    return {**values, 'camera_info_file': _quoted(args.camera)} if args.camera else values


def _quoted(text: str) -> str:
    """Return a text for YAML; it takes any letter as it is, and none in two halves."""
    return json.dumps(text, ensure_ascii=False)


def _start(module: str, parameters: dict, environment) -> subprocess.Popen:
    """Start an executable of this package with parameters; its log goes to stderr."""
    command = [sys.executable, '-m', f'niki_ros.ros.{module}', '--ros-args', '--log-level', 'warn']
    for name, value in parameters.items():
        command += ['-p', f'{name}:={value}']
    return subprocess.Popen(command, env=environment, stdout=sys.stderr)


def _check(processes):
    """Refuse to go on where a process has failed."""
    for process in processes:
        if process.poll() not in (None, 0):
            module = process.args[2]
            raise DemoError(f'{module} ended with code {process.returncode}; its message is above')


def _end(processes):
    """Ask every process to end; one that does not is killed."""
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    for process in processes:
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _report(args, listener, line):
    """Write the files and print the figures."""
    from niki_ros.demo.files import draw_skeletons, summary, write_pictures
    figures = summary(listener)
    write_pictures(listener, args.video, args.out, line.show)
    draw_skeletons(listener.bodies, args.out / 'skeleton.png')
    line.end()
    told = {key: value for key, value in listener.diagnostics.items()
            if key.startswith('frames_') or key.endswith('_ms_p50')}
    print('the node says: ' + ', '.join(f'{key} {value}' for key, value in told.items()))
    print(f'files in {args.out}: overlay.mp4, bag, skeleton.png')
    print(json.dumps(figures), flush=True)


class _LiveLine:
    """One line that is written over; without a terminal a line every five seconds."""

    def __init__(self):
        """Nothing is shown yet."""
        self._terminal = sys.stderr.isatty()
        self._shown_s = 0.0
        self._width = 0

    def show(self, text: str):
        """Show ``text``, not more often than can be read."""
        now = time.monotonic()
        if now - self._shown_s < (0.2 if self._terminal else 5.0):
            return
        self._shown_s = now
        if self._terminal:
            print('\r' + text.ljust(self._width), end='', file=sys.stderr, flush=True)
            self._width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self):
        """Leave the line."""
        if self._terminal and self._width:
            print(file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
