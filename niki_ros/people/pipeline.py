"""From an image to bodies: observe, track, solve, place, smooth. One call a frame."""

from __future__ import annotations

from contextlib import contextmanager
from time import perf_counter
from typing import Any, Dict, List, NamedTuple, Optional

from niki_ros.body.body import Body, OBSERVED, PREDICTED, UNOBSERVED
from niki_ros.body.confidence import (
    confidence_by_neighbours,
    confidence_from_sigma,
    confidence_of_seen,
)
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.common.checks import checked_rgb, finite_array
from niki_ros.common.errors import ConfigError, InputError
from niki_ros.common.settings import apply_settings, PipelineConfig, settings_of
from niki_ros.people.association import PersonTrack, Tracker
from niki_ros.people.occlusion import held_distance
from niki_ros.people.person import Person
from niki_ros.people.refine_pixels import refine_to_pixels
from niki_ros.people.root_distance import Scene
from niki_ros.scene.camera import Camera, solve_root
from niki_ros.scene.depth import checked_depth
from niki_ros.scene.duplicates import suppress_duplicates
from niki_ros.scene.ground import Ground
from niki_ros.scene.image_rotation import AUTO, ImageRotation, select_quarter_turns
from niki_ros.scene.stamp_order import LATE, REPEATED, RESTARTED, StampOrder
import numpy as np

# a joint may turn this fast: slowly where it is a guess, as fast as people move where it is seen
MAX_TURN_RAD_S = (4.0, 25.0)
# the distance is the least certain coordinate of the root: its cut-off is this share of the others
DEPTH_CUTOFF_SHARE = 0.5
# beyond these an observation is no person; comparisons with NaN are false
MAX_REACH_M, MAX_BOX_PX = 10.0, 1e7
# a person out of sight is predicted for so many times as long as they were seen, and this at least
PREDICT_PER_SEEN, PREDICT_LEAST_S = 8.0, 0.25
# how far the root may be off before the refinement, as a share of the distance
ROOT_SIGMA_SHARE = np.array([0.01, 0.01, 0.03])


def _is_finite(one: JointObservation) -> bool:
    """Whether joints, sigma and box are numbers that a person in an image can have."""
    box, sigma = np.asarray(one.box_px), np.asarray(one.sigma_200mm)
    return bool(0 <= sigma.min() and sigma.max() <= 1 + 1e-6
                and np.abs(one.joints_m).max() < MAX_REACH_M
                and np.abs(box).max() < MAX_BOX_PX and (box[2:] > box[:2]).all())


class _Step(NamedTuple):
    """One person in one image: what is believed of what was seen, and what the solver said."""

    track: PersonTrack
    person: Person
    seen: Optional[JointObservation]
    dt_s: float
    solution: Any = None


class Pipeline:
    """
    The whole algorithm, without middleware.

    :param observer: finds people, ``observe(image_rgb, camera, stamp_ns)``.
    :param solver: see :class:`niki_ros.solvers.Solver`.
    :param lifter: see :class:`niki_ros.lifters.lifter.Lifter`; None = the front end's own joints.
    """

    def __init__(self, observer, solver, config: Optional[PipelineConfig] = None, lifter=None):
        """Put the parts together."""
        self.lifter = lifter
        self.config = config or PipelineConfig()
        self.observer = observer
        self.solver = solver
        self.tracker = Tracker(self.config.tracking)
        self.timings_s: Dict[str, float] = {}
        self.faults: Dict[str, str] = {}
        self.order = StampOrder(self.config.tracking)
        self._turn = ImageRotation(0, 1, 1)

    def process(self, image_rgb, camera: Optional[Camera], stamp_ns: int, *, depth_m=None,
                boxes_px=None, ground: Optional[Ground] = None, up=None) -> List[Body]:
        """
        Return everybody seen, or remembered, in this image.

        :param image_rgb: (H, W, 3) uint8. :param camera: None = assume ``camera.fov_deg``.
        :param stamp_ns: later than the last one; where it is earlier by less than
            ``tracking.late_s`` the image is left out, by more everything starts afresh (a bag
            that loops), both with a fault.
        :param depth_m: (h, w) aligned with the image: float metres or uint16 millimetres; or a
            function that returns it, or None, called when it is needed.
        :param boxes_px: (n, 4) x0, y0, x1, y1 of people, from a detector of your own.
        :param ground: the plane that people stand on, in the camera's optical frame.
        :param up: (3,) away from gravity, in the camera's optical axes, any length; for
            ``image_rotation`` at ``auto``; None = that of ``ground``.
        :raises InputError: for an image of another form, or the stamp of the last one.
        """
        self.faults, self.timings_s = {}, {}
        image_rgb = checked_rgb(image_rgb)
        if not self._comes_in_order(stamp_ns):
            return []
        camera = camera or self.assumed_camera(image_rgb)
        height, width = image_rgb.shape[:2]
        turn = self._turned(width, height, ground.up if up is None and ground else up)
        if boxes_px is not None:
            boxes_px = turn.boxes(finite_array('boxes_px', boxes_px, (None, 4)))
        bodies = self._upright(
            turn.image(image_rgb), turn.camera(camera), stamp_ns, boxes_px,
            lambda: self._depth(depth_m, width, height), ground and turn.ground(ground))
        self.order.accept(stamp_ns)
        return [turn.body_to_camera(body) for body in bodies]

    def _turned(self, width: int, height: int, up) -> ImageRotation:
        """Return how this image is turned; people keep their ids where that changes."""
        before = self._turn
        quarter_turns, fault = select_quarter_turns(
            self.config.image_rotation, up, before.quarter_turns)
        self._turn = ImageRotation(quarter_turns, width, height)
        if fault:
            self.faults['image_rotation_unknown'] = fault
        change = (self._turn.quarter_turns - before.quarter_turns) % 4
        if change:
            self.observer.reset()
            self.tracker.turn(ImageRotation(change, *before.size))
        return self._turn

    def _upright(self, image_rgb, camera, stamp_ns: int, boxes_px, depth_m, ground) -> List[Body]:
        """Return the bodies in an image with people upright; ``depth_m`` is called for (h, w)."""
        with self._timed('observe'):
            observations = suppress_duplicates(self._sound(
                self.observer.observe(image_rgb, camera, stamp_ns, boxes_px)))
        self.faults.update(self.observer.faults)
        height, width = image_rgb.shape[:2]
        scene = Scene(camera.resized(width, height), depth_m(), ground)
        with self._timed('track'):
            roots = [self._place(o.joints_m, o, camera) for o in observations]
            pairs = self.tracker.update(observations, roots, stamp_ns)
        # a track without an id is not believed yet: it is followed, not published
        where = {id(seen): root for seen, root in zip(observations, roots)}
        people = [self._believed(track, seen, where.get(id(seen)), stamp_ns)
                  for track, seen in pairs]
        with self._timed('lift'):
            steps = self._lifted([one for one in people if one is not None], stamp_ns)
        with self._timed('solve'):
            steps = self._solve(steps, stamp_ns)
        bodies = [self._body(step, scene, stamp_ns) for step in steps]
        return [body for body in bodies if body is not None and body.id]

    def _believed(self, track: PersonTrack, seen, root_m, stamp_ns) -> Optional[_Step]:
        """Return what is believed of one person; None when it has been gone for too long."""
        if track.state is None:
            track.state = Person(self.solver)
        person: Person = track.state
        gone_s = (stamp_ns - track.seen_ns) * 1e-9
        dt_s = person.passed_s(stamp_ns)
        seen = person.believed(seen, root_m, stamp_ns)
        # what was seen for a moment may have been nobody, and is soon forgotten
        predict_s = min(self.config.tracking.predict_s,
                        PREDICT_LEAST_S + PREDICT_PER_SEEN * track.seen_s)
        if seen is None and (gone_s > predict_s or person.observation is None):
            return None
        return _Step(track, person, seen, dt_s)

    def _lifted(self, steps: List[_Step], stamp_ns: int) -> List[_Step]:
        """Lift the keypoints of all people at once; then call hidden what has jumped."""
        now = [i for i, step in enumerate(steps) if step.seen is not None]
        seen: list = [steps[i].seen for i in now]
        if self.lifter is not None:
            seen = self.lifter.lift([steps[i].person.window for i in now], seen, stamp_ns)
        lifted = dict(zip(now, seen))
        return [step._replace(seen=step.person.without_jumps(lifted[i], step.dt_s))
                if i in lifted else step for i, step in enumerate(steps)]

    def _solve(self, steps: List[_Step], stamp_ns: int) -> List[_Step]:
        """Solve all people at once; one out of sight is all unobserved joints, or as it was."""
        frames = [step.person.solver_frame(step.seen, step.dt_s, stamp_ns) for step in steps]
        now = [i for i, frame in enumerate(frames) if frame is not None]
        solved = self.solver.step_tracks([steps[i].person.solver_track for i in now],
                                         [frames[i] for i in now])
        solutions = dict(zip(now, solved))
        return [step._replace(solution=solutions.get(i, step.person.solution))
                for i, step in enumerate(steps)]

    def _body(self, step: _Step, scene, stamp_ns) -> Optional[Body]:
        """Place and smooth one person; None where there is no place for them."""
        track, person, seen, dt_s, solution = step
        with self._timed('place'):
            rotmat, root_m, source = self._aligned(
                track, person, solution, seen, scene, stamp_ns)
        if root_m is None:
            return None
        hidden = np.ones(24, bool) if seen is None else seen.hidden[:24]
        with self._timed('smooth'):
            body = self._smooth(
                track, person, rotmat, solution, hidden, root_m, source, scene, stamp_ns)
        if seen is not None:
            person.observation = seen
            track.seen_ns, track.box_px = stamp_ns, seen.box_px
            track.root_m, track.root_velocity_m_s = body.root_m, body.root_velocity_m_s
            body.keypoints_px = seen.keypoints_px
        self._judge(body, person, solution, hidden, dt_s)
        person.stamp_ns, person.solution = stamp_ns, solution
        return body

    def _aligned(self, track, person, solution, seen, scene, stamp_ns):
        """Rotations (24, 3, 3), root (3,) or None, and what the root's distance is measured by."""
        rotmat = np.asarray(solution.rotmat, dtype=np.float64)
        settings, offsets = self.config.pixels, self.solver.skeleton.offsets(person.shape.betas)
        # of the size that is published; the solver may have found this image's another
        joints = forward_kinematics(rotmat, offsets)[0]
        root_m = None if seen is None else self._place(joints, seen, scene.camera)
        if root_m is None:
            return rotmat, track.predicted_root(stamp_ns), 'predicted'
        if settings.refine:
            slack, loose = settings.prior_rad, settings.prior_hidden_rad
            prior_rad = loose + (slack - loose) * np.asarray(solution.confidence)
            rotmat, root_m = refine_to_pixels(
                rotmat, root_m, offsets, seen.keypoints_px, seen.keypoint_sigma_px, scene.camera,
                prior_rad, ROOT_SIGMA_SHARE * root_m[2])
        if scene.depth_m is not None or scene.ground is not None:
            joints = forward_kinematics(rotmat, offsets)[0]
        root_m, source = person.placing.distance(
            scene, root_m, joints, seen, person.passed_s(stamp_ns))
        return rotmat, root_m, source

    @staticmethod
    def _place(joints_m, seen: JointObservation, camera):
        """Root (3,) in metres from the keypoints, the sharper and surer the heavier."""
        spread = np.asarray(seen.keypoint_sigma_px, dtype=np.float64)
        sure = np.clip(1.0 - seen.sigma_200mm, 0.0, 1.0) ** 2
        weights = np.where(np.isfinite(spread), sure / np.maximum(spread, 0.5) ** 2, 0.0)
        return solve_root(joints_m, seen.keypoints_px, weights, camera)

    def _smooth(self, track, person, rotmat, solution, hidden, root_m, source, scene,
                stamp_ns) -> Body:
        """Filter rotations and root; the joints follow by forward kinematics."""
        settings = self.config.smoothing
        dt_s = person.passed_s(stamp_ns)
        pace = person.sight.pace(hidden, dt_s)
        if source not in ('depth', 'ground'):
            root_m = held_distance(root_m, person.root.value, hidden, dt_s)
        if settings.enabled:
            slow, fast = MAX_TURN_RAD_S
            limit = (slow + (fast - slow) * np.minimum(solution.confidence, pace)) * dt_s
            rotmat = person.rotations.step(
                rotmat, dt_s, settings.min_cutoff_hz, settings.beta, limit)
            cutoff = settings.root_min_cutoff_hz * np.array([1.0, 1.0, DEPTH_CUTOFF_SHARE])
            root_m = person.root.step(root_m, dt_s, cutoff, settings.root_beta)
        else:
            person.rotations.step(rotmat, dt_s, 1e6, 0.0)
            person.root.step(root_m, dt_s, 1e6, 0.0)
        betas = person.shape.betas
        joints_m, _ = forward_kinematics(rotmat, self.solver.skeleton.offsets(betas))
        root_m = person.placing.on_the_ground(scene, root_m, joints_m, hidden, dt_s)
        return Body(
            id=track.id, stamp_ns=stamp_ns, rotmat=rotmat.copy(), betas=betas.copy(),
            root_m=np.array(root_m), joints_m=joints_m + root_m,
            confidence=np.zeros(24), status=np.zeros(24, np.uint8),
            angular_velocity_rad_s=person.rotations.velocity_rad_s.copy(),
            root_velocity_m_s=person.root.velocity.copy(),
            keypoints_px=np.full((29, 2), np.nan), root_source=source)

    def _judge(self, body, person, solution, hidden, dt_s):
        """Confidence and status of every joint; what is out of sight is never "observed"."""
        sigma = np.asarray(person.observation.sigma_200mm)[:24]
        # seen is what the front end was sure of seeing, however well the rest fits; but a joint
        # that it was not sure of is right more often than not, and the confidence says so
        sight = np.minimum(solution.confidence,
                           confidence_from_sigma(person.observation.own_sigma_200mm[:24]))
        right = confidence_of_seen(solution.confidence, sigma)
        sight, right = person.sight.update(np.stack([sight, right]), hidden, dt_s)
        body.confidence = confidence_by_neighbours(right, hidden).astype(np.float32)
        limits = self.config.status
        status = np.where(sight >= limits.predicted, PREDICTED, UNOBSERVED)
        observed = (sight >= limits.observed) & ~hidden
        body.status = np.where(observed, OBSERVED, status).astype(np.uint8)

    def assumed_camera(self, image_rgb) -> Camera:
        """Return a camera of the field of view in the settings, for want of camera_info."""
        height, width = image_rgb.shape[:2]
        return Camera.from_fov(width, height, self.config.camera.fov_deg)

    def _sound(self, observations: List[JointObservation]) -> List[JointObservation]:
        """Drop what is no person: a number that is none would stay in the track for ever."""
        sound = [one for one in observations if _is_finite(one)]
        if len(sound) < len(observations):
            self.faults['observation_invalid'] = (
                f'{len(observations) - len(sound)} of {len(observations)} people from the front '
                'end have joints, sigmas or boxes that are no numbers; they are left out')
        return sound

    def update(self, settings: dict):
        """Change settings while running; only those declared ``live``."""
        live = {item.name: item.live for item in settings_of(self.config)}
        for name in settings:
            if not live.get(name, True):
                raise ConfigError(f'{name} cannot change while running; restart with it')
        apply_settings(self.config, settings)
        if hasattr(self.solver, 'refine'):
            self.solver.refine = self.config.solver.refine

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics: library, device and precision of every graph."""
        facts = self.solver.describe()
        name, library = facts.pop('solver'), facts.pop('backend')
        lifter = self.lifter.describe() if self.lifter else {'lifter': 'none'}
        rotation = f'{90 * self._turn.quarter_turns}'
        if self.config.image_rotation == AUTO:
            rotation += f' ({AUTO})'
        return {**self.observer.describe(), **lifter, 'solver': name, 'solver_library': library,
                'image_rotation': rotation,
                **{f'solver_{key}': value for key, value in facts.items()}}

    def reset(self):
        """Forget everybody, as at the start of another recording."""
        self.tracker.forget()
        self.observer.reset()
        self.order.reset()

    def close(self):
        """Free the front end; the pipeline is not used afterwards."""
        self.observer.close()
        if self.lifter is not None:
            self.lifter.close()

    def _depth(self, depth_m, width, height):
        """Return the depth in metres, turned; what a stream sends wrong is a fault, no error."""
        def checked(given):
            if given is None:
                return None
            return self._turn.image(checked_depth(given, width, height))
        if not callable(depth_m):
            return checked(depth_m)
        # it often comes after the image: meanwhile people were looked for
        depth_m = depth_m()
        try:
            return checked(depth_m)
        except InputError as error:
            self.faults['depth_invalid'] = str(error)
            return None

    def _comes_in_order(self, stamp_ns: int) -> bool:
        """Return False for a late image; start afresh where time has jumped back."""
        verdict, back_s = self.order.classify(stamp_ns), self.order.lag_s(stamp_ns)
        if verdict == REPEATED:
            raise InputError(f'stamp {stamp_ns} ns came before; every image needs its own')
        if verdict == LATE:
            self.faults['stamp_late'] = (
                f'the stamp {stamp_ns} ns is {back_s:.3f} s before the last; it is left out')
            return False
        if verdict == RESTARTED:
            self.faults['stamp_jumped_back'] = (
                f'the stamp jumped back by {back_s:.3f} s to {stamp_ns} ns; all tracks end')
            self.reset()
        return True

    @contextmanager
    def _timed(self, stage):
        start = perf_counter()
        yield
        self.timings_s[stage] = self.timings_s.get(stage, 0.0) + perf_counter() - start
