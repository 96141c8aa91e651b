"""One image message: convert, call the pipeline, publish; what is wrong with it gets a name."""

from __future__ import annotations

import re
import threading

from niki_ros.messages.frame_decoder import FrameDecoder, RejectedFrame
from niki_ros.ros.conversions import image_from_rgb
from niki_ros.scene.camera import Camera

FALLBACK_FRAME = 'camera_optical_frame'
# REP-103: an optical frame has that in its name, these are what optical ones hang from
_BODY_FRAME = re.compile(r'^(?!.*optical).*(^|[/_-])(link|base|base[_-]frame|footprint|mount|body|'
                         r'odom|map|world)$')
# the camera_info of the first image can arrive just after it
_FIRST_INFO_S = 0.3


class FrameHandler:
    """
    What the node does with an image.

    :param warn: called with the name and the text of every fault.
    :ivar infos_elsewhere: words that name the topics on which camera_info comes instead, or ''.
    :ivar publish_overlay: called with an Image message; ``overlay_wanted()`` says whether to draw.
    """

    def __init__(self, pipeline, outputs, health, config, warn, info_topic, image_topic):
        """Keep the parts; ``now_ns`` and the overlay are set by the node."""
        self._pipeline, self._outputs, self._health = pipeline, outputs, health
        self._config, self._warn = config, warn
        settings = pipeline.config.camera
        self._decoder = FrameDecoder(settings.fov_deg, self._warn_of_info, info_topic,
                                     pipeline.order, settings.images, image_topic)
        self._info_came = threading.Event()
        self._waited = False
        self.infos_elsewhere = ''
        self.now_ns = None
        self.overlay_wanted = None
        self.publish_overlay = None
        self.side_inputs = None

    def set_camera_info(self, message):
        """Take the newest CameraInfo."""
        self._decoder.set_camera_info(message)
        self._info_came.set()

    def handle(self, message):
        """Process one Image or CompressedImage."""
        began_ns = self.now_ns()
        try:
            stamp_ns, image_rgb, notes = self._decoder.decode(message)
        except RejectedFrame as error:
            self._warn(error.fault, str(error))
            self._health.skip(error.fault)
            return
        for name, text in notes.items():
            self._health.fault(name, text)
        camera = self._camera(image_rgb)
        frame_id = self._frame_id(message)
        beside = self.side_inputs.of(stamp_ns, frame_id) if self.side_inputs else {}
        bodies = self._pipeline.process(image_rgb, camera, stamp_ns, **beside)
        self._health.root_source = ', '.join(sorted({body.root_source for body in bodies}))
        processed_ns = self.now_ns()
        self._decoder.mark_processed(stamp_ns)
        for name, text in self._pipeline.faults.items():
            self._warn(name, text)
        self._outputs.publish(bodies, stamp_ns, frame_id)
        self._outputs.publish_crops(bodies, stamp_ns, frame_id, image_rgb, camera)
        done_ns = self.now_ns()
        timings_s = {'arrive': (began_ns - stamp_ns) * 1e-9, **self._pipeline.timings_s,
                     'publish': (done_ns - processed_ns) * 1e-9}
        self._health.done((done_ns - stamp_ns) * 1e-9, timings_s, len(bodies),
                          len(self._pipeline.tracker.people))
        if self._outputs.beyond_limits:
            self._health.fault('ros4hri_limits', 'beyond the limits of human_description: '
                               + ', '.join(self._outputs.beyond_limits))
        if self.overlay_wanted():
            from niki_ros.images.overlay import draw_overlay
            drawn = draw_overlay(image_rgb, bodies, camera)
            self.publish_overlay(image_from_rgb(drawn, stamp_ns, frame_id))

    def _camera(self, image_rgb) -> Camera:
        """Return the camera of this image, by camera_info where it is good for something."""
        if not self._waited:
            self._info_came.wait(_FIRST_INFO_S)
            self._waited = True
        camera = self._decoder.camera(image_rgb.shape[1], image_rgb.shape[0])
        self._health.camera_source = camera.source
        return camera

    def _warn_of_info(self, name: str, text: str):
        self._warn(name, text + self.infos_elsewhere if name == 'camera_info_missing' else text)

    def _frame_id(self, message) -> str:
        # tf2 refuses the slash that ROS 1 drivers put before their frames
        frame_id = (self._config.frame_id or message.header.frame_id).lstrip('/')
        if not self._config.frame_id and _BODY_FRAME.search(frame_id):
            self._warn('frame_not_optical', f'the images are in {frame_id!r}, by its name '
                       'a frame of a robot (x forward, z up); bodies are placed as in an optical '
                       'one (z forward, y down)')
        if not frame_id:
            self._warn('frame_id_empty', f'the image names no frame; {FALLBACK_FRAME} is used')
        return frame_id or FALLBACK_FRAME
