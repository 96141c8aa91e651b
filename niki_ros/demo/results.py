"""Results of the demonstration: video with overlay, bag, image of skeletons, figures."""

from array import array
from pathlib import Path
import shutil
from tempfile import TemporaryDirectory
from typing import Dict, List, Optional

from niki_ros.body.body import Body
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.demo.listener import DemoListener, Record
from niki_ros.demo.output_folder import BAG, BAG_MARK, OVERLAY
from niki_ros.files.atomic_write import atomic_write
from niki_ros.files.video_writer import VideoWriter
from niki_ros.images.overlay import confidence_rgb, draw_overlay
from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.messages.calibration import camera_from_info
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.ros.markers import SkeletonMarkers
from niki_ros.ros.topics import type_name
from niki_ros.sources.open import open_source
import numpy as np
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, CompressedImage
from visualization_msgs.msg import MarkerArray

IMAGE_TOPIC = 'image/compressed'
OVERLAY_TOPIC = 'overlay'  # the topic of the node, which has raw images; viewers show both kinds


def summary(listener: DemoListener) -> Dict[str, Optional[float]]:
    """Return the figures of the run; the frames are counted by the camera_info of the source."""
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


def camera_infos(listener: DemoListener) -> List[CameraInfo]:
    """Return the camera_info of every frame, in the order of their stamps."""
    infos = [deserialize_message(record.data, CameraInfo) for record in listener.records
             if record.kind is CameraInfo]
    return sorted(infos, key=lambda info: ns_from_stamp(info.header.stamp))


def write_overlay_and_bag(listener: DemoListener, video, folder: Path, show_progress) -> None:
    """
    Write the bag and the video with the overlay of the same frames.

    The images of the bag are encoded here, with the stamps of the source, so that recording them
    does not disturb the measurement. Overlay and markers, which the node draws only for
    subscribers, are drawn here too.
    """
    infos, drawn = camera_infos(listener), []
    markers_of = SkeletonMarkers()
    with (open_source(video) as source, atomic_write(folder / OVERLAY) as part, VideoWriter(
            part, source.rate_hz, source.width, source.height) as writer):
        # a source that ends early raises an error after the last frame; zip stops before it
        for info, frame in zip(infos, source):
            stamp_ns = ns_from_stamp(info.header.stamp)
            camera = camera_from_info(info, source.width, source.height)
            bodies = listener.bodies.get(stamp_ns, [])
            overlay = draw_overlay(frame.image_rgb, bodies, camera)
            writer.write(overlay, frame.stamp_ns)
            drawn.append(_image(stamp_ns, IMAGE_TOPIC, info.header, frame.image_rgb))
            if stamp_ns in listener.bodies:
                arrival_ns = listener.arrivals_ns[stamp_ns]
                markers = markers_of.message(bodies, info.header.stamp, info.header.frame_id)
                drawn += [_image(arrival_ns, OVERLAY_TOPIC, info.header, overlay),
                          Record('markers', MarkerArray, arrival_ns, serialize_message(markers))]
            show_progress(f'writing {OVERLAY} and the bag: {frame.index + 1} of {len(infos)}')
        # the folder gets the bag before the overlay: it identifies a folder of the demonstration
        write_bag([*listener.records, *drawn], folder / BAG)


def _image(arrival_ns: int, topic: str, header, image_rgb) -> Record:
    """Return the record of an image as JPEG, which has a tenth of the size."""
    message = CompressedImage(format='rgb8; jpeg compressed bgr8')
    message.header, message.data = header, array('B', jpeg_from_rgb(image_rgb))
    return Record(topic, CompressedImage, arrival_ns, serialize_message(message))


def write_bag(records: List[Record], folder: Path) -> None:
    """Write an MCAP bag that ``ros2 bag play`` and Foxglove read."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import get_typestore, Stores
    store = get_typestore(Stores.ROS2_JAZZY)
    connections = {}
    # the file in a bag is named after its folder, so the incomplete bag has the same name
    with TemporaryDirectory(dir=folder.parent, prefix='.bag.') as temporary:
        writer = Writer(Path(temporary) / folder.name, version=9,
                        storage_plugin=StoragePlugin.MCAP)
        writer.set_custom_data('made_by', BAG_MARK)
        with writer:
            for one in sorted(records, key=lambda record: record.arrival_ns):
                name = one.topic if one.topic.startswith('/') else f'/{one.topic}'
                if name not in connections:
                    connections[name] = writer.add_connection(
                        name, type_name(one.kind), typestore=store,
                        offered_qos_profiles=_qos_of(name))
                writer.write(connections[name], one.arrival_ns, one.data)
        shutil.rmtree(folder, ignore_errors=True)
        (Path(temporary) / folder.name).rename(folder)


def _qos_of(topic: str):
    """Return the QoS for playing a topic; descriptions also reach late subscribers."""
    from rosbags import interfaces as bags
    latched = topic.endswith('/robot_description')
    forever = bags.QosTime(2147483647, 4294967295)
    return [bags.Qos(
        bags.QosHistory.KEEP_LAST, 1 if latched else 10, bags.QosReliability.RELIABLE,
        bags.QosDurability.TRANSIENT_LOCAL if latched else bags.QosDurability.VOLATILE,
        forever, forever, bags.QosLiveliness.AUTOMATIC, forever, False)]


def draw_skeletons(bodies: Dict[int, List[Body]], path: Path, count: int = 4) -> None:
    """Draw ``bodies`` (stamp → bodies) of ``count`` images in 3D, in metres, from the front."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    stamps = [stamp for stamp in sorted(bodies) if bodies[stamp]]
    chosen = [stamps[int(i)] for i in np.linspace(0, len(stamps) - 1, count)] if stamps else []
    figure = pyplot.figure(figsize=(3.2 * max(1, len(chosen)), 4.2), dpi=120)
    for place, stamp in enumerate(chosen):
        axes = figure.add_subplot(1, len(chosen), place + 1, projection='3d')
        _draw_bodies(axes, bodies[stamp])
        axes.set_title(f'{(stamp - stamps[0]) * 1e-9:.2f} s', fontsize=9)
    if not chosen:
        figure.text(0.5, 0.5, 'no body found', ha='center')
    figure.subplots_adjust(left=0.02, right=0.96, bottom=0.08, top=0.92, wspace=0.05)
    with atomic_write(path) as part:
        figure.savefig(part)
    pyplot.close(figure)


def _draw_bodies(axes, bodies: List[Body]):
    """Draw bodies; the axes of the plot are x, z and -y of the camera."""
    from matplotlib.ticker import MultipleLocator
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
    # ticks before the aspect: a narrow axis has room for few numbers
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MultipleLocator(0.5))
    axes.zaxis.set_major_locator(MultipleLocator(0.25))
    axes.set_aspect('equal')
    axes.view_init(elev=12, azim=-75)
