"""Processing of one image message: decode, call the pipeline, publish."""

import re
import threading
from time import perf_counter
from typing import Callable, List, Optional

from niki_ros.body.body import Body
from niki_ros.messages.frame_decoder import FrameDecoder, RejectedFrame
from niki_ros.ros.body_publisher import BodyPublisher
from niki_ros.ros.faults import FaultLog
from niki_ros.ros.health import Health
from niki_ros.ros.optional_inputs import OptionalInputs
from niki_ros.scene.camera import Camera
import numpy as np

FALLBACK_FRAME = 'camera_optical_frame'
# by REP-103 names of optical frames say so; these are names of the frames above them
_BODY_FRAME = re.compile(r'^(?!.*optical).*(^|[/_-])(link|base|base[_-]frame|footprint|mount|body|'
                         r'odom|map|world)$')
# the camera_info of the first image can arrive just after it
_FIRST_INFO_TIMEOUT_S = 0.3


class FrameProcessor:
    """
    Processes the images of one activation of the node.

    :param frame_id: of the camera; '' = that of the images. :param now_ns: time of the node.
    :param info_topic: full name of the camera_info. :param image_topic: that of the images.
    :ivar decoder: of the images; it has the newest CameraInfo.
    """

    def __init__(self, pipeline, publisher: BodyPublisher, inputs: OptionalInputs, health: Health,
                 faults: FaultLog, frame_id: str, now_ns: Callable[[], int], info_topic: str,
                 image_topic: str):
        self._pipeline, self._publisher, self._inputs = pipeline, publisher, inputs
        self._health, self._faults = health, faults
        self._fixed_frame_id, self._now_ns = frame_id, now_ns
        camera = pipeline.config.camera
        self.decoder = FrameDecoder(camera.fov_deg, self._warn_of_camera, info_topic,
                                     pipeline.order, camera.images, image_topic)
        self._info_hint = ''
        self._info_arrived = threading.Event()
        self._is_first = True

    def set_camera_info(self, message) -> None:
        """Take the newest CameraInfo."""
        self.decoder.set_camera_info(message)
        self._info_arrived.set()

    def set_period(self, period_s: Optional[float]) -> None:
        """Take the time between two images of the camera, None before it is known."""
        self._pipeline.period_s = period_s

    def set_info_hint(self, text: str) -> None:
        """Take a text about other topics with camera_info, for the fault camera_info_missing."""
        self._info_hint = text

    def process(self, message, waited_s: float = 0.0) -> None:
        """Publish the bodies in an Image or CompressedImage that waited for the one before."""
        arrival_ns, start_s = self._now_ns(), perf_counter()
        try:
            stamp_ns, image_rgb, notes = self.decoder.decode(message)
        except RejectedFrame as error:
            self._faults.warn(error.fault, str(error))
            self._health.skip(error.fault)
            return
        for name, text in notes.items():
            self._faults.note(name, text)
        camera, frame_id = self._camera(image_rgb), self._frame_id(message)
        self._pipeline.waited_s = waited_s
        bodies = self._pipeline.process(image_rgb, camera, stamp_ns,
                                        **self._inputs.for_image(stamp_ns, frame_id))
        processed_ns = self._now_ns()
        self.decoder.mark_processed(stamp_ns)
        self._faults.warn_all(self._pipeline.faults)
        self._publisher.publish(bodies, stamp_ns, frame_id, image_rgb, camera)
        self._count(bodies, stamp_ns, arrival_ns, processed_ns)
        self._publisher.publish_overlay(bodies, stamp_ns, frame_id, image_rgb, camera)
        self._pipeline.busy_s = perf_counter() - start_s

    def _count(self, bodies: List[Body], stamp_ns: int, arrival_ns: int,
               processed_ns: int) -> None:
        published_ns = self._now_ns()
        timings_s = {'arrive': (arrival_ns - stamp_ns) * 1e-9, **self._pipeline.timings_s,
                     'publish': (published_ns - processed_ns) * 1e-9}
        self._health.done((published_ns - stamp_ns) * 1e-9, timings_s, len(bodies),
                          len(self._pipeline.tracker.people),
                          ', '.join(sorted({body.root_source for body in bodies})))

    def _camera(self, image_rgb: np.ndarray) -> Camera:
        """Return the camera of an image (H, W, 3)."""
        if self._is_first:
            self._info_arrived.wait(_FIRST_INFO_TIMEOUT_S)
            self._is_first = False
        camera = self.decoder.camera(image_rgb.shape[1], image_rgb.shape[0])
        self._health.set_camera_source(camera.source)
        return camera

    def _warn_of_camera(self, name: str, text: str) -> None:
        hint = self._info_hint if name == 'camera_info_missing' else ''
        self._faults.warn(name, text + hint)

    def _frame_id(self, message) -> str:
        # tf2 rejects the leading slash of drivers for ROS 1
        frame_id = (self._fixed_frame_id or message.header.frame_id).lstrip('/')
        if not self._fixed_frame_id and _BODY_FRAME.search(frame_id):
            self._faults.warn('frame_not_optical', f'the frame of the images is {frame_id!r}, by '
                              'its name a frame of the robot (x forward, z up); bodies are placed '
                              'as in an optical frame (z forward, y down)')
        if not frame_id:
            self._faults.warn('frame_id_empty', 'the frame of the image is empty; '
                              f'{FALLBACK_FRAME} is used')
        return frame_id or FALLBACK_FRAME
