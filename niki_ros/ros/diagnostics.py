"""What goes well and what does not: counters, rates, latencies, and faults by name with remedy."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
import threading
import time
from typing import Dict, List, Optional, Tuple

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
import numpy as np

REMEDIES = {
    'camera_info_missing': 'publish sensor_msgs/CameraInfo on that topic, remap it '
                           '(-r camera_info:=/your/camera_info), or set camera.fov_deg to the '
                           'true field of view',
    'camera_info_zeroed': 'calibrate the camera (ros2 run camera_calibration cameracalibrator) or '
                          'set camera.fov_deg to the true field of view',
    'camera_info_invalid': 'correct the calibration file of the camera driver',
    'camera_info_distortion': 'correct distortion_model and D in the calibration file of the '
                              'camera driver; distances near the centre of the image are right',
    'camera_info_shape': 'make the driver publish the camera_info of the size that it sends: '
                         'how an image of another shape was cut or turned can only be guessed',
    'camera_info_size': 'make the driver publish the camera_info of the size that it sends',
    'image_empty': 'check the camera driver: it sends images without pixels',
    'image_invalid': 'check the camera driver or republisher: encoding, step and data must agree',
    'encoding_unknown': 'set the driver to rgb8, or convert with image_proc',
    'image_format_unknown': 'read the raw topic of the driver, or let it send JPEG; '
                            'docs/cameras.md has the command that makes video raw',
    'topic_type_differs': 'remap the topic that the message names, or read it as what it is: '
                          'image_transport:=compressed; of packets (ffmpeg, h264) the raw topic: '
                          'docs/cameras.md has the command that makes them raw',
    'publishers_several': 'end all but one (a camera, a bag that is played), or remap this node '
                          'to the topic of one; one that was killed is still seen for 20 s',
    'transport_differs': 'image_transport:=compressed for images, or raw where that is there; '
                         'for depth remap '
                         'depth:=…/compressedDepth; docs/cameras.md has the command that makes '
                         'the others raw',
    'values_stretched': 'nothing is wrong: infrared and thermal values are made visible; a driver '
                        'that sends mono8 chooses its own black and white',
    'stamp_zero': 'make the camera driver stamp its images',
    'stamp_invalid': 'correct the camera driver: nanosec is less than 1000000000',
    'stamp_repeated': 'give every image its own stamp; two publishers on one topic do this too',
    'stamp_late': 'nothing but that image is lost; if often, look for a driver that sends images '
                  'out of order, or two publishers on one topic; tracking.late_s is the limit',
    'stamp_jumped_back': 'expected when a bag loops; otherwise check the clock of the camera',
    'frame_id_empty': 'set frame_id in the camera driver, or the parameter frame_id of this node',
    'frame_not_optical': 'set the frame of the images in the camera driver to its optical frame; '
                         'where it has none, docs/troubleshooting.md has the transform to '
                         'publish, and here frame_id:=camera_optical_frame; where the frame is an '
                         'optical one in spite of its name, set the parameter frame_id to it',
    'name_shared': 'end one of the nodes, or give each a namespace and prefixes of its own: '
                   '-r __ns:=/left -p id_prefix:=left_ -p frame_prefix:=left/; a node that was '
                   'killed is still seen for 20 s',
    'outputs_shared': 'end the other one, or give each a namespace and prefixes of its own: '
                      '-r __ns:=/left -p id_prefix:=left_ -p frame_prefix:=left/; play a bag '
                      'without what this node publishes',
    'parameter_foreign': 'nothing is wrong with a file that several nodes share; where one of the '
                         'names is misspelled, correct it, and put what is for this node under '
                         'niki_pose instead of /**: then it is checked',
    'depth_invalid': 'register the depth to the image, as 16UC1 millimetres or 32FC1 metres',
    'detections_refused': 'set detection_classes to the class ids or names that your detector has '
                          'for people, and observer.min_score below its scores',
    'detections_apart': 'let the detector copy the stamp of its image into its header; one that '
                        'takes longer than that is too slow to help',
    'detections_frame_differs': 'remap the topic to the detections of this camera '
                                '(-r detections:=/your/detections), or let the detector copy the '
                                'frame of its image',
    'detections_invalid': 'correct the detector: bbox is centre and size in pixels of the image',
    'ground_unknown': 'publish the transform from ground_frame to the frame of the camera, with z '
                      'of the ground up',
    'image_rotation_unknown': 'publish the transform from the frame of the camera to the robot '
                              '(base_link, odom …), name another frame in gravity_frame, or set '
                              'image_rotation to 0, 90, 180 or 270',
    'detector_failed': 'check the detector that observer.detector names; people who are followed '
                       'are followed on',
    'person_cut_off': 'tilt the camera up, or move it back, so that heads are in the image; docs/'
                      'how_it_works.md says when this comes',
    'observation_invalid': 'report it, with the name and version of the front end',
    'inference_failed': 'see the log for the traceback',
    'message_unreadable': 'look for a publisher of another type or version of ROS on the topics '
                          'that this node reads: ros2 topic info -v',
    'no_images': 'start the camera, or remap the topic: -r image:=/your/image',
    'slow': 'use observer.model:=lite, a smaller image, or a faster machine',
    'latency_high': 'use observer.model:=lite, a smaller image, or a faster machine; '
                    'health.latency_warn_ms is the threshold',
    'rate_low': 'see rate_in_hz: the camera or this node is slow; health.rate_warn_hz is the '
                'threshold',
    'clock_differs': 'of a bag: ros2 bag play --clock and use_sim_time:=true here; of a camera: '
                     'synchronise the clocks of the machines (chrony), or see why it lags behind',
    'no_clock': 'play the bag with --clock, or set use_sim_time:=false',
    'qos_incompatible': 'let the publisher offer more, or ask for less: best_effort and volatile '
                        'in qos.image_reliability, qos.info_reliability, qos.info_durability',
    'hri_msgs_missing': 'sudo apt install ros-$ROS_DISTRO-hri-msgs; with ROS 2 from wheels: '
                        'pip install ./tools/hri_msgs',
    'tracked_shared': 'start every node with -r /humans/bodies/tracked:=bodies/tracked, in a '
                      'namespace of its own, and humans_merger beside them; pose.launch.py '
                      'cameras:=FILE does it',
    'ros4hri_limits': 'nothing is wrong: the angles are true; a consumer that clamps them to the '
                      'limits of human_description shows another pose',
}
"""Every fault that the node can report, and what a user can do about it."""

_WINDOW_S = 10.0
_LOG_PERIOD_S = 5.0
_FORGET_S = 10.0
# libraries fill their caches in the first images; no threshold is meant for that
WARM_UP = 5
OK, WARN, ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR
_LEVELS = {'inference_failed': ERROR, 'ros4hri_limits': OK, 'values_stretched': OK}


@dataclass
class _Fault:
    message: str
    level: bytes = WARN
    count: int = 0
    seen_s: float = 0.0
    logged_s: float = -1e9
    held: bool = False

    def level_now(self, now: float) -> bytes:
        """Return the level, OK where the fault has not come for a while."""
        return self.level if self.held or now - self.seen_s < _FORGET_S else OK


class Health:
    """Counters of one node, safe to use from several threads."""

    def __init__(self):
        """Start from nothing."""
        self._lock = threading.Lock()
        self.received = 0
        self.processed = 0
        self.skipped: Counter = Counter()
        self.bodies = self.tracks = 0
        self.camera_source, self.root_source = 'none yet', ''
        self._faults: Dict[str, _Fault] = {}
        self._arrivals: deque = deque(maxlen=4000)
        self._frames: deque = deque(maxlen=4000)

    def arrived(self, count: int = 1, lost: int = 0):
        """Count images that came, of which ``lost`` were overwritten before they could be read."""
        with self._lock:
            self.received += count
            if lost:
                self.skipped['overtaken'] += lost
            _append(self._arrivals, (time.monotonic(), count))

    def skip(self, reason: str):
        """Count one image that was received and not processed."""
        with self._lock:
            self.skipped[reason] += 1

    def done(self, latency_s: float, timings_s: Dict[str, float], bodies: int, tracks: int = 0):
        """Count one processed image."""
        with self._lock:
            self.processed += 1
            self.bodies, self.tracks = bodies, tracks
            _append(self._frames, (time.monotonic(), latency_s, timings_s, self.processed))

    def fault(self, name: str, message: str, level: Optional[bytes] = None) -> bool:
        """Note a fault; return whether it should be logged now (once in five seconds)."""
        now = time.monotonic()
        with self._lock:
            fault = self._faults.setdefault(name, _Fault(message))
            fault.level = _LEVELS.get(name, WARN) if level is None else level
            fault.message, fault.count, fault.seen_s = message, fault.count + 1, now
            if now - fault.logged_s < _LOG_PERIOD_S:
                return False
            fault.logged_s = now
            return True

    def hold(self, name: str, message: str, level: Optional[bytes] = None) -> bool:
        """Note a fault that lasts until :meth:`release`; return whether it is new."""
        with self._lock:
            fault = self._faults.setdefault(name, _Fault(message))
            fault.level = _LEVELS.get(name, WARN) if level is None else level
            new, fault.held, fault.message = not fault.held, True, message
            fault.count += int(new)
            return new

    def release(self, name: str):
        """End a fault that was held."""
        with self._lock:
            fault = self._faults.get(name)
            if fault is not None and fault.held:
                fault.held, fault.seen_s = False, time.monotonic() - _FORGET_S

    def figures(self) -> Tuple[float, float, int]:
        """Return rate of bodies in Hz and p99 of the latency in s over ten seconds, and images."""
        now = time.monotonic()
        with self._lock:
            frames = [frame for frame in self._frames
                      if now - frame[0] < _WINDOW_S and frame[3] > WARM_UP]
        if len(frames) < 2:
            return 0.0, 0.0, len(frames)
        # since the last one nothing has come out either
        span_s = max(now - frames[0][0], 1e-9)
        return (len(frames) / span_s, float(np.percentile([f[1] for f in frames], 99)),
                len(frames))

    def counts(self) -> Dict[str, int]:
        """Return received, processed and skipped as one consistent set."""
        with self._lock:
            return {'received': self.received, 'processed': self.processed,
                    'skipped': sum(self.skipped.values())}

    def report(self, node_name: str, state: str, about: Dict[str, str]) -> List[DiagnosticStatus]:
        """Return one status of the whole, and one for every fault that was ever seen."""
        now = time.monotonic()
        with self._lock:
            values = {'state': state, **about, **self._values(now)}
            faults = dict(self._faults)
        levels = {name: fault.level_now(now) for name, fault in faults.items()}
        recent = [name for name, level in levels.items() if level != OK]
        summary = _summary(state, recent, values)
        status = _status(f'{node_name}: pose', max(levels.values(), default=OK), summary, values)
        return [status] + [_fault_status(node_name, name, fault, levels[name], now)
                           for name, fault in faults.items()]

    def _values(self, now: float) -> Dict[str, str]:
        """Return figures over the last ten seconds; the counters are since configuration."""
        frames = [frame for frame in self._frames if now - frame[0] < _WINDOW_S]
        arrived = [(at, count) for at, count in self._arrivals if now - at < _WINDOW_S]
        values = {
            'rate_in_hz': _rate([at for at, _ in arrived], sum(count for _, count in arrived)),
            'rate_out_hz': _rate([frame[0] for frame in frames], len(frames)),
            'frames_received': self.received, 'frames_processed': self.processed,
            'frames_skipped': sum(self.skipped.values()),
            **{f'frames_skipped.{reason}': n for reason, n in sorted(self.skipped.items())},
            'bodies': self.bodies, 'tracks': self.tracks, 'camera_source': self.camera_source,
            'root_source': self.root_source}
        values.update(_percentiles('latency', [frame[1] for frame in frames]))
        for stage in frames[-1][2] if frames else ():
            times = [frame[2].get(stage, 0.0) for frame in frames]
            values.update(_percentiles(f'stage.{stage}', times))
        return {name: str(value) for name, value in values.items()}


def what_runs(about: Dict[str, str]) -> str:
    """Return the parts of a pipeline and what runs them in one line; /diagnostics has the rest."""
    parts = []
    for part in ('detector', 'observer', 'lifter', 'solver'):
        if part in about:
            on = [about[f'{part}_{what}'] for what in ('library', 'device', 'precision')
                  if f'{part}_{what}' in about]
            name = about.get(f'{part}_model', about[part])
            parts.append(f'{part} {name}' + (f' ({" ".join(on)})' if on else ''))
    return ', '.join(parts)


def _append(events: deque, event: tuple):
    """Append what begins with its time, and drop what is older than the window."""
    events.append(event)
    while event[0] - events[0][0] > _WINDOW_S:
        events.popleft()


def _rate(times: List[float], count: int) -> str:
    """Return events a second between the first and the last."""
    span = times[-1] - times[0] if len(times) > 1 else 0.0
    return f'{(count - 1) / span:.1f}' if span > 0 else '0.0'


def _percentiles(name: str, seconds: List[float]) -> Dict[str, str]:
    """Return p50 and p99 in milliseconds."""
    if not seconds:
        return {}
    p50, p99 = np.percentile(seconds, [50, 99]) * 1e3
    return {f'{name}_ms_p50': f'{p50:.1f}', f'{name}_ms_p99': f'{p99:.1f}'}


def _summary(state: str, recent: List[str], values: Dict[str, str]) -> str:
    """Return one line for a dashboard."""
    if recent:
        return f'{state}: {", ".join(recent)}'
    return f'{state}: {values["bodies"]} bodies at {values["rate_out_hz"]} Hz'


def _fault_status(node_name, name, fault: _Fault, level: bytes, now) -> DiagnosticStatus:
    """Return the status of one fault; it is OK again when it has not come for a while."""
    message = fault.message
    if not fault.held and now - fault.seen_s >= _FORGET_S:
        message = f'not seen for {now - fault.seen_s:.0f} s: {message}'
    return _status(f'{node_name}: {name}', level, message, {
        'count': str(fault.count), 'remedy': REMEDIES.get(name, '')})


def _status(name: str, level: bytes, message: str, values: Dict[str, str]) -> DiagnosticStatus:
    return DiagnosticStatus(
        name=name, level=level, message=message, hardware_id='niki_ros',
        values=[KeyValue(key=key, value=str(value)) for key, value in values.items()])
