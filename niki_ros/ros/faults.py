"""Faults of the node: names, remedies and levels, for the log and /diagnostics."""

from dataclasses import dataclass
import threading
import time
from typing import Dict, List, Optional

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue

REMEDIES = {
    'camera_info_missing': 'publish sensor_msgs/CameraInfo there, remap that topic (-r camera_info'
                           ':=/your/camera_info), or set camera.fov_deg to the true field of view',
    'camera_info_zeroed': 'calibrate the camera (ros2 run camera_calibration cameracalibrator) or '
                          'set camera.fov_deg to the true field of view',
    'camera_info_invalid': 'correct the calibration file of the camera driver',
    'camera_info_distortion': 'correct distortion_model and D in the calibration file of the '
                              'camera driver; distances near the centre of the image are right',
    'camera_info_shape': 'let the driver publish the camera_info of the images that it sends; how '
                         'an image of another shape was cropped or rotated is only assumed',
    'camera_info_size': 'let the driver publish the camera_info of the size that it sends',
    'image_empty': 'check the camera driver: it sends images without pixels',
    'image_invalid': 'check the camera driver or republisher: encoding, step and data must agree',
    'encoding_unknown': 'set the driver to rgb8, or convert the images with image_proc',
    'image_format_unknown': 'subscribe to the raw topic of the driver, or set the driver to JPEG; '
                            'docs/cameras.md has the command that republishes video as raw images',
    'topic_type_differs': 'remap the topic that the message names, or set image_transport to '
                          'compressed for CompressedImage; for packets (ffmpeg, h264) '
                          'docs/cameras.md has the command that republishes them as raw images',
    'publishers_several': 'stop all publishers but one, such as a camera or a bag, or remap this '
                          'node to another topic; a killed process is still listed for 20 s',
    'transport_differs': 'set image_transport to the transport that is published, compressed or '
                         'raw; for depth, remap depth:=…/compressedDepth; docs/cameras.md has the '
                         'command that republishes other transports as raw images',
    'values_stretched': 'none is needed: infrared and thermal values are stretched to 8 bits; set '
                        'the driver to mono8 to choose the range of values yourself',
    'stamp_zero': 'set the camera driver to stamp its images',
    'stamp_invalid': 'correct the camera driver: nanosec must be less than 1000000000',
    'stamp_repeated': 'give every image a stamp of its own; look for two publishers on the topic',
    'stamp_late': 'none for single images; if frequent, look for a driver that sends images out '
                  'of order, or for two publishers on the topic; the limit is tracking.late_s',
    'stamp_jumped_back': 'none is needed when a bag loops; else check the clock of the camera',
    'frame_id_empty': 'set frame_id in the camera driver, or the parameter frame_id of this node',
    'frame_not_optical': 'set the frame of the images in the camera driver to its optical frame; '
                         'if it has none, publish the transform in docs/troubleshooting.md and '
                         'set frame_id:=camera_optical_frame; if the frame is optical in spite '
                         'of its name, set the parameter frame_id to it',
    'name_shared': 'stop one of the nodes, or give each a namespace and prefixes: '
                   '-r __ns:=/left -p id_prefix:=left_ -p frame_prefix:=left/; a killed node is '
                   'still listed for 20 s',
    'outputs_shared': 'stop the other node, or give each a namespace and prefixes: '
                      '-r __ns:=/left -p id_prefix:=left_ -p frame_prefix:=left/; play a bag '
                      'without the topics of this node',
    'parameter_foreign': 'none is needed for a file that several nodes share; correct a '
                         'misspelled name, and put parameters of this node under niki_pose '
                         'instead of /** to have every name checked',
    'depth_invalid': 'register the depth to the image, as 16UC1 millimetres or 32FC1 metres',
    'detections_refused': 'set detection_classes to the class ids or names of people in your '
                          'detector, and observer.min_score below its scores',
    'detections_apart': 'let the detector copy the stamp of its image into its header; a detector '
                        'that takes longer than the limit cannot be used',
    'detections_frame_differs': 'remap the topic to the detections of this camera '
                                '(-r detections:=/your/detections), or let the detector copy the '
                                'frame of its image',
    'detections_invalid': 'correct the detector: bbox is centre and size in pixels of the image',
    'ground_unknown': 'publish the transform from ground_frame to the frame of the camera, with '
                      'the z axis of ground_frame up',
    'image_rotation_unknown': 'publish the transform from the camera to base_link or odom, name a '
                              'frame in gravity_frame, or set image_rotation (0, 90, 180, 270)',
    'detector_failed': 'check the detector in observer.detector; the tracking of known people '
                       'continues',
    'person_cut_off': 'tilt the camera up, or move it back, so that heads are in the image; '
                      'docs/how_it_works.md describes the conditions',
    'people_in_turn': 'none is needed where people move slowly; else set observer.model:=lite, '
                      'lower observer.max_people, or use a faster machine',
    'observation_invalid': 'report it, with the name and version of the front end',
    'inference_failed': 'read the traceback in the log',
    'message_unreadable': 'look for publishers of another type or ROS version on the topics that '
                          'this node subscribes to: ros2 topic info -v',
    'no_images': 'start the camera, or remap the topic: -r image:=/your/image',
    'slow': 'set observer.model:=auto or lite, use smaller images or a faster machine',
    'latency_high': 'set observer.model:=lite, use smaller images or a faster machine; the '
                    'threshold is health.latency_warn_ms',
    'rate_low': 'compare with rate_in_hz: the camera or this node is slow; the threshold is '
                'health.rate_warn_hz',
    'clock_differs': 'with a bag: ros2 bag play --clock and use_sim_time:=true here; with a '
                     'camera: synchronize the clocks (chrony), or find the cause of its delay',
    'no_clock': 'play the bag with --clock, or set use_sim_time:=false',
    'qos_incompatible': 'change the QoS of the publisher, or set best_effort and volatile in '
                        'qos.image_reliability, qos.info_reliability, qos.info_durability',
    'hri_msgs_missing': 'sudo apt install ros-$ROS_DISTRO-hri-msgs; with ROS 2 from wheels: '
                        'pip install ./tools/hri_msgs',
    'tracked_shared': 'start every node with -r /humans/bodies/tracked:=bodies/tracked in a '
                      'namespace of its own, and humans_merger in addition, as pose.launch.py '
                      'cameras:=FILE does',
    'ros4hri_limits': 'none is needed: the angles are true; a consumer that clamps them to the '
                      'limits of human_description shows another pose',
}
"""Remedy of every fault that the node can report."""

OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_LEVELS = {'inference_failed': ERROR, 'ros4hri_limits': OK, 'values_stretched': OK}
_LOG_PERIOD_S = 5.0
_ACTIVE_S = 10.0  # a fault that has not been seen for this long has the level OK


@dataclass
class _Fault:
    text: str
    level: bytes = WARN
    count: int = 0
    seen_s: float = 0.0
    logged_s: float = float('-inf')
    held: bool = False

    def status(self, node_name: str, name: str, now_s: float) -> DiagnosticStatus:
        """Return the status; its level is OK once the fault has not been seen for a while."""
        absent_s = now_s - self.seen_s
        active = self.held or absent_s < _ACTIVE_S
        text = self.text if active else f'not seen for {absent_s:.0f} s: {self.text}'
        return make_status(f'{node_name}: {name}', self.level if active else OK, text,
                           {'count': self.count, 'remedy': REMEDIES.get(name, '')})


class FaultLog:
    """Counts the faults of one node and logs them; safe to use from several threads."""

    def __init__(self, logger):
        self._logger = logger
        self._lock = threading.Lock()
        self._faults: Dict[str, _Fault] = {}

    def warn(self, name: str, text: str, level: Optional[bytes] = None) -> None:
        """Count a fault and log it, at most once in five seconds."""
        if self._count(name, text, level):
            self._log(name, text)

    def warn_all(self, faults: Dict[str, str]) -> None:
        """Count and log several faults: name → text."""
        for name, text in faults.items():
            self.warn(name, text)

    def note(self, name: str, text: str) -> None:
        """Count a fault without a log line."""
        self._count(name, text)

    def fail(self, name: str, text: str) -> None:
        """Count an error and log its whole text; /diagnostics has the first line."""
        if self._count(name, text.splitlines()[0]):
            self._logger.error(f'{name}: {text}')

    def hold(self, name: str, text: str, level: Optional[bytes] = None, log: bool = True) -> None:
        """Report a fault that lasts until :meth:`release`; it is logged once."""
        with self._lock:
            fault = self._entry(name, text, level)
            is_new, fault.held = not fault.held, True
            fault.count += int(is_new)
        if is_new and log:
            self._log(name, text)

    def release(self, name: str) -> None:
        """End a fault that was held."""
        with self._lock:
            fault = self._faults.get(name)
            if fault is not None and fault.held:
                fault.held, fault.seen_s = False, time.monotonic() - _ACTIVE_S

    def statuses(self, node_name: str) -> List[DiagnosticStatus]:
        """Return one status for every fault since the node was configured."""
        now_s = time.monotonic()
        with self._lock:
            return [fault.status(node_name, name, now_s) for name, fault in self._faults.items()]

    def _count(self, name: str, text: str, level: Optional[bytes] = None) -> bool:
        """Count a fault and return whether a log line is due."""
        now_s = time.monotonic()
        with self._lock:
            fault = self._entry(name, text, level)
            fault.count, fault.seen_s = fault.count + 1, now_s
            is_due = now_s - fault.logged_s >= _LOG_PERIOD_S
            if is_due:
                fault.logged_s = now_s
            return is_due

    def _entry(self, name: str, text: str, level: Optional[bytes]) -> _Fault:
        """Return the fault with the newest text and level."""
        fault = self._faults.setdefault(name, _Fault(text))
        fault.text, fault.level = text, _LEVELS.get(name, WARN) if level is None else level
        return fault

    def _log(self, name: str, text: str) -> None:
        self._logger.warning(f'{name}: {text}. Remedy: {REMEDIES.get(name, "see the log")}')


def make_status(name: str, level: bytes, text: str, values: Dict[str, object]) -> DiagnosticStatus:
    """Return a status message with these values."""
    return DiagnosticStatus(
        name=name, level=level, message=text, hardware_id='niki_ros',
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])
