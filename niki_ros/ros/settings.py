"""Settings of the ROS nodes: every default is written here and nowhere else."""

from dataclasses import dataclass, field
import re

from niki_ros.common.setting import setting


@dataclass
class QosConfig:
    """Quality of service; ``qos_overrides.`` parameters of ROS take precedence."""

    image_reliability: str = setting('best_effort', 'Of the subscriptions to images, depth and '
                                     'detections; reliable matches reliable publishers only',
                                     choices=('best_effort', 'reliable'))
    image_depth: int = setting(1, 'Images that are queued in the middleware; the newest is used',
                               low=1, high=100)
    info_reliability: str = setting('best_effort', 'Of the subscription to camera_info',
                                    choices=('best_effort', 'reliable'))
    info_durability: str = setting('volatile', 'transient_local receives a camera_info that was '
                                               'published before this node started',
                                   choices=('volatile', 'transient_local'))
    output_reliability: str = setting('reliable', 'Of joint states, joints, markers and overlay',
                                      choices=('reliable', 'best_effort'))
    output_depth: int = setting(10, 'Queue depth of these topics', low=1, high=1000)
    output_durability: str = setting('volatile', 'transient_local: late subscribers receive the '
                                     'last messages', choices=('volatile', 'transient_local'))


@dataclass
class HealthConfig:
    """Limits of the levels WARN and ERROR of /diagnostics; 0 = never."""

    latency_warn_ms: float = setting(200.0, 'Age of the image when its bodies are published '
                                            '(p99), from which the level is WARN', 'ms', 0.0, 1e6,
                                     live=True)
    latency_error_ms: float = setting(1000.0, 'The same for ERROR', 'ms', 0.0, 1e6, live=True)
    rate_warn_hz: float = setting(0.0, 'Rate of bodies below which the level is WARN', 'Hz', 0.0,
                                  1000.0, live=True)
    rate_error_hz: float = setting(0.0, 'The same for ERROR', 'Hz', 0.0, 1000.0, live=True)
    skipped_warn: float = setting(0.2, 'Share of images overtaken by newer ones, from which the '
                                       'level is WARN', '', 0.0, 1.0, live=True)
    skipped_error: float = setting(0.9, 'The same for ERROR', '', 0.0, 1.0, live=True)
    silent_warn_s: float = setting(5.0, 'Time without an image after which the level is WARN',
                                   's', 0.0, 3600.0, live=True)
    silent_error_s: float = setting(30.0, 'The same for ERROR', 's', 0.0, 3600.0, live=True)


@dataclass
class NodeConfig:
    """Settings of the ROS node around the algorithm."""

    image_transport: str = setting('raw', 'Which image topic to read: image or image/compressed',
                                   choices=('raw', 'compressed'))
    conventions: tuple = setting(('niki',), 'Topics and frames of people: niki, ros4hri '
                                            '(REP-155), or both', choices=('niki', 'ros4hri'))
    id_prefix: str = setting('', 'Prefix of every id, for several cameras; empty: none, or with '
                             'ros4hri, whose ids begin with a letter, frame_prefix or p',
                             pattern=(r'([A-Za-z]([A-Za-z0-9_]*[A-Za-z_])?)?',
                                      'letters, digits and _, a letter first and no digit last'))
    frame_prefix: str = setting('', 'Prefix of every body frame, for several cameras; frames of '
                                    'REP-155 have none')
    frame_id: str = setting('', 'Frame of the camera; empty: the frame of the image')
    ground_frame: str = setting('', 'Frame whose plane z = 0 is the ground, such as '
                                    'base_footprint; standing feet on it give the distance; '
                                    'empty: none')
    gravity_frame: str = setting('', 'Frame whose z axis points up, for image_rotation at auto; '
                                     'empty: ground_frame, or the first in TF of map, odom, '
                                     'world, base_footprint, base_stabilized, base_link')
    detection_classes: tuple = setting(('person', '0'), 'Class ids or names of people on the '
                                       'topic detections; 0 is the id of people in COCO')
    publish_tf: str = setting('all', 'Frames of people in TF: all links of the URDF; root: '
                                     'body_<id> only, for use with robot_state_publisher; none',
                              choices=('all', 'root', 'none'), live=True)
    diagnostics_period_s: float = setting(1.0, 'Time between diagnostics', 's', 0.1, 60.0)
    health: HealthConfig = field(default_factory=HealthConfig)
    qos: QosConfig = field(default_factory=QosConfig)

    @property
    def before_frames(self) -> str:
        """Return ``frame_prefix`` without a slash first, which tf2 takes away and a URDF keeps."""
        return self.frame_prefix.lstrip('/')


def body_label(config: NodeConfig, body_id: int) -> str:
    """Return the id of a body as it is in the names of its frames and topics."""
    prefix = config.id_prefix
    if not prefix and 'ros4hri' in config.conventions:
        # its topics have no namespace: what tells two nodes apart must be in the id
        words = re.sub('[^A-Za-z0-9]+', '_', config.frame_prefix).strip('_')
        prefix = f'{words}_' if words[:1].isalpha() else f'p_{words}_' if words else 'p'
    return f'{prefix}{body_id}'


@dataclass
class LaunchConfig:
    """Settings of the process around the node."""

    autostart: bool = setting(True, 'Configure and activate at start; false: a lifecycle manager '
                                    'or the launch file does it')


@dataclass
class SourceConfig:
    """Settings of video_source."""

    source: str = setting('0', 'Video, image, folder of images, bag, camera such as 0 or '
                          '/dev/video0, or address such as rtsp://…')
    loop: bool = setting(False, 'Start again at the end')
    rate_hz: float = setting(0.0, 'Frames per second; 0: the rate of the file', 'Hz', 0.0, 1000.0)
    frame_id: str = setting('camera_optical_frame', 'Frame of the images')
    camera_info_file: str = setting('', 'Calibration file of camera_calibration')
    fov_deg: float = setting(60.0, 'Horizontal field of view where there is no calibration', 'deg',
                             5.0, 170.0)
    image_transport: str = setting('raw', 'Topic that is published: image, or image/compressed',
                                   choices=('raw', 'compressed'))
    jpeg_quality: int = setting(90, 'JPEG quality of compressed images', low=1, high=100)
    max_frames: int = setting(0, 'Stop after this number of frames; 0: at the end', low=0,
                              high=2**31 - 1)
    wait_for_subscribers: int = setting(0, 'Start when this number of nodes has subscribed to '
                                           'the images and to camera_info', low=0, high=64)


@dataclass
class MergerConfig:
    """Settings of humans_merger."""

    inputs: tuple = setting(('*/bodies/tracked',), 'Topics with lists of ids; * stands for any '
                                                   'text; the own output is left out')
    silent_s: float = setting(2.0, 'A list that has not been received for this long is empty',
                              's', 0.1, 3600.0)
