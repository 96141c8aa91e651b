"""Settings of the algorithm: every default is written here and nowhere else."""

from dataclasses import dataclass, field

from niki_ros.common.setting import setting


@dataclass
class ObserverConfig:
    """The front end, which finds people and observes their joints."""

    name: str = setting('landmarks', 'Front end: landmarks; look, the network of this project; or '
                        'hybrik with your own weights',
                        choices=('landmarks', 'look', 'hybrik'))
    path: str = setting('', 'Model folder of look (niki-train look) or hybrik (niki-import); '
                        'empty: look of the size observer.model')
    model: str = setting('full', 'Size of landmarks or look: lite for a small board, full for a '
                         'laptop, heavy (three times the work of full) for a GPU or many cores, '
                         "auto: the largest that keeps up with the camera's rate",
                         choices=('lite', 'full', 'heavy', 'auto'))
    max_load: float = setting(0.95, 'For observer.model auto, runs and in_turn: time that one '
                              'image may take in all over the time between two images of the '
                              'camera. auto takes the largest model that stays below; 1.3 accepts '
                              'that a quarter of the images is skipped for more accuracy, 0.5 '
                              'leaves half of the time to other programs', low=0.1, high=10.0)
    in_turn: bool = setting(True, 'Where the machine cannot observe all people in every image, '
                            'observe them in turn, and extrapolate the others by their motion; '
                            'false: images are skipped. Only for live images, and not with '
                            'observer.model auto, which takes a smaller model')
    runs: str = setting('auto', 'Runs of landmarks or look per person and image: 1, on the crop '
                        '(of landmarks in every second image on its mirror image); 2, on both; '
                        '4, on both again in the crop that follows from them, which is best; '
                        'auto: 4 in recorded images, and as many as max_load allows in live '
                        'ones; with observer.model auto 1', choices=('auto', '1', '2', '4'))
    max_people: int = setting(8, 'Number of people that are followed at the same time', low=1,
                              high=64)
    detector: str = setting('people', 'Detector that finds people: people (ships), a path to a '
                            'model folder, or empty: only boxes on the topic detections')
    min_score: float = setting(0.5, 'Detections with a lower score are used only where the '
                               'network in the crop is sure that it sees a person, and below '
                               '0.6 of it not at all', low=0.0, high=1.0)
    search_period_s: float = setting(0.3, 'Time between two searches for people while some are '
                                     'followed', 's', 0.0, 60.0)
    correct: bool = setting(True, 'Subtract the average errors of the landmark network, as '
                            'learned from rendered people')


@dataclass
class LifterConfig:
    """The lifter, which turns the keypoints of the last 1.4 s into joints in metres."""

    name: str = setting('lift', 'Network that lifts keypoints over time: lift (ships), a path '
                        'to a model folder, or empty: the depth that the front end estimates')


@dataclass
class SolverConfig:
    """The solver, which turns joints into rotations."""

    name: str = setting('niki-temporal', 'niki-temporal, niki, analytic, or a path to a '
                        'model folder')
    refine: bool = setting(True, 'Move the pose towards the joints with small expected errors',
                           live=True)


@dataclass
class PixelsConfig:
    """Fit of pose and root to the keypoints in the image."""

    refine: bool = setting(True, 'Fit pose and root to the keypoints in the image', live=True)
    prior_rad: float = setting(0.12, "Expected error of the solver's rotation of a confident "
                               'joint', 'rad', 0.001, 3.0, live=True)
    prior_hidden_rad: float = setting(0.3, 'The same for a joint with confidence 0', 'rad',
                                      0.001, 3.0, live=True)


@dataclass
class TrackingConfig:
    """Ids of people over time."""

    keep_s: float = setting(4.0, 'A person who is not seen for this long loses the id', 's', 0.0,
                            30.0, live=True)
    predict_s: float = setting(2.5, 'A person who is not seen is published for this long, at most '
                               '8 times as long as seen before, with falling confidence', 's',
                               0.0, 10.0, live=True)
    confirm_frames: int = setting(4, 'Images in a row in which a new person must look the same to '
                                  'get an id; after 1 s the id is given in any case; if no '
                                  'person has an id, all people get one at once',
                                  low=1, high=100, live=True)
    min_overlap: float = setting(0.1, 'Two boxes of one person overlap by this (IoU) at least',
                                 low=0.0, high=1.0, live=True)
    max_speed_m_s: float = setting(4.0, 'A person moves no faster than this between images', 'm/s',
                                   0.1, 20.0, live=True)
    late_s: float = setting(0.5, 'An image that is stamped before the last one by less than this '
                            'is late and left out; by more, time has jumped and all tracks end',
                            's', 0.0, 10.0, live=True)


@dataclass
class SmoothingConfig:
    """Filters of second order on rotations and root, with cut-offs that open with speed."""

    enabled: bool = setting(True, 'Smooth rotations and root over time', live=True)
    min_cutoff_hz: float = setting(4.0, 'Cut-off frequency at rest: a lower one is steadier', 'Hz',
                                   0.01, 100.0, live=True)
    beta: float = setting(0.5, 'Increase of the cut-off with speed: a higher one lags less',
                          'Hz per rad/s', 0.0, 100.0, live=True)
    root_min_cutoff_hz: float = setting(2.0, 'Cut-off frequency of the root at rest', 'Hz', 0.01,
                                        100.0, live=True)
    root_beta: float = setting(1.0, 'Increase of the cut-off of the root with speed', 'Hz per m/s',
                               0.0, 100.0, live=True)


@dataclass
class CameraConfig:
    """Assumptions about the camera."""

    fov_deg: float = setting(60.0, 'Horizontal field of view where camera_info is missing or zero',
                             'deg', 5.0, 170.0)
    images: str = setting('auto', 'raw: images with the distortion of the lens (K and D of '
                          'camera_info apply); rectified: images without it (P applies); auto: '
                          'by the name of the topic, such as image_rect',
                          choices=('auto', 'raw', 'rectified'))


@dataclass
class StatusConfig:
    """Limits of the status of a joint."""

    observed: float = setting(0.5, 'A joint is "observed" from this probability that it is seen',
                              low=0.0, high=1.0, live=True)
    predicted: float = setting(0.1, 'A joint is "predicted" from this probability, which halves '
                               'every 0.5 s out of sight, and "unobserved" below it', low=0.0,
                               high=1.0, live=True)


@dataclass
class EngineConfig:
    """Library, device and precision of every graph of the pipeline."""

    backend: str = setting('onnxruntime', 'Library that runs every graph; where it cannot, '
                           'that is an error', choices=('onnxruntime', 'tensorrt'))
    device: str = setting('cpu', 'Execution provider of onnxruntime',
                          choices=('cpu', 'cuda', 'tensorrt'))
    threads: int = setting(2, 'Threads inside one operator of onnxruntime, in graphs of images; '
                           'graphs of joints, and the detector of live images, have one',
                           low=1, high=64)
    parallel: int = setting(0, 'Crops of people that onnxruntime computes at the same time on a '
                            'CPU; 0: the number of cores over `threads`, 4 at most', low=0,
                            high=64)
    precision: str = setting('fp32', 'Precision of the computation', choices=('fp32', 'fp16'))
    int8: bool = setting(True, 'In live images, in onnxruntime on a CPU, run the INT8 graph of a '
                         'detector that has one, like the one that ships: 2.6 times as fast as '
                         'FP32')
    max_batch: int = setting(16, 'Largest batch of a TensorRT engine; more people are computed in '
                             'several batches', low=1, high=64)
    on_mismatch: str = setting('rebuild', 'Where a TensorRT engine is missing, damaged or built '
                               'for another GPU: build it, or refuse to start',
                               choices=('rebuild', 'refuse'))


@dataclass
class PipelineConfig:
    """All settings of the algorithm."""

    image_rotation: str = setting('0', 'Clockwise rotation that makes people upright in the '
                                  'image; outputs are in the image and camera frame as they came '
                                  'in. auto: by gravity (the node: by TF)', 'deg',
                                  choices=('0', '90', '180', '270', 'auto'))
    stages: str = setting('', 'Stages of each person in their order, separated by commas; -NAME '
                          'leaves one out; empty: all of niki_ros.people.stages')
    observer: ObserverConfig = field(default_factory=ObserverConfig)
    lifter: LifterConfig = field(default_factory=LifterConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    pixels: PixelsConfig = field(default_factory=PixelsConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    smoothing: SmoothingConfig = field(default_factory=SmoothingConfig)
    camera: CameraConfig = field(default_factory=CameraConfig)
    status: StatusConfig = field(default_factory=StatusConfig)
