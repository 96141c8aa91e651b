"""The whole algorithm, from an image to bodies; one call per image."""

from contextlib import contextmanager
from time import perf_counter
from typing import Any, Dict, List, Mapping, Optional

from niki_ros.body.body import Body
from niki_ros.body.observation import JointObservation
from niki_ros.common.checks import checked_rgb, finite_array
from niki_ros.common.errors import ConfigError, InputError
from niki_ros.common.setting import apply_settings, settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.people.person import Person, run_stages
from niki_ros.people.person_frame import ImageContext, PersonFrame
from niki_ros.people.stages import make_stages, StageParts
from niki_ros.people.stages.place_root import root_of_joints
from niki_ros.people.tracker import Tracker
from niki_ros.scene.camera import Camera
from niki_ros.scene.depth import checked_depth
from niki_ros.scene.duplicates import suppress_duplicates
from niki_ros.scene.ground import Ground
from niki_ros.scene.image_rotation import AUTO, ImageRotation, select_quarter_turns
from niki_ros.scene.stamp_order import (
    jumped_back_text,
    LATE,
    late_text,
    REPEATED,
    RESTARTED,
    StampOrder,
)
import numpy as np

# no person reaches farther from the pelvis, and no box lies farther outside of the image
_MAX_REACH_M, _MAX_BOX_PX = 10.0, 1e7
_WARM_UP_PERIOD_NS = 33_333_333


class Pipeline:
    """
    Finds and follows people, associates them over time, and steps each through the stages.

    :param observer: :class:`niki_ros.observers.Observer`.
    :param solver: :class:`niki_ros.solvers.Solver`. :param lifter: None = joints are not lifted.
    :param numbers: name of a stage → its ``Numbers``, used instead of the default; for evaluation.
    :ivar faults: of the last image, texts by name. :ivar timings_s: of the last image, by step.
    :ivar busy_s: that the last image took; a caller that does more with each image sets it.
    :ivar period_s: between two images of the camera; a caller that skips images sets it.
    :ivar waited_s: of the next image, for the one before; a caller that queues images sets it.
    :raises ConfigError: for stages that do not exist.
    """

    def __init__(self, observer, solver, config: Optional[PipelineConfig] = None, lifter=None,
                 numbers: Optional[Mapping[str, Any]] = None):
        self.config = config or PipelineConfig()
        self.observer, self.solver, self.lifter = observer, solver, lifter
        self._parts = StageParts(self.config, solver, lifter, numbers or {})
        make_stages(self._parts)  # raises ConfigError now, not when the first person appears
        self.tracker = self._new_tracker()
        self.order = StampOrder(self.config.tracking)
        self.timings_s: Dict[str, float] = {}
        self.faults: Dict[str, str] = {}
        self.busy_s = self.waited_s = 0.0
        self.period_s: Optional[float] = None
        self._rotation = ImageRotation(0, 1, 1)

    def process(self, image_rgb, camera: Optional[Camera], stamp_ns: int, *, depth_m=None,
                boxes_px=None, ground: Optional[Ground] = None, up=None) -> List[Body]:
        """
        Return the bodies of all people in this image, seen or predicted.

        :param image_rgb: (H, W, 3) uint8. :param camera: None = assume ``camera.fov_deg``.
        :param stamp_ns: an image earlier by less than ``tracking.late_s`` is left out; one earlier
            by more ends all tracks, as where a bag loops. Both are faults.
        :param depth_m: (h, w) aligned with the image: float metres or uint16 millimetres; or a
            function that returns it or None, called when it is needed.
        :param boxes_px: (n, 4) x0, y0, x1, y1 of people, from another detector.
        :param ground: the plane that people stand on, in the camera's optical frame.
        :param up: (3,) away from gravity, camera's optical axes, any length, for the automatic
            image rotation; None = that of ``ground``.
        :raises InputError: when the image is not (H, W, 3) uint8, or its stamp repeats.
        """
        self.faults, self.timings_s, start_s = {}, {}, perf_counter()
        image_rgb = checked_rgb(image_rgb)
        if not self._check_stamp(stamp_ns):
            return []
        rotation = self._rotate(image_rgb, ground.up if up is None and ground else up)
        camera = rotation.camera(camera or self.assumed_camera(image_rgb))
        # find and follow people
        observations = self._observe(image_rgb, camera, stamp_ns, boxes_px)
        context = ImageContext(camera.resized(*rotation.size), self._depth_m(depth_m, image_rgb),
                      ground and rotation.ground(ground))
        # associate them with the people of the images before
        with self._timed('track'):
            roots_m = [root_of_joints(one.joints_m, one, camera) for one in observations]
            pairs = self.tracker.update(observations, roots_m, stamp_ns, self.observer.waiting)
            people = [person for person, _ in pairs]
            begun = [person.begin(None, context, stamp_ns) if i is None else
                     person.begin(observations[i], context, stamp_ns, roots_m[i])
                     for person, i in pairs]
        # step everyone through the stages
        frames = run_stages(people, begun, self._timed)
        self.order.accept(stamp_ns)
        bodies = self._bodies(dict(zip(people, frames)), stamp_ns)
        self.busy_s = perf_counter() - start_s
        return bodies

    def _bodies(self, frames: Dict[Person, Optional[PersonFrame]], stamp_ns: int) -> List[Body]:
        """
        Return the bodies of all people with an id, in the camera's axes.

        :param frames: of this image; people without one are in view and were not observed in it.
        """
        skeleton, bodies = self.solver.skeleton, []
        for person in self.tracker.people:
            frame, body = frames.get(person), None
            if not person.id:
                continue
            if frame is not None:
                body = person.body(frame, skeleton)
            elif person not in frames:
                body = person.extrapolated_body(stamp_ns, skeleton)
            if body is not None:
                bodies.append(self._rotation.body_to_camera(body))
        return bodies

    def _observe(self, image_rgb, camera, stamp_ns: int, boxes_px) -> List[JointObservation]:
        """Return one valid observation of each person, in axes and pixels of the upright image."""
        image_rgb = self._rotation.image(image_rgb)
        if boxes_px is not None:
            boxes_px = np.zeros((0, 4)) if np.size(boxes_px) == 0 else boxes_px
            boxes_px = self._rotation.boxes(finite_array('boxes_px', boxes_px, (None, 4)))
        self.observer.busy_s, self.observer.period_s = self.busy_s, self.period_s
        self.observer.waited_s = self.waited_s
        with self._timed('observe'):
            observed = self.observer.observe(image_rgb, camera, stamp_ns, boxes_px)
            valid = [one for one in observed if _is_valid(one)]
            if len(valid) < len(observed):
                self.faults['observation_invalid'] = (
                    f'{len(observed) - len(valid)} of {len(observed)} people from the front end '
                    'have joints, sigmas or boxes that are not finite or out of range; they are '
                    'left out')
            observations = suppress_duplicates(valid)
        self.faults.update(self.observer.faults)
        return observations

    def _rotate(self, image_rgb, up) -> ImageRotation:
        """Return the rotation of this image; people keep their ids where it changes."""
        height, width = image_rgb.shape[:2]
        before = self._rotation
        quarter_turns, fault = select_quarter_turns(
            self.config.image_rotation, up, before.quarter_turns)
        if fault:
            self.faults['image_rotation_unknown'] = fault
        self._rotation = ImageRotation(quarter_turns, width, height)
        change = (quarter_turns - before.quarter_turns) % 4
        if change:
            self.observer.reset()
            self.tracker.rotate(ImageRotation(change, *before.size))
        return self._rotation

    def _depth_m(self, depth_m, image_rgb):
        """Return the upright depth in metres; invalid depth of a stream is a fault, no error."""
        is_stream = callable(depth_m)
        # called only after the front end, because depth often arrives after the image
        depth_m = depth_m() if is_stream else depth_m
        if depth_m is None:
            return None
        height, width = image_rgb.shape[:2]
        try:
            return self._rotation.image(checked_depth(depth_m, width, height))
        except InputError as error:
            if not is_stream:
                raise
            self.faults['depth_invalid'] = str(error)
            return None

    def _check_stamp(self, stamp_ns: int) -> bool:
        """Return False for a late image; end all tracks where time has jumped back."""
        verdict, lag_s = self.order.classify(stamp_ns), self.order.lag_s(stamp_ns)
        if verdict == REPEATED:
            raise InputError(f'stamp {stamp_ns} ns came before; every image needs its own')
        if verdict == LATE:
            self.faults['stamp_late'] = late_text(stamp_ns, lag_s)
            return False
        if verdict == RESTARTED:
            self.faults['stamp_jumped_back'] = jumped_back_text(stamp_ns, lag_s)
            self.reset()
        return True

    def assumed_camera(self, image_rgb) -> Camera:
        """Return a camera with the field of view of the settings, where no camera is known."""
        height, width = image_rgb.shape[:2]
        return Camera.from_fov(width, height, self.config.camera.fov_deg)

    def update(self, settings: dict):
        """Change settings while running; :class:`ConfigError` for one that is not ``live``."""
        live = {item.name: item.live for item in settings_of(self.config)}
        for name in settings:
            if not live.get(name, True):
                raise ConfigError(f'{name} cannot change while running; restart with it')
        apply_settings(self.config, settings)
        self.solver.refine = self.config.solver.refine

    def describe(self) -> Dict[str, str]:
        """Return facts about graphs, solver and image rotation, for diagnostics."""
        facts = self.solver.describe()
        name, library = facts.pop('solver'), facts.pop('backend')
        lifter = self.lifter.describe() if self.lifter else {'lifter': 'none'}
        auto = f' ({AUTO})' if self.config.image_rotation == AUTO else ''
        return {**self.observer.describe(), **lifter, 'solver': name, 'solver_library': library,
                'image_rotation': f'{90 * self._rotation.quarter_turns}{auto}',
                **{f'solver_{key}': value for key, value in facts.items()}}

    def warm_up(self, image_rgb, boxes_px) -> None:
        """
        Process an image of a person three times, and forget that person.

        Graphs allocate their memory, and modules are imported, when they are used for the first
        time; the first image of a camera then takes no longer than later ones.

        :param image_rgb: (H, W, 3) uint8. :param boxes_px: (n, 4) of the person, for a
            front end without a detector.
        """
        for image, boxes in enumerate((None, None, boxes_px)):
            self.process(image_rgb, None, (image + 1) * _WARM_UP_PERIOD_NS, boxes_px=boxes)
        self.reset()
        self.tracker = self._new_tracker()  # ids begin at 1
        self.busy_s, self.faults, self.timings_s = 0.0, {}, {}

    def _new_tracker(self) -> Tracker:
        return Tracker(self.config.tracking, lambda: make_stages(self._parts))

    def reset(self):
        """End all tracks, as at the start of another recording."""
        self.tracker.reset()
        self.observer.reset()
        self.order.reset()

    def close(self):
        """Free the graphs of the front end; the pipeline is not used afterwards."""
        self.observer.close()
        if self.lifter is not None:
            self.lifter.close()

    @contextmanager
    def _timed(self, step: str):
        """Add the time of the block to ``timings_s``."""
        start = perf_counter()
        yield
        self.timings_s[step] = self.timings_s.get(step, 0.0) + perf_counter() - start


def _is_valid(one: JointObservation) -> bool:
    """Return whether joints, sigma and box are finite and in range; False for NaN."""
    box_px, sigma = np.asarray(one.box_px), np.asarray(one.sigma_200mm)
    return bool(0 <= sigma.min() and sigma.max() <= 1 + 1e-6
                and np.abs(one.joints_m).max() < _MAX_REACH_M
                and np.abs(box_px).max() < _MAX_BOX_PX and (box_px[2:] > box_px[:2]).all())
