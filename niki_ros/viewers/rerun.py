"""Output to the viewer Rerun: a window, a recording or a screenshot."""

from importlib import import_module
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Callable, Iterable, List

from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.common.errors import BackendError, SourceError
from niki_ros.files.atomic_write import atomic_write
from niki_ros.images.overlay import confidence_rgb
from niki_ros.loading.process_source import AnnotatedFrame
import numpy as np

_BONE_RADIUS_M, _JOINT_RADIUS_M = 0.012, 0.022
# from the people to the eye, as a ratio of the distance, in the camera frame
_EYE_DIRECTION = np.array([0.35, -0.25, -0.9])
_MIN_SHOWN_CONFIDENCE = 0.5
_SCREENSHOT_TIMEOUT_S = 120


def load_rerun():
    """Import the library of the viewer; a BackendError has the command that installs it."""
    try:
        import_module('rerun.blueprint')
        return import_module('rerun')
    except ImportError as error:
        raise BackendError(f'the viewer is not installed ({error}): '
                           'pip install rerun-sdk') from error


def show_window(frames: Iterable[AnnotatedFrame], absolute_time: bool = False) -> int:
    """Show frames in the window of the viewer and return their number."""
    return _log_frames(frames, _spawn_viewer, absolute_time)


def save_recording(frames: Iterable[AnnotatedFrame], path, absolute_time: bool = False) -> int:
    """Write frames to a recording (.rrd) and return their number."""
    with atomic_write(path) as part:
        return _log_frames(frames, lambda recording, layout: recording.save(
            str(part), default_blueprint=layout), absolute_time)


def save_screenshot(frame: AnnotatedFrame, path, absolute_time: bool = False):
    """Let the viewer draw one frame to a PNG file, on a virtual display where there is none."""
    with TemporaryDirectory() as folder, atomic_write(path, ('.png',)) as part:
        recording = Path(folder) / 'frame.rrd'
        save_recording([frame], recording, absolute_time)
        _run_viewer([sys.executable, '-m', 'rerun', '--bind', '127.0.0.1', '--port', 'auto',
                     '--window-size', '1200x640', '--screenshot-to', str(part), str(recording)],
                    part)


def _log_frames(frames: Iterable[AnnotatedFrame], connect: Callable, absolute_time: bool) -> int:
    """
    Log frames to a new recording and return their number.

    :param connect: called with the recording and its layout before the first frame is logged.
    :param absolute_time: stamps are times of day, not times since the beginning.
    """
    rerun = load_rerun()
    recording = rerun.RecordingStream('niki_view')
    count = 0
    shown: set = set()
    for frame in frames:
        if not count:
            connect(recording, _layout(rerun.blueprint, frame.bodies))
            recording.log('/', rerun.ViewCoordinates.RDF, static=True)
        time = ({'timestamp': np.datetime64(frame.stamp_ns, 'ns')} if absolute_time
                else {'duration': np.timedelta64(frame.stamp_ns, 'ns')})
        recording.set_time('stamp', **time)
        present = {body.id for body in frame.bodies}
        for body_id in shown - present:
            recording.log(f'bodies/{body_id}', rerun.Clear(recursive=True))
        shown = present
        _log_frame(rerun, recording, frame)
        count += 1
    if not count:
        raise SourceError('there is nothing to show: the source holds no image with bodies')
    recording.flush()
    recording.disconnect()
    return count


def _log_frame(rerun, recording, frame: AnnotatedFrame):
    jpeg = frame.overlay_jpeg()
    if jpeg is not None:
        recording.log('image', rerun.EncodedImage(contents=jpeg, media_type='image/jpeg'))
    for body in frame.bodies:
        joints_m = np.asarray(body.joints_m, np.float32)
        colours = [confidence_rgb(one) for one in np.asarray(body.confidence)[CARRIER_29]]
        bones_m = [joints_m[[PARENTS_29[joint], joint]] for joint in range(1, 29)]
        recording.log(f'bodies/{body.id}/bones', rerun.LineStrips3D(
            bones_m, colors=colours[1:], radii=_BONE_RADIUS_M))
        recording.log(f'bodies/{body.id}/joints', rerun.Points3D(
            joints_m, colors=colours, radii=_JOINT_RADIUS_M))


def _layout(blueprint, bodies: List[Body]):
    """Return the two views side by side; the 3D view looks at the people of the first frame."""
    eye = {}
    bodies = [body for body in bodies
              if np.mean(body.confidence) >= _MIN_SHOWN_CONFIDENCE] or bodies
    # older versions of the library have no control of the eye
    if bodies and hasattr(blueprint, 'EyeControls3D'):
        roots_m = np.array([body.root_m for body in bodies], dtype=float)
        target_m = (roots_m.min(axis=0) + roots_m.max(axis=0)) / 2
        distance_m = 2.6 + 1.2 * np.ptp(roots_m, axis=0).max()
        eye['eye_controls'] = blueprint.EyeControls3D(
            position=target_m + distance_m * _EYE_DIRECTION, look_target=target_m,
            eye_up=(0.0, -1.0, 0.0))
    return blueprint.Blueprint(
        blueprint.Horizontal(
            blueprint.Spatial3DView(origin='/', contents=['+ /bodies/**'], name='bodies [m]',
                                    **eye),
            blueprint.Spatial2DView(origin='/image', name='image with overlay')),
        collapse_panels=True)


def _spawn_viewer(recording, layout):
    # without an activated environment, the program of the package is not on the PATH
    program = Path(import_module('rerun_cli').__file__).with_name('rerun')
    try:
        load_rerun().spawn(default_blueprint=layout, recording=recording,
                           executable_path=str(program) if program.is_file() else None)
    except RuntimeError as error:
        raise BackendError(f'the viewer did not start: {error}; use --save') from error


def _run_viewer(command: List[str], image: Path):
    """Run the viewer until it has drawn ``image``, without a display on a virtual one."""
    if not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        if not shutil.which('xvfb-run'):
            raise BackendError('a screenshot needs a display; without one: sudo apt install '
                               'xvfb xauth mesa-vulkan-drivers, or use --save')
        command = ['xvfb-run', '-a', '-s', '-screen 0 1280x720x24', *command]
    # its warnings about the graphics driver would cover the image
    environment = {'RUST_LOG': 'error', **os.environ}
    viewer = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        output, _ = viewer.communicate(timeout=_SCREENSHOT_TIMEOUT_S)
    except BaseException as error:
        os.killpg(viewer.pid, signal.SIGKILL)
        viewer.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BackendError(f'the viewer drew nothing within {_SCREENSHOT_TIMEOUT_S} s; use '
                               '--save') from None
        raise
    if viewer.returncode or not image.is_file():
        last = (output.strip().splitlines() or ['no message'])[-1]
        raise BackendError(f'the viewer could not draw: {last}; it needs Vulkan or OpenGL: '
                           'sudo apt install mesa-vulkan-drivers, or use --save')
