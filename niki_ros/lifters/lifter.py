"""The lifter at run time: keypoints of the last 1.4 seconds to joints in metres."""

from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Sequence

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KeypointRays, KEYPOINTS
from niki_ros.body.observation import JointObservation, SIGMA_UNIT_M
from niki_ros.body.rotations import length
from niki_ros.body.skeleton import check_trained_for
from niki_ros.body.trunk_frame import trunk_left
from niki_ros.common.replace import replace
from niki_ros.lifters.window import AGES_S, LiftWindow
import numpy as np

KIND = 'lift'
INPUTS = {'rays': (len(AGES_S), len(KEYPOINTS), 2), 'seen': (len(AGES_S), len(KEYPOINTS)),
          'guess': (len(AGES_S), len(KEYPOINTS)), 'heading': (2,)}
OUTPUTS = {'joints': (29, 3), 'spread': (29, 2), 'twist': (23, 2)}
MAX_TURNED_COS = -0.3  # between the sides of the observed and the lifted trunk
MAX_HIDDEN_SEEN = 0.3  # largest visibility of a keypoint whose joint is hidden, 0 … 1


class Lifter:
    """Lifts keypoints of people to joints, by a model folder of kind ``lift``."""

    def __init__(self, model, **engine_options):
        from niki_ros.backends import load_folder_engine
        from niki_ros.models.model_folder import read_model_folder
        folder = read_model_folder(model)
        folder.check_kind(KIND, 'niki-export of a checkpoint of niki-train lift')
        check_trained_for(folder.manifest)
        self.name = folder.manifest['name']
        self.engine = load_folder_engine(folder, OUTPUTS, **engine_options)

    def lift(self, windows: Sequence[LiftWindow], observations: Sequence[JointObservation],
             stamp_ns: int) -> List[JointObservation]:
        """
        Return observations with lifted joints, computed in one batch.

        The keypoints are added to the windows of the people. An observation without
        ``keypoint_rays`` is returned unchanged.
        """
        rows = [i for i, one in enumerate(observations) if one.keypoint_rays is not None]
        if not rows:
            return list(observations)
        for i in rows:
            windows[i].push(stamp_ns, known_keypoints(observations[i]))
        lifted = self._lift_rows(windows, observations, rows)
        # front and back were confused in earlier images: they outweigh the newest one
        turned = [i for i in rows if trunk_left(lifted[i].joints_m) @ trunk_left(
            observations[i].joints_m) < MAX_TURNED_COS and windows[i].keep_newest()]
        if turned:
            lifted.update(self._lift_rows(windows, observations, turned))
        return [lifted.get(i, one) for i, one in enumerate(observations)]

    def _lift_rows(self, windows, observations, rows: List[int]) -> Dict[int, JointObservation]:
        """Return the lifted observations of these rows."""
        inputs = [windows[i].at_ages() for i in rows]
        # the fields of LifterInput are in the order of INPUTS
        out = self.engine.run({name: np.array(values, np.float32)
                               for name, values in zip(INPUTS, zip(*inputs))})
        return {i: _lifted(observations[i], inputs[row].camera_from_view, out['joints'][row],
                           out['spread'][row], out['twist'][row]) for row, i in enumerate(rows)}

    def describe(self) -> Dict[str, str]:
        facts = self.engine.describe()
        return {'lifter': self.name, **{f'lifter_{key}': str(v) for key, v in facts.items()}}

    def close(self) -> None:
        self.engine.close()


def load_lifter(config) -> Optional[Lifter]:
    """Return the lifter that the settings name; None where joints are not lifted."""
    from niki_ros.backends import engine_options
    from niki_ros.models.model_store import find_model, LIFTED_OBSERVERS
    if not config.lifter.name or config.observer.name not in LIFTED_OBSERVERS:
        return None
    return Lifter(find_model(config.lifter.name).path,
                  **engine_options(config.engine, one_thread=True))


def known_keypoints(one: JointObservation) -> KeypointRays:
    """Return the keypoints of an observation; those of hidden joints are hidden."""
    keypoints: Any = one.keypoint_rays
    hidden = one.hidden[JOINT_OF_KEYPOINT]
    seen = np.where(hidden, np.minimum(keypoints.seen, MAX_HIDDEN_SEEN), keypoints.seen)
    return keypoints._replace(seen=seen)


def _lifted(one: JointObservation, camera_from_view, joints_m, spread_m, twist):
    sigma = lifted_sigma(spread_m, one.hidden)
    twist = twist / np.maximum(length(twist)[..., None], 1e-6)
    return replace(
        one, joints_m=(joints_m @ camera_from_view.T).astype(np.float32), twist_cos_sin=twist,
        sigma_200mm=sigma.astype(np.float32), uncorrected_m=one.own_joints_m,
        unlifted_sigma_200mm=one.own_sigma_200mm)


@dataclass(frozen=True)
class LiftedSigmaNumbers:
    """Numbers of :func:`lifted_sigma`."""

    # mean error of one coordinate over the scale of the Laplace distribution across the axis,
    # which is half of the mean distance
    across_ratio: float = 1.27
    # errors on rendered people over those that the network expects (all 1.2, those of seen joints
    # more; 1.45 and 1.2 to 1.7 with the weights before, with which it was chosen)
    error_ratio: float = 1.45
    min_sigma_200mm: float = 0.02  # of a lifted joint


def lifted_sigma(spread_m, hidden,
                 numbers: LiftedSigmaNumbers = LiftedSigmaNumbers()) -> np.ndarray:
    """
    Return the sigma (..., 29) of lifted joints, units of 200 mm.

    :param spread_m: (..., 29, 2) expected errors of the graph, across and along the axis, metres.
    :param hidden: (..., 29) bool, True where the front end does not see the joint.
    """
    error_m = numbers.error_ratio * (
        2 * numbers.across_ratio * spread_m[..., 0] + spread_m[..., 1]) / 3
    sigma = error_m / SIGMA_UNIT_M
    # for a hidden joint the solver, which uses the pose before, is better than the lifter: with a
    # person walking past in front, 135 mm instead of 140 in covered frames
    return np.where(hidden, 1.0, np.minimum(np.maximum(sigma, numbers.min_sigma_200mm), 1.0))
