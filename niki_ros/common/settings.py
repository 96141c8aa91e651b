"""
Every setting, written once: default, description, unit, range.

ROS parameters, command-line options and the README's table are derived from these dataclasses. A
setting's public name is dotted, such as ``smoothing.min_cutoff_hz``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
import re
from typing import Any, Iterator, NamedTuple
import unicodedata

from niki_ros.common.errors import ConfigError


def setting(default, help, unit='', low=None, high=None, choices=None, live=False,  # noqa: A002
            pattern=None):
    """
    Declare one setting; a tuple as default = a list, of ``choices`` where there are some.

    :param live: may change while the node runs.
    :param pattern: a regular expression that a text must match, and the same in words.
    """
    return field(default=default, metadata={
        'help': help, 'unit': unit, 'low': low, 'high': high, 'choices': choices, 'live': live,
        'pattern': pattern})


@dataclass
class ObserverConfig:
    """Which front end finds people and measures them."""

    name: str = setting('landmarks', 'Front end: landmarks, or hybrik or kinematic with weights '
                        'of your own', choices=('landmarks', 'hybrik', 'kinematic'))
    path: str = setting('', 'Model folder of hybrik (niki-import) or kinematic (niki-train)')
    model: str = setting('full', 'Size of the landmark network: lite for a small board, full for '
                         'a laptop, heavy (five times the work of full) for a GPU or many cores, '
                         "auto: the largest that keeps up with the camera's rate",
                         choices=('lite', 'full', 'heavy', 'auto'))
    max_people: int = setting(8, 'People to follow at once', low=1, high=64)
    detector: str = setting('people', 'Detector that finds people: people (ships), a path to a '
                            'model folder, or empty: only boxes on the topic detections')
    min_score: float = setting(0.5, 'Detections with a lower score are ignored', low=0.0,
                               high=1.0)
    search_period_s: float = setting(0.3, 'Time between two searches for people while some are '
                                     'followed', 's', 0.0, 60.0)
    correct: bool = setting(True, 'Subtract the average errors of the landmark network, as '
                            'learned from rendered people')


@dataclass
class LifterConfig:
    """What makes joints in metres of the last second of keypoints."""

    name: str = setting('lift', 'Network that lifts keypoints over time: lift (ships), a path '
                        "to a model folder, or empty: the front end's own guess of depth")


@dataclass
class SolverConfig:
    """What turns joints into rotations."""

    name: str = setting('niki-temporal', 'niki-temporal, niki, analytic, or a path to a '
                        'model folder')
    refine: bool = setting(True, 'Pull the answer towards the joints that are trusted', live=True)


@dataclass
class PixelsConfig:
    """Pixel-aligned refinement: the image positions are evidence, the depth is a guess."""

    refine: bool = setting(True, 'Fit pose and root to the keypoints in the image', live=True)
    prior_rad: float = setting(0.12, "How far a confident joint may turn from the solver's answer",
                               'rad', 0.001, 3.0, live=True)
    prior_hidden_rad: float = setting(0.3, 'How far a joint without confidence may turn', 'rad',
                                      0.001, 3.0, live=True)


@dataclass
class TrackingConfig:
    """Ids over time."""

    keep_s: float = setting(4.0, 'A person not seen for this long loses the id', 's', 0.0, 30.0,
                            live=True)
    predict_s: float = setting(2.5, 'A person not seen is published for this long, or 8 times as '
                               'long as seen before, with falling confidence: predicted, then '
                               'unobserved', 's', 0.0, 10.0, live=True)
    confirm_frames: int = setting(4, 'Steady frames in a row after which another person is '
                                  'believed, else after 1 s; the first one is believed at once',
                                  low=1, high=100, live=True)
    min_overlap: float = setting(0.1, 'Least overlap of boxes (IoU) that can be the same person',
                                 low=0.0, high=1.0, live=True)
    max_speed_m_s: float = setting(4.0, 'A person moves no faster than this between frames', 'm/s',
                                   0.1, 20.0, live=True)
    late_s: float = setting(0.5, 'An image stamped before the last one by less than this is late, '
                            'and left out; by more, time has jumped: all tracks end', 's', 0.0,
                            10.0, live=True)


@dataclass
class SmoothingConfig:
    """One-Euro filter (Casiez et al. 2012) on rotations and root."""

    enabled: bool = setting(True, 'Smooth rotations and root over time', live=True)
    min_cutoff_hz: float = setting(6.0, 'Cut-off at rest: lower is steadier', 'Hz', 0.01, 100.0,
                                   live=True)
    beta: float = setting(2.5, 'How fast the cut-off opens with speed: higher lags less',
                          'Hz per rad/s', 0.0, 100.0, live=True)
    root_min_cutoff_hz: float = setting(3.0, 'Cut-off of the root at rest', 'Hz', 0.01, 100.0,
                                        live=True)
    root_beta: float = setting(3.0, 'How fast the root cut-off opens with speed', 'Hz per m/s',
                               0.0, 100.0, live=True)


@dataclass
class CameraConfig:
    """What to assume where the camera does not say."""

    fov_deg: float = setting(60.0, 'Horizontal field of view when camera_info is missing or zero',
                             'deg', 5.0, 170.0)
    images: str = setting('auto', 'What the images are: raw as the lens gives them (K and D of '
                          "camera_info count), rectified (P counts), or auto: as the topic's name "
                          'says, such as image_rect', choices=('auto', 'raw', 'rectified'))


@dataclass
class StatusConfig:
    """When a joint counts as seen."""

    observed: float = setting(0.5, 'How sure the sight of a joint is from which it is "observed"',
                              low=0.0, high=1.0, live=True)
    predicted: float = setting(0.1, 'The same, halved every 0.5 s out of sight: from this a joint '
                               'is "predicted", below it "unobserved"', low=0.0, high=1.0,
                               live=True)


@dataclass
class EngineConfig:
    """What runs the graphs of the pipeline: detector, landmarks and solver alike."""

    backend: str = setting('onnxruntime', 'Library that runs every graph: this one runs, or it is '
                           'an error', choices=('onnxruntime', 'tensorrt'))
    device: str = setting('cpu', 'Where onnxruntime runs; cuda and tensorrt are its own providers',
                          choices=('cpu', 'cuda', 'tensorrt'))
    threads: int = setting(1, 'Threads inside one operator of onnxruntime', low=1, high=64)
    parallel: int = setting(0, 'Pictures of people that onnxruntime works on at the same time on '
                            'a CPU; 0: one for each core, 4 at most', low=0, high=64)
    precision: str = setting('fp32', 'Precision that the graphs compute in',
                             choices=('fp32', 'fp16'))
    max_batch: int = setting(16, 'People a TensorRT engine is built for; more go in portions',
                             low=1, high=64)
    on_mismatch: str = setting('rebuild', 'A TensorRT engine that is missing, damaged or foreign: '
                               'build it, or refuse to start', choices=('rebuild', 'refuse'))


@dataclass
class PipelineConfig:
    """All settings of the algorithm."""

    image_rotation: str = setting('0', 'How far, clockwise, images are turned so that people '
                                  'stand upright in them; everything that comes out is in the '
                                  'image and the camera frame as they were. auto: by where up is '
                                  '(the node: by TF), 0 where that is not known', 'deg',
                                  choices=('0', '90', '180', '270', 'auto'))
    stages: str = setting('', 'Stages that each person passes, in this order, separated by '
                          'commas; -NAME leaves one out; empty = all (niki_ros.people.stages)')
    observer: ObserverConfig = field(default_factory=ObserverConfig)
    lifter: LifterConfig = field(default_factory=LifterConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    pixels: PixelsConfig = field(default_factory=PixelsConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    status: StatusConfig = field(default_factory=StatusConfig)


@dataclass
class QosConfig:
    """Quality of service; ``qos_overrides.`` parameters of ROS win over these."""

    image_reliability: str = setting('best_effort', 'Of the subscription to images, depth and '
                                     'detections; reliable hears reliable publishers only',
                                     choices=('best_effort', 'reliable'))
    image_depth: int = setting(1, 'Images that may wait in the middleware; the newest is taken',
                               low=1, high=100)
    info_reliability: str = setting('best_effort', 'Of the subscription to camera_info',
                                    choices=('best_effort', 'reliable'))
    info_durability: str = setting('volatile', 'transient_local hears a camera_info that was sent '
                                   'once, before this node came',
                                   choices=('volatile', 'transient_local'))
    output_reliability: str = setting('reliable', 'Of joint states, joints, markers and overlay',
                                      choices=('reliable', 'best_effort'))
    output_depth: int = setting(10, 'Messages kept for slow readers of those', low=1, high=1000)
    output_durability: str = setting('volatile', 'transient_local: who comes late gets the last '
                                     'ones', choices=('volatile', 'transient_local'))


@dataclass
class HealthConfig:
    """When /diagnostics turns to WARN and ERROR; 0 = never."""

    latency_warn_ms: float = setting(200.0, 'Age of the image when its bodies are out (p99) from '
                                     'which it is WARN', 'ms', 0.0, 1e6, live=True)
    latency_error_ms: float = setting(1000.0, 'The same for ERROR', 'ms', 0.0, 1e6, live=True)
    rate_warn_hz: float = setting(0.0, 'Rate of bodies below which it is WARN', 'Hz', 0.0, 1000.0,
                                  live=True)
    rate_error_hz: float = setting(0.0, 'The same for ERROR', 'Hz', 0.0, 1000.0, live=True)
    skipped_warn: float = setting(0.2, 'Share of images overtaken by newer ones from which it is '
                                  'WARN', '', 0.0, 1.0, live=True)
    skipped_error: float = setting(0.9, 'The same for ERROR', '', 0.0, 1.0, live=True)
    silent_warn_s: float = setting(5.0, 'Time without any image after which it is WARN', 's', 0.0,
                                   3600.0, live=True)
    silent_error_s: float = setting(30.0, 'The same for ERROR', 's', 0.0, 3600.0, live=True)


@dataclass
class NodeConfig:
    """Settings of the ROS node around the algorithm."""

    image_transport: str = setting('raw', 'Which image topic to read: image or image/compressed',
                                   choices=('raw', 'compressed'))
    conventions: tuple = setting(('niki',), 'How joints and frames of people are published: ours, '
                                 'REP-155 (ROS4HRI), or both', choices=('niki', 'ros4hri'))
    id_prefix: str = setting('', 'Put before every id, for several cameras; where conventions has '
                             'ros4hri, whose ids need a letter, empty is frame_prefix, or p',
                             pattern=(r'([A-Za-z]([A-Za-z0-9_]*[A-Za-z_])?)?',
                                      'letters, digits and _, a letter first and no digit last'))
    frame_prefix: str = setting('', 'Put before every body frame, for several cameras; frames of '
                                'REP-155 have none')
    frame_id: str = setting('', 'Frame of the camera; empty = the frame of the image')
    ground_frame: str = setting('', 'Frame whose z = 0 is the ground, such as base_footprint: '
                                'standing feet are on it, which sets distances; empty = none')
    gravity_frame: str = setting('', 'Frame whose z points up, for image_rotation at auto; empty '
                                 '= ground_frame, or the first that TF leads to of map, odom, '
                                 'world, base_footprint, base_stabilized, base_link')
    detection_classes: tuple = setting(('person', '0'), 'Class ids or names on the topic '
                                       'detections that are people; 0 where the ids are numbers '
                                       'and people are the first, as with COCO')
    publish_tf: str = setting('all', 'Frames of people in TF: all (every link of the URDF), root '
                              '(only body_<id>, the rest is left to a robot_state_publisher), '
                              'none', choices=('all', 'root', 'none'), live=True)
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


class Setting(NamedTuple):
    """One setting, flattened."""

    name: str
    default: Any
    help: str  # noqa: A003
    unit: str
    low: Any
    high: Any
    choices: Any
    live: bool
    pattern: Any = None


def settings_of(config) -> Iterator[Setting]:
    """Yield every :class:`Setting` of a config object, dotted names, values as they are now."""
    for item in fields(config):
        value = getattr(config, item.name)
        if is_dataclass(value):
            for inner in settings_of(value):
                yield inner._replace(name=f'{item.name}.{inner.name}')
        else:
            yield Setting(item.name, value, **item.metadata)


def apply_settings(config, values: dict):
    """
    Set dotted ``values`` on ``config`` in place and return it.

    :raises ConfigError: naming the setting that is unknown, of the wrong type or out of range.
    """
    known = {item.name: item for item in settings_of(config)}
    for name, value in values.items():
        if name not in known:
            raise ConfigError(f'unknown setting {name!r}; known: {", ".join(sorted(known))}')
        *path, last = name.split('.')
        target = config
        for part in path:
            target = getattr(target, part)
        setattr(target, last, _checked(known[name], value))
    return config


def _checked(item: Setting, value):
    """Return ``value`` in the type of the default, or raise :class:`ConfigError`."""
    wanted = type(item.default)
    if wanted is tuple:
        return _checked_list(item, value)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is str and type(value) is int and item.choices is not None:
        value = str(value)  # a choice that looks like a number
    if type(value) is not wanted and item.choices is None:
        raise ConfigError(f'{item.name} is {value!r}; expected a value of type {wanted.__name__}')
    if item.choices is not None and value not in item.choices:
        raise ConfigError(f'{item.name} is {value!r}; expected one of {", ".join(item.choices)}')
    if wanted is str and any(unicodedata.category(one) == 'Cc' for one in value):
        raise ConfigError(f'{item.name} is {value!r}; expected a text without control characters')
    if item.pattern is not None and not re.fullmatch(item.pattern[0], value):
        raise ConfigError(f'{item.name} is {value!r}; expected {item.pattern[1]}')
    too_low = item.low is not None and not value >= item.low
    too_high = item.high is not None and not value <= item.high
    if too_low or too_high:
        raise ConfigError(f'{item.name} is {value}; expected {item.low} … {item.high} {item.unit}')
    return value


def _checked_list(item: Setting, value) -> tuple:
    """Return a tuple, of choices in their own order; one word alone is a list of one."""
    given = (value,) if isinstance(value, str) else value
    words = isinstance(given, (list, tuple)) and all(isinstance(one, str) for one in given)
    if item.choices is None and words:
        return tuple(given)
    if item.choices is None:
        raise ConfigError(f'{item.name} is {value!r}; expected a list of texts')
    if not words or not given or set(given) - set(item.choices):
        raise ConfigError(f'{item.name} is {value!r}; expected a list of one or more of '
                          f'{", ".join(item.choices)}')
    return tuple(choice for choice in item.choices if choice in given)
