"""Bodies for the viewer Rerun: moments of a video or of a bag, in space and over their image."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
from tempfile import TemporaryDirectory
from typing import Callable, Iterable, Iterator, List, Optional

from niki_ros.body.body import Body, OBSERVED, STATUS_NAMES
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.common.errors import BackendError, InputError, SourceError
from niki_ros.images.levels import Levels
from niki_ros.messages.calibration import (
    calibration_from_info,
    camera_from_calibration,
    is_uncalibrated,
)
from niki_ros.scene.camera import Camera
from niki_ros.sources import bag_files
import numpy as np

_BONE_RADIUS_M, _JOINT_RADIUS_M = 0.012, 0.022
_EYE_FROM = np.array([0.35, -0.25, -0.9])
_SHOT_S = 120
# images wait for the bodies of their stamp; those that the node skipped are dropped
_WAITING = 300


@dataclass
class Moment:
    """One image with the bodies in it; ``image_rgb`` None where a bag has none of that stamp."""

    stamp_ns: int
    image_rgb: Optional[np.ndarray]
    bodies: List[Body]
    camera: Optional[Camera]

    def observed(self) -> int:
        """Return how many joints were observed."""
        return sum(int((np.asarray(body.status) == OBSERVED).sum()) for body in self.bodies)

    def jpeg(self) -> Optional[bytes]:
        """Return the image with the skeletons, as JPEG."""
        from niki_ros.images.overlay import draw_overlay
        from niki_ros.images.pixels import jpeg_from_rgb
        if self.image_rgb is None:
            return None
        drawn = self.image_rgb
        if self.camera is not None:
            drawn = draw_overlay(self.image_rgb, self.bodies, self.camera)
        return jpeg_from_rgb(drawn)


def load_rerun():
    """
    Import the viewer's library.

    :raises BackendError: where it is missing, with the command that installs it.
    """
    try:
        import_module('rerun.blueprint')
        return import_module('rerun')
    except ImportError as error:
        raise BackendError(f'the viewer is not installed ({error}): '
                           'pip install rerun-sdk') from error


def show(moments: Iterable[Moment], connect: Callable, absolute: bool = False) -> int:
    """
    Log every moment and return how many there were.

    :param connect: called with the recording and its layout, says where both go.
    :param absolute: stamps are times of day, not times since the beginning.
    :raises SourceError: where there is nothing to show.
    """
    rerun = load_rerun()
    recording = rerun.RecordingStream('niki_view')
    count = 0
    shown: set = set()
    for moment in moments:
        if not count:
            connect(recording, _layout(rerun.blueprint, moment.bodies))
            recording.log('/', rerun.ViewCoordinates.RDF, static=True)
        time = ({'timestamp': np.datetime64(moment.stamp_ns, 'ns')} if absolute
                else {'duration': np.timedelta64(moment.stamp_ns, 'ns')})
        recording.set_time('stamp', **time)
        present = {body.id for body in moment.bodies}
        for gone in shown - present:
            recording.log(f'bodies/{gone}', rerun.Clear(recursive=True))
        shown = present
        _log(rerun, recording, moment)
        count += 1
    if not count:
        raise SourceError('there is no moment to show: the source holds no image with bodies')
    recording.flush()
    recording.disconnect()
    return count


def open_window(recording, layout):
    """Send a recording to the viewer's window."""
    # the program lies in its package: an environment that is not activated has it off the PATH
    program = Path(import_module('rerun_cli').__file__).with_name('rerun')
    try:
        load_rerun().spawn(default_blueprint=layout, recording=recording,
                           executable_path=str(program) if program.is_file() else None)
    except RuntimeError as error:
        raise BackendError(f'the viewer did not start: {error}; use --save') from error


def screenshot(moment: Moment, path, absolute: bool = False):
    """
    Let the viewer draw one moment into a PNG file.

    :raises BackendError: where the viewer finds nothing to draw on.
    """
    from niki_ros.files.atomic_write import atomic_write
    with TemporaryDirectory() as folder, atomic_write(path, ('.png',)) as part:
        recorded = Path(folder) / 'moment.rrd'
        show([moment], lambda recording, layout: recording.save(
            str(recorded), default_blueprint=layout), absolute)
        _run_viewer([sys.executable, '-m', 'rerun', '--bind', '127.0.0.1', '--port', 'auto',
                     '--window-size', '1200x640', '--screenshot-to', str(part), str(recorded)],
                    part)


def is_bag(source) -> bool:
    """Whether this is the folder or the file of a ROS bag."""
    return bag_files.is_bag(source) or Path(source).suffix in bag_files.SUFFIXES


def video_moments(source, pipeline, camera: Optional[Camera]) -> Iterator[Moment]:
    """Run the pipeline over a source and yield every frame."""
    for frame in source:
        lens = camera or frame.camera
        bodies = pipeline.process(frame.image_rgb, lens, frame.stamp_ns)
        yield Moment(frame.stamp_ns, frame.image_rgb, bodies,
                     lens or pipeline.assumed_camera(frame.image_rgb))


def bag_moments(path, joints_topic: Optional[str] = None) -> Iterator[Moment]:
    """
    Yield what ``niki_pose`` has put into a bag: bodies of ``joints``, the image of their stamp.

    :raises SourceError: where it cannot be read, or has no such topic.
    """
    path = Path(path)
    try:
        from rosbags.highlevel import AnyReader
        from rosbags.typesys import get_typestore, Stores
    except ImportError as error:
        raise BackendError(f'a bag is read by rosbags ({error}): pip install rosbags') from error
    parts = bag_files.parts_to_open(path)
    try:
        with AnyReader(parts, default_typestore=get_typestore(Stores.ROS2_JAZZY)) as bag:
            wanted = _connections(bag, path, joints_topic)
            messages = ((connection.msgtype, bag.deserialize(data, connection.msgtype))
                        for connection, _, data in bag.messages(wanted))
            yield from _join(messages)
    except (SourceError, InputError):
        raise
    except Exception as error:  # rosbags passes on what its parsers, sqlite3 and zstd raise
        raise SourceError(f'{path} cannot be read as a bag: {error}; check it with: '
                          f'ros2 bag info {path}') from error


def _connections(bag, path, joints_topic):
    """Return the bodies' topic and the image topics beside it."""
    clouds = sorted({one.topic for one in bag.connections if one.topic.endswith('joints')
                     and one.msgtype == 'sensor_msgs/msg/PointCloud2'})
    if joints_topic is None and len(clouds) == 1:
        joints_topic = clouds[0]
    if joints_topic not in clouds:
        raise SourceError(
            f'topics of bodies in {path}: {", ".join(clouds) or "none"}; '
            + ('choose one: --joints TOPIC' if clouds
               else 'record joints of niki_pose, image and camera_info: ros2 bag record'))
    kinds = ('Image', 'CompressedImage', 'CameraInfo')
    return [one for one in bag.connections if one.topic == joints_topic or (
        one.msgtype.rpartition('/')[2] in kinds and 'overlay' not in one.topic
        and 'depth' not in one.topic)]


def _join(messages) -> Iterator[Moment]:
    """Bring bodies, images and cameras together by their stamps."""
    images: dict = {}
    info, levels = None, Levels()
    for kind, message in messages:
        stamp_ns = message.header.stamp.sec * 10**9 + message.header.stamp.nanosec
        if kind.endswith('/CameraInfo'):
            info = message
        elif kind.endswith('Image'):
            images[stamp_ns] = message
            while len(images) > _WAITING:
                del images[next(iter(images))]
        else:
            image = images.pop(stamp_ns, None)
            for older in [stamp for stamp in images if stamp < stamp_ns]:
                del images[older]
            image_rgb = None if image is None else _rgb(image, levels, stamp_ns)
            yield Moment(stamp_ns, image_rgb, _bodies(message, stamp_ns), _camera(info, image_rgb))


def _rgb(message, levels: Levels, stamp_ns: int) -> np.ndarray:
    """Return (H, W, 3) RGB of either kind of message."""
    from niki_ros.messages.image_decoding import rgb_from_compressed, rgb_from_image
    read = rgb_from_image if hasattr(message, 'encoding') else rgb_from_compressed
    return read(message, levels, stamp_ns)


def _camera(info, image_rgb) -> Optional[Camera]:
    """Return the camera of a CameraInfo, None where there is none or it is not calibrated."""
    if info is None or is_uncalibrated(info):
        return None
    size = (info.width, info.height) if image_rgb is None else image_rgb.shape[1::-1]
    return camera_from_calibration(calibration_from_info(info), *size)[0]


def _bodies(cloud, stamp_ns: int) -> List[Body]:
    """Return what the topic ``joints`` says of everybody: places and confidence, no rotations."""
    kinds = {4: '<u2', 7: '<f4'}
    points = np.frombuffer(bytes(cloud.data), np.dtype({
        'names': [field.name for field in cloud.fields], 'itemsize': cloud.point_step,
        'formats': [kinds[field.datatype] for field in cloud.fields],
        'offsets': [field.offset for field in cloud.fields]}))
    bodies = []
    for body_id in np.unique(points['body']):
        own = np.sort(points[points['body'] == body_id], order='joint')
        if own['joint'].tolist() != list(range(29)):
            raise InputError(f'body {body_id} has the joints {own["joint"].tolist()} in the bag; '
                             'expected 0 to 28, as niki_pose publishes them')
        joints_m = np.stack([own['x'], own['y'], own['z']], axis=1)
        if not (np.isfinite(joints_m).all() and (np.abs(own['confidence'] - 0.5) <= 0.5).all()
                and (own['status'] < len(STATUS_NAMES)).all()):
            raise InputError(f'body {body_id} has joints in the bag that are no numbers, or a '
                             'confidence or status that niki_pose never publishes')
        bodies.append(Body(
            int(body_id), stamp_ns, np.tile(np.eye(3), (24, 1, 1)), np.zeros(10), joints_m[0],
            joints_m, own['confidence'][:24], own['status'][:24].astype(np.uint8),
            np.zeros((24, 3)), np.zeros(3), np.full((29, 2), np.nan)))
    return bodies


def _layout(blueprint, bodies: List[Body]):
    """Return the two views, side by side; the first looks at whom the first image shows."""
    eye = {}
    sure = [body for body in bodies if np.mean(body.confidence) >= 0.5] or bodies
    if sure and hasattr(blueprint, 'EyeControls3D'):
        roots = np.array([body.root_m for body in sure], dtype=float)
        target = (roots.min(axis=0) + roots.max(axis=0)) / 2
        away_m = 2.6 + 1.2 * np.ptp(roots, axis=0).max()
        # from the camera's side, a little to its right and above: y points down
        eye['eye_controls'] = blueprint.EyeControls3D(
            position=target + away_m * _EYE_FROM, look_target=target, eye_up=(0.0, -1.0, 0.0))
    return blueprint.Blueprint(
        blueprint.Horizontal(
            blueprint.Spatial3DView(origin='/', contents=['+ /bodies/**'], name='bodies [m]',
                                    **eye),
            blueprint.Spatial2DView(origin='/image', name='image with overlay')),
        collapse_panels=True)


def _log(rerun, recording, moment: Moment):
    """Log the image and the skeletons."""
    from niki_ros.images.overlay import confidence_rgb
    jpeg = moment.jpeg()
    if jpeg is not None:
        recording.log('image', rerun.EncodedImage(contents=jpeg, media_type='image/jpeg'))
    for body in moment.bodies:
        joints = np.asarray(body.joints_m, np.float32)
        known = np.asarray(body.confidence)[CARRIER_29]
        colours = [confidence_rgb(float(value)) for value in known]
        bones = [joints[[PARENTS_29[one], one]] for one in range(1, 29)]
        recording.log(f'bodies/{body.id}/bones', rerun.LineStrips3D(
            bones, colors=colours[1:], radii=_BONE_RADIUS_M))
        recording.log(f'bodies/{body.id}/joints', rerun.Points3D(
            joints, colors=colours, radii=_JOINT_RADIUS_M))


def _run_viewer(command: List[str], picture: Path):
    """Run the viewer, on a virtual display where there is no other, until it has drawn."""
    if not (os.environ.get('DISPLAY') or os.environ.get('WAYLAND_DISPLAY')):
        if not shutil.which('xvfb-run'):
            raise BackendError('a screenshot needs a display; without one: sudo apt install '
                               'xvfb xauth mesa-vulkan-drivers, or use --save')
        command = ['xvfb-run', '-a', '-s', '-screen 0 1280x720x24', *command]
    # its notes on the graphics driver would cover the picture
    environment = {'RUST_LOG': 'error', **os.environ}
    viewer = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, start_new_session=True)
    try:
        said, _ = viewer.communicate(timeout=_SHOT_S)
    except BaseException as error:
        os.killpg(viewer.pid, signal.SIGKILL)
        viewer.wait()
        if isinstance(error, subprocess.TimeoutExpired):
            raise BackendError(f'the viewer drew nothing within {_SHOT_S} s; use --save') from None
        raise
    if viewer.returncode or not picture.is_file():
        last = (said.strip().splitlines() or ['no message'])[-1]
        raise BackendError(f'the viewer could not draw: {last}; it needs Vulkan or OpenGL: '
                           'sudo apt install mesa-vulkan-drivers, or use --save')
