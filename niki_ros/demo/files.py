"""What the demonstration leaves behind: a video with overlay, a bag, a picture, figures."""

from __future__ import annotations

from array import array
from pathlib import Path
import shutil
from tempfile import TemporaryDirectory
from typing import Dict, List, Optional

from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.demo.listener import DemoListener, Record
from niki_ros.messages.calibration import camera_from_info
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.markers import SkeletonMarkers
from niki_ros.ros.topics import type_name
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage
from visualization_msgs.msg import MarkerArray

IMAGE_TOPIC = 'image/compressed'
# the node's own is raw; viewers show either under this name
OVERLAY_TOPIC = 'overlay'
_LATCHED = '/robot_description'


def summary(listener: DemoListener) -> Dict[str, Optional[float]]:
    """Return the figures of the run; a frame is what the source has announced by camera_info."""
    frames, latencies = listener.counts['camera_info'], listener.latencies_ms
    p50, p99 = np.percentile(latencies, [50, 99]) if latencies else (float('nan'),) * 2
    return {
        'frames': frames,
        'frames_processed': len(listener.bodies),
        'frames_skipped': frames - len(listener.bodies),
        'frames_with_body': len(listener.frames_with_body),
        'tf_messages': listener.counts['/tf'],
        'joint_state_messages': sum(count for topic, count in listener.counts.items()
                                    if topic.endswith('/joint_states')),
        'bodies': len(listener.body_ids),
        'latency_ms_p50': round(float(p50), 2) if latencies else None,
        'latency_ms_p99': round(float(p99), 2) if latencies else None}


def sent_infos(listener: DemoListener) -> List[CameraInfo]:
    """Return the camera_info of every frame that was sent, in order."""
    infos = [deserialize_message(record.data, CameraInfo) for record in listener.records
             if record.kind is CameraInfo]
    return sorted(infos, key=lambda info: ns_from_stamp(info.header.stamp))


def write_pictures(listener: DemoListener, video, out: Path, note) -> None:
    """
    Write the bag and, of the same frames, overlay.mp4: last, since the bag says whose it is.

    The images of the bag are encoded now, from the same file and with the stamps that were sent,
    so that recording them does not disturb the measurement. Likewise what the node draws only
    while somebody looks: overlay and markers.
    """
    from niki_ros.files.atomic_write import atomic_write
    from niki_ros.files.video_writer import VideoWriter
    from niki_ros.images.overlay import draw_overlay
    from niki_ros.sources.open import open_source
    infos, drawn = sent_infos(listener), []
    skeletons = SkeletonMarkers()
    with (open_source(video) as source, atomic_write(out / 'overlay.mp4') as part, VideoWriter(
            part, source.rate_hz, source.width, source.height) as writer):
        # a source that breaks off is not asked for more than was sent
        for info, frame in zip(infos, source):
            stamp_ns = ns_from_stamp(info.header.stamp)
            camera = camera_from_info(info, source.width, source.height)
            bodies = listener.bodies.get(stamp_ns, [])
            overlay = draw_overlay(frame.image_rgb, bodies, camera)
            writer.write(overlay, frame.stamp_ns)
            drawn.append(_image(stamp_ns, IMAGE_TOPIC, info.header, frame.image_rgb))
            if stamp_ns in listener.bodies:
                arrival_ns = listener.arrivals_ns[stamp_ns]
                markers = skeletons.of(bodies, info.header.stamp, info.header.frame_id)
                drawn += [_image(arrival_ns, OVERLAY_TOPIC, info.header, overlay),
                          Record('markers', MarkerArray, arrival_ns, serialize_message(markers))]
            note(f'writing overlay.mp4 and the bag: {frame.index + 1} of {len(infos)}')
        write_bag([*listener.records, *drawn], out / 'bag')


def _image(arrival_ns: int, topic: str, header, image_rgb) -> Record:
    """Return an image as JPEG, in a tenth of the space."""
    from niki_ros.images.pixels import jpeg_from_rgb
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    message.header, message.data = header, array('B', jpeg_from_rgb(image_rgb))
    return Record(topic, CompressedImage, arrival_ns, serialize_message(message))


def write_bag(records: List[Record], folder: Path) -> None:
    """Write an MCAP bag that ``ros2 bag play`` and Foxglove read."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import get_typestore, Stores
    store = get_typestore(Stores.ROS2_JAZZY)
    connections = {}
    # the file in it is named after the folder, so the half bag has the same name somewhere else
    with TemporaryDirectory(dir=folder.parent, prefix='.bag.') as half:
        writer = Writer(Path(half) / folder.name, version=9, storage_plugin=StoragePlugin.MCAP)
        writer.set_custom_data('made_by', 'niki_ros demo')
        with writer:
            for one in sorted(records, key=lambda record: record.arrival_ns):
                name = one.topic if one.topic.startswith('/') else f'/{one.topic}'
                if name not in connections:
                    connections[name] = writer.add_connection(
                        name, type_name(one.kind), typestore=store,
                        offered_qos_profiles=_qos_of(name))
                writer.write(connections[name], one.arrival_ns, one.data)
        shutil.rmtree(folder, ignore_errors=True)
        (Path(half) / folder.name).rename(folder)


def _qos_of(topic: str):
    """Return the profile to play a topic with: descriptions must reach those who come late."""
    from rosbags.interfaces import (
        Qos,
        QosDurability,
        QosHistory,
        QosLiveliness,
        QosReliability,
        QosTime,
    )
    latched = topic.endswith(_LATCHED)
    forever = QosTime(2147483647, 4294967295)
    return [Qos(QosHistory.KEEP_LAST, 1 if latched else 10, QosReliability.RELIABLE,
                QosDurability.TRANSIENT_LOCAL if latched else QosDurability.VOLATILE,
                forever, forever, QosLiveliness.AUTOMATIC, forever, False)]


def draw_skeletons(bodies_by_stamp: Dict[int, List[Body]], path: Path, moments: int = 4) -> None:
    """Draw the bodies at some moments in 3D, metres, seen from in front and a little above."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    from niki_ros.files.atomic_write import atomic_write
    stamps = [stamp for stamp in sorted(bodies_by_stamp) if bodies_by_stamp[stamp]]
    chosen = [stamps[int(i)] for i in np.linspace(0, len(stamps) - 1, moments)] if stamps else []
    figure = pyplot.figure(figsize=(3.2 * max(1, len(chosen)), 4.2), dpi=120)
    for place, stamp in enumerate(chosen):
        axes = figure.add_subplot(1, len(chosen), place + 1, projection='3d')
        _draw_moment(axes, bodies_by_stamp[stamp])
        axes.set_title(f'{(stamp - stamps[0]) * 1e-9:.2f} s', fontsize=9)
    if not chosen:
        figure.text(0.5, 0.5, 'no body was seen', ha='center')
    figure.subplots_adjust(left=0.02, right=0.96, bottom=0.08, top=0.92, wspace=0.05)
    with atomic_write(path) as part:
        figure.savefig(part)
    pyplot.close(figure)


def _draw_moment(axes, bodies: List[Body]):
    """Draw one moment; camera x to the right, its z into the depth, its y downwards."""
    from matplotlib.ticker import MultipleLocator
    from niki_ros.images.overlay import confidence_rgb
    for body in bodies:
        x, y, z = np.asarray(body.joints_m).T
        known = np.asarray(body.confidence)[CARRIER_29]
        for joint in range(1, 29):
            ends = [PARENTS_29[joint], joint]
            colour = np.array(confidence_rgb(float(known[joint]))) / 255
            axes.plot(x[ends], z[ends], -y[ends], color=colour, linewidth=2.5)
        axes.scatter(x, z, -y, color='0.25', s=6, depthshade=False)
    axes.set_xlabel('right [m]', fontsize=7)
    axes.set_ylabel('away [m]', fontsize=7)
    axes.set_zlabel('up [m]', fontsize=7)
    axes.tick_params(labelsize=6)
    # first the ticks, then the aspect: a narrow axis has room for few numbers
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.5))
    axes.zaxis.set_major_locator(MultipleLocator(0.25))
    axes.set_aspect('equal')
    axes.view_init(elev=12, azim=-75)
