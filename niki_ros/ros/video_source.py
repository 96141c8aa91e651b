"""The node ``video_source``: publishes a video, images or a webcam as image and camera_info."""

from array import array
import os
import queue
import sys
import threading
import time

from niki_ros.common.errors import NikiError
from niki_ros.ros.conversions import image_from_rgb, info_from_camera, stamp_from_ns
from niki_ros.ros.parameters import NodeParameters
from niki_ros.ros.process import ProcessNode, run_node, use_large_image_profile
from niki_ros.ros.qos import overridable
from niki_ros.ros.settings import SourceConfig
from niki_ros.scene.camera import Camera
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

# reliable, as rviz and bags request it; best-effort subscribers receive it too
IMAGE_QOS = QoSProfile(depth=5)
# late subscribers get the last calibration
INFO_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_MAX_DECODED_FRAMES = 8
_FLUSH_S = 0.5  # the last messages leave the process before it ends
_MATCH_S = 0.5  # a publisher discovers a subscription a little before the subscription does
_POLL_S = 0.1
_SUBSCRIBER_POLL_S = 0.02


class VideoSource(ProcessNode, Node):
    """
    Publishes every frame once, with the stamp: start of the node + offset in the recording.

    :ivar exit_code: None while frames are published, 0 at the end, 1 after an error.
    """

    def __init__(self, **options):
        super().__init__('video_source', **options)
        self.config = SourceConfig()
        NodeParameters(self, self.config)
        self.sent_count = 0
        self._stop = threading.Event()
        self._source = self._open()
        self._camera = self._make_camera()
        self._compressed = self.config.image_transport == 'compressed'
        self._images = self.create_publisher(
            *(CompressedImage, 'image/compressed') if self._compressed else (Image, 'image'),
            IMAGE_QOS, qos_overriding_options=overridable())
        self._infos = self.create_publisher(CameraInfo, 'camera_info', INFO_QOS,
                                            qos_overriding_options=overridable())
        self._decoded: queue.Queue = queue.Queue(_MAX_DECODED_FRAMES)
        self._threads = [threading.Thread(target=work, name=work.__name__, daemon=True)
                         for work in (self._decode, self._send)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._source.close()

    def _open(self):
        from niki_ros.sources.open import open_source
        config = self.config
        source = open_source(config.source, loop=config.loop, rate_hz=config.rate_hz or None,
                             max_frames=config.max_frames or None)
        self.get_logger().info(f'{source.name}: {source.width}x{source.height} at '
                               f'{source.rate_hz:g} Hz, {source.frame_count or "endless"} frames')
        return source

    def _make_camera(self) -> Camera:
        """Return the camera of the calibration file, or one with the field of view ``fov_deg``."""
        if not self.config.camera_info_file:
            return Camera.from_fov(self._source.width, self._source.height, self.config.fov_deg)
        from niki_ros.sources.camera_file import camera_for_source
        return camera_for_source(self.config.camera_info_file, self._source)

    def _decode(self):
        """Fill the queue with messages; the end or the error of the source is its last entry."""
        end = None
        try:
            for frame in self._source:
                item = frame.stamp_ns, self._message(frame.image_rgb), frame.camera
                if not self._put(item):
                    return
        except NikiError as error:
            end = error
        self._put(end)

    def _put(self, item) -> bool:
        """Wait for room in the queue; return False once the node stops."""
        while not self._stop.is_set():
            try:
                self._decoded.put(item, timeout=_POLL_S)
                return True
            except queue.Full:
                pass
        return False

    def _message(self, image_rgb):
        """Return the message of an image (H, W, 3), without a stamp."""
        if not self._compressed:
            return image_from_rgb(image_rgb, 0, self.config.frame_id)
        from niki_ros.images.pixels import jpeg_from_rgb
        message = CompressedImage(format='rgb8; jpeg compressed bgr8')
        message.header.frame_id = self.config.frame_id
        message.data = array('B', jpeg_from_rgb(image_rgb, self.config.jpeg_quality))
        return message

    def _send(self):
        """Publish each frame at its time, once there are the required subscribers."""
        while min(topic.get_subscription_count() for topic in (self._images, self._infos)
                  ) < self.config.wait_for_subscribers:
            if self._stop.wait(_SUBSCRIBER_POLL_S):
                return
        if self.config.wait_for_subscribers:
            self._stop.wait(_MATCH_S)
        start_ns = None
        while (item := self._next()) is not None and not isinstance(item, NikiError):
            offset_ns, message, camera = item
            if start_ns is None:
                clock, steady = self.get_clock(), time.monotonic_ns()
                start_ns = clock.now().nanoseconds - offset_ns
                steady -= offset_ns
            if self._stop.wait(max(0.0, (steady + offset_ns - time.monotonic_ns()) * 1e-9)):
                return
            self._publish(message, start_ns + offset_ns, camera or self._camera)
        if not self._stop.is_set():
            self._finish(item)

    def _next(self):
        """Return the next entry of the queue, None once the node stops."""
        while not self._stop.is_set():
            try:
                return self._decoded.get(timeout=_POLL_S)
            except queue.Empty:
                pass
        return None

    def _publish(self, message, stamp_ns: int, camera: Camera):
        """Publish camera_info first, so that it arrives before the image."""
        self._infos.publish(info_from_camera(camera, stamp_ns, self.config.frame_id))
        message.header.stamp = stamp_from_ns(stamp_ns)
        self._images.publish(message)
        self.sent_count += 1

    def _finish(self, error):
        self._stop.wait(_FLUSH_S)
        if error is not None:
            print(f'video_source: {error}', file=sys.stderr)
        self.get_logger().info(f'published {self.sent_count} frames')
        self.exit_code = 0 if error is None else 1


def main(args=None) -> int:
    use_large_image_profile()
    # this node reports their errors; a value of the user wins
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'ERROR')
    return run_node(VideoSource, args, 'video_source')


if __name__ == '__main__':
    sys.exit(main())
