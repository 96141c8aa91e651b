"""One image message: convert, call the pipeline, publish; what is wrong with it gets a name."""

from __future__ import annotations

import threading

from niki_ros.core.camera import Camera
from niki_ros.core.errors import InputError
from niki_ros.ros.conversions import (
    camera_from_info,
    ENCODINGS,
    image_from_rgb,
    is_zero_k,
    ns_from_stamp,
    rgb_from_image,
)

FALLBACK_FRAME = 'camera_optical_frame'
# the camera_info of the first image can arrive just after it
_FIRST_INFO_S = 0.3


class BadFrame(Exception):
    """An image that cannot be worked on: name of the fault and what was seen."""

    def __init__(self, fault: str, message: str):
        """Keep both."""
        super().__init__(message)
        self.fault = fault


class FrameHandler:
    """
    What the node does with an image.

    :param warn: called with the name and the text of every fault.
    :ivar publish_overlay: called with an Image message; ``overlay_wanted()`` says whether to draw.
    """

    def __init__(self, pipeline, outputs, health, config, warn):
        """Keep the parts; ``info_topic``, ``now_ns`` and the overlay are set by the node."""
        self._pipeline, self._outputs, self._health = pipeline, outputs, health
        self._config, self._warn = config, warn
        self._info = None
        self._info_came = threading.Event()
        self._waited = False
        self._last_stamp_ns = None
        self.info_topic = 'camera_info'
        self.now_ns = None
        self.overlay_wanted = None
        self.publish_overlay = None

    def set_camera_info(self, message):
        """Take the newest CameraInfo."""
        self._info = message
        self._info_came.set()

    def handle(self, message):
        """Process one Image or CompressedImage."""
        began_ns = self.now_ns()
        try:
            stamp_ns = self._stamp(message)
            image_rgb = self._image(message)
        except BadFrame as error:
            self._warn(error.fault, str(error))
            self._health.skip(error.fault)
            return
        camera = self._camera(image_rgb)
        frame_id = self._frame_id(message)
        bodies = self._pipeline.process(image_rgb, camera, stamp_ns)
        processed_ns = self.now_ns()
        self._last_stamp_ns = stamp_ns
        for name, text in self._pipeline.faults.items():
            self._warn(name, text)
        self._outputs.publish(bodies, stamp_ns, frame_id)
        done_ns = self.now_ns()
        timings_s = {'arrive': (began_ns - stamp_ns) * 1e-9, **self._pipeline.timings_s,
                     'publish': (done_ns - processed_ns) * 1e-9}
        self._health.done((done_ns - stamp_ns) * 1e-9, timings_s, len(bodies))
        if self.overlay_wanted():
            from niki_ros.core.images import draw_overlay
            drawn = draw_overlay(image_rgb, bodies, camera)
            self.publish_overlay(image_from_rgb(drawn, stamp_ns, frame_id))

    def _stamp(self, message) -> int:
        """Return the stamp in nanoseconds; zero and repeated ones identify no image."""
        stamp_ns = ns_from_stamp(message.header.stamp)
        if stamp_ns <= 0:
            raise BadFrame('stamp_zero', f'the image has the stamp {stamp_ns} ns; it is skipped')
        if stamp_ns == self._last_stamp_ns:
            raise BadFrame('stamp_repeated',
                           f'the stamp {stamp_ns} ns came before; the image is skipped')
        return stamp_ns

    @staticmethod
    def _image(message):
        """Return (H, W, 3) RGB of either kind of message."""
        try:
            if not hasattr(message, 'encoding'):
                from niki_ros.core.images import rgb_from_jpeg
                return rgb_from_jpeg(message.data)
            if message.width == 0 or message.height == 0:
                raise BadFrame('image_empty', f'the image is {message.width}x{message.height}')
            if message.encoding not in ENCODINGS:
                raise BadFrame('encoding_unknown', f'encoding {message.encoding!r} is not one of '
                               f'{", ".join(ENCODINGS)}')
            return rgb_from_image(message)
        except InputError as error:
            raise BadFrame('image_invalid', str(error)) from error

    def _camera(self, image_rgb) -> Camera:
        """Return the camera of this image, by camera_info where it is good for something."""
        if not self._waited:
            self._info_came.wait(_FIRST_INFO_S)
            self._waited = True
        height, width = image_rgb.shape[:2]
        camera = self._camera_of_info(width, height)
        if camera is None:
            camera = self._pipeline.assumed_camera(image_rgb)
        elif (camera.width, camera.height) != (width, height):
            self._warn('camera_info_size',
                       f'{self.info_topic} is for {camera.width}x{camera.height}, the image is '
                       f'{width}x{height}; K is scaled')
            camera = camera.resized(width, height)
        self._health.camera_source = camera.source
        return camera

    def _camera_of_info(self, width, height):
        """Return the camera that camera_info states, or None after a warning."""
        info = self._info
        fov_deg = self._pipeline.config.camera.fov_deg
        instead = (f'assuming camera.fov_deg = {fov_deg:g}°, so distances are only as true as '
                   'that')
        if info is None:
            self._warn('camera_info_missing', f'nothing on {self.info_topic}; {instead}')
        elif is_zero_k(info):
            self._warn('camera_info_zeroed', f'K on {self.info_topic} is zero; {instead}')
        else:
            try:
                return camera_from_info(info, width, height)
            except InputError as error:
                self._warn('camera_info_invalid', f'{self.info_topic}: {error}; {instead}')
        return None

    def _frame_id(self, message) -> str:
        # tf2 refuses the slash that ROS 1 drivers put before their frames
        frame_id = (self._config.frame_id or message.header.frame_id).lstrip('/')
        if not frame_id:
            self._warn('frame_id_empty', f'the image names no frame; {FALLBACK_FRAME} is used')
        return frame_id or FALLBACK_FRAME
