"""Frames of a bag with the bodies that the node published when it was recorded."""

from typing import Dict, Iterator, Optional

from niki_ros.common.errors import SourceError
from niki_ros.common.settings import CameraConfig
from niki_ros.loading.process_source import AnnotatedFrame
from niki_ros.messages.frame_decoder import FrameDecoder, RejectedFrame
from niki_ros.messages.joint_cloud import bodies_from_cloud
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.sources.bag_reader import BagReader
from niki_ros.sources.bag_topics import camera_image_topics, choose_info_topic

# images wait for the bodies of their stamp; images that the node skipped have none
_MAX_WAITING_IMAGES = 300


def recorded_frames(path, joints_topic: Optional[str] = None) -> Iterator[AnnotatedFrame]:
    """
    Yield the bodies of ``joints_topic`` (None = the only one) with the image of the same stamp.

    :raises SourceError: when the bag has no such topic, or cannot be read.
    :raises InputError: when a point cloud is not one of the node.
    """
    with BagReader(path) as bag:
        joints_topic = _choose_joints_topic(bag, joints_topic)
        cameras = {topic: _Camera(bag, topic) for topic in camera_image_topics(bag)}
        topics = {joints_topic, *cameras, *(one.info_topic for one in cameras.values())}
        waiting: Dict[int, tuple] = {}
        for topic, message in bag.messages(topics, _refuse_unreadable):
            if topic == joints_topic:
                stamp_ns = ns_from_stamp(message.header.stamp)
                image_topic, image = waiting.pop(stamp_ns, (None, None))
                waiting = {stamp: one for stamp, one in waiting.items() if stamp >= stamp_ns}
                image_rgb, camera = cameras[image_topic].decode(image) if image else (None, None)
                yield AnnotatedFrame(stamp_ns, image_rgb, bodies_from_cloud(message), camera)
            elif topic in cameras:
                waiting[ns_from_stamp(message.header.stamp)] = topic, message
                while len(waiting) > _MAX_WAITING_IMAGES:
                    del waiting[next(iter(waiting))]
            for camera in cameras.values():
                if topic == camera.info_topic:
                    camera.decoder.set_camera_info(message)


class _Camera:
    """Decoder of an image topic and its calibration."""

    def __init__(self, bag: BagReader, topic: str):
        self._topic, self.info_topic = topic, choose_info_topic(bag, topic)
        self.decoder = FrameDecoder(CameraConfig.fov_deg, lambda *_: None, image_topic=topic)
        self.decoder.set_camera_info(bag.first_message(self.info_topic))

    def decode(self, message) -> tuple:
        """Return the image (H, W, 3) uint8 and its calibrated camera or None."""
        try:
            image_rgb = self.decoder.decode(message).image_rgb
        except RejectedFrame as error:
            raise SourceError(f'{self._topic}: {error.fault}: {error}') from error
        return image_rgb, self.decoder.calibrated_camera(*image_rgb.shape[1::-1])


def _choose_joints_topic(bag: BagReader, name: Optional[str]) -> str:
    """Return the topic of the bodies with this name; None = the only one."""
    topics = [topic for topic in bag.topics('sensor_msgs/msg/PointCloud2')
              if topic.endswith('joints')]
    if name is None and len(topics) == 1:
        return topics[0]
    if name not in topics:
        raise SourceError(
            f'topics of bodies in {bag.path}: {", ".join(topics) or "none"}; '
            + ('choose one: --joints TOPIC' if topics
               else 'record joints of niki_pose, image and camera_info: ros2 bag record'))
    return name


def _refuse_unreadable(topic: str, text: str):
    raise SourceError(f'a message on {topic} cannot be read: {text}')
