"""Demonstration: video source and node as processes, a listener over DDS, files at the end."""

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
from typing import Callable, Dict, Union

from niki_ros.common.errors import NikiError, SourceError
from niki_ros.common.plain_text import write_plainly
from niki_ros.demo.output_folder import BAG, IMAGE, OVERLAY, prepare_output_folder

_START_TIMEOUT_S = 60.0
_QUIET_S = 1.0  # without a message for this time, the node has processed all images
_LAST_DIAGNOSTICS_S = 1.2  # the last diagnostics of the node arrive within this time
_STOP_TIMEOUT_S = 20.0
_TERMINAL_PERIOD_S, _LOG_PERIOD_S = 0.2, 5.0


class DemoError(NikiError):
    """A process of the demonstration failed."""


def main(argv=None) -> int:
    """Run the demonstration; the last line of stdout is one JSON object with the figures."""
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
    parser.add_argument('--out', type=Path, default=Path('out/demo'), help='folder of the results')
    parser.add_argument('--fov-deg', type=float, default=60.0, help='horizontal field of view')
    parser.add_argument('--camera', help='calibration file, as camera_calibration writes it')
    parser.add_argument('--param', action='append', default=[], metavar='NAME:=VALUE',
                        help='parameter of the node, such as observer.model:=lite; repeatable')
    return parser.parse_args(argv)


def _run(args, stop: threading.Event) -> int:
    from niki_ros.sources.open import open_source
    # an unreadable file is refused before a process is started
    with open_source(args.video) as source:
        frame_count = source.frame_count
        if source.live:
            raise SourceError('the demonstration ends with the video, but a camera has no end')
    prepare_output_folder(args.out, args.video, args.camera)
    _isolate_ros_graph()
    from niki_ros.ros.process import start_ros
    import rclpy
    from rclpy.signals import SignalHandlerOptions
    start_ros([], SignalHandlerOptions.NO)
    from niki_ros.demo.listener import DemoListener
    listener, progress = DemoListener(), _ProgressLine()
    processes = _Processes(listener, stop, progress)
    try:
        source_code = _play(args, processes, frame_count)
        if stop.is_set():
            return 130
    finally:
        processes.close()
        listener.destroy_node()
        rclpy.try_shutdown()
    _report(args, listener, progress)
    return 1 if source_code else 0


def _isolate_ros_graph() -> None:
    """Choose a random ROS domain on this machine only, unless the user has set one."""
    os.environ.setdefault('ROS_DOMAIN_ID', str(random.randint(1, 100)))
    os.environ.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')


def _play(args, processes: _Processes, frame_count) -> int:
    """Run node and source until the node has processed all; return the exit code of the source."""
    listener = processes.listener
    node = {'camera.fov_deg': str(args.fov_deg)}
    node.update(text.partition(':=')[::2] for text in args.param)
    processes.start('pose_node', node)
    processes.wait(listener.is_node_ready, _START_TIMEOUT_S, lambda: 'loading the models')
    # DDS takes up to seconds to connect the listener, which counts every camera_info
    source = {'source': yaml_string(str(args.video)), 'fov_deg': str(args.fov_deg),
              'wait_for_subscribers': '1',
              'qos_overrides./camera_info.publisher.depth': '1000'}
    if args.camera:
        source['camera_info_file'] = yaml_string(args.camera)
    processes.start('video_source', source)
    source_code = processes.wait_for_end(
        'video_source', lambda: f'{listener.progress()}   of {frame_count or "?"}')
    if source_code and not listener.counts['camera_info']:
        raise DemoError(f'video_source ended with code {source_code}, see above')
    processes.wait(lambda: time.monotonic() - listener.last_arrival_s > _QUIET_S,
                   _START_TIMEOUT_S, listener.progress)
    end_s = time.monotonic() + _LAST_DIAGNOSTICS_S
    processes.wait(lambda: time.monotonic() > end_s, 10.0, listener.progress)
    return source_code


def yaml_string(text: str) -> str:
    """Return a text quoted for YAML, so that a folder named 0 is not a number."""
    # not escaped: YAML has no surrogate pairs
    return json.dumps(text, ensure_ascii=False)


class _Processes:
    """Executables of this package, and the listener that runs until they have done their part."""

    def __init__(self, listener, stop: threading.Event, progress: _ProgressLine):
        from rclpy.executors import SingleThreadedExecutor
        self.listener, self._stop, self._progress = listener, stop, progress
        self._running: Dict[str, subprocess.Popen] = {}
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(listener)

    def start(self, module: str, parameters: Dict[str, str]):
        """Start an executable with parameters; its log goes to stderr."""
        command = [sys.executable, '-m', f'niki_ros.ros.{module}', '--ros-args', '--log-level',
                   'warn']
        for name, value in parameters.items():
            command += ['-p', f'{name}:={value}']
        # the ROS wheels restart Python with their library path, unless this variable is set
        environment = {name: value for name, value in os.environ.items()
                       if name != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
        self._running[module] = subprocess.Popen(command, env=environment, stdout=sys.stderr)

    def wait(self, is_done: Callable[[], bool], timeout_s: float, progress: Callable[[], str]):
        """Run the listener until ``is_done`` or a signal; DemoError after a failure or timeout."""
        end_s = time.monotonic() + timeout_s
        while not self._stop.is_set() and not is_done():
            self._executor.spin_once(timeout_sec=0.02)
            self._progress.show(progress)
            for module, process in self._running.items():
                if process.poll() not in (None, 0):
                    raise DemoError(f'{module} ended with code {process.returncode}, see above')
            if time.monotonic() > end_s:
                raise DemoError(f'nothing happened for {timeout_s:.0f} s while: {progress()}')

    def wait_for_end(self, module: str, progress: Callable[[], str]) -> int:
        """Wait until an executable has ended and return its exit code, which may be an error."""
        process = self._running.pop(module)
        try:
            self.wait(lambda: process.poll() is not None, float('inf'), progress)
        finally:
            if process.poll() is None:
                self._running[module] = process
        return process.returncode or 0

    def close(self):
        """Interrupt every process; kill those that do not end."""
        self._executor.remove_node(self.listener)
        for process in self._running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
        for process in self._running.values():
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _report(args, listener, progress: _ProgressLine):
    from niki_ros.demo.results import draw_skeletons, summary, write_overlay_and_bag
    figures = summary(listener)
    write_overlay_and_bag(listener, args.video, args.out, progress.show)
    draw_skeletons(listener.bodies, args.out / IMAGE)
    progress.end()
    diagnostics = [f'{key} {value}' for key, value in listener.diagnostics.items()
                   if key.startswith('frames_') or key.endswith('_ms_p50')]
    print(f'diagnostics of the node: {", ".join(diagnostics)}')
    print(f'files in {args.out}: {OVERLAY}, {BAG}, {IMAGE}')
    print(json.dumps(figures), flush=True)


class _ProgressLine:
    """One line that is overwritten; without a terminal, a line every few seconds."""

    def __init__(self):
        self._is_terminal, self._shown_s, self._width = sys.stderr.isatty(), 0.0, 0

    def show(self, text: Union[str, Callable[[], str]]):
        """Show a text, or that of a function, unless the last one was shown just before."""
        now_s = time.monotonic()
        period_s = _TERMINAL_PERIOD_S if self._is_terminal else _LOG_PERIOD_S
        if now_s - self._shown_s < period_s:
            return
        self._shown_s = now_s
        text = text if isinstance(text, str) else text()
        if self._is_terminal:
            print('\r' + text.ljust(self._width), end='', file=sys.stderr, flush=True)
            self._width = len(text)
        else:
            print(text, file=sys.stderr, flush=True)

    def end(self):
        if self._is_terminal and self._width:
            print(file=sys.stderr)


if __name__ == '__main__':
    sys.exit(main())
