"""The lifter at run time: keypoints of the last second and a half in, joints in metres out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional, Sequence

from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINTS
from niki_ros.body.observation import JointObservation, SIGMA_UNIT_M
from niki_ros.lifters.window import AGES_S, LiftWindow
import numpy as np

KIND = 'lift'
INPUTS = {'rays': (len(AGES_S), len(KEYPOINTS), 2), 'seen': (len(AGES_S), len(KEYPOINTS)),
          'guess': (len(AGES_S), len(KEYPOINTS)), 'heading': (2,)}
OUTPUTS = {'joints': (29, 3), 'spread': (29, 2), 'twist': (23, 2)}
# of keypoints that a front end knows to be hidden, whatever it says of how well it sees them
HIDDEN_SEEN = 0.3
# Laplace's scale across is half of the mean distance, which is 1.27 times a coordinate's mean
_ACROSS = 1.27
# on rendered people errors are this many times what the network expects (seen joints 1.45,
# hidden ones 1.24, 119,000 joints; from the smallest sigma to the largest 1.2 to 1.7)
_EXPECTED = 1.45
_LEAST_SIGMA = 0.02


class Lifter:
    """
    Lifts people's keypoints.

    :param model: a model folder of kind ``lift``. :param engine_options: of
        :func:`niki_ros.backends.load_engine`.
    :raises ModelError: when the folder holds another kind of model.
    """

    def __init__(self, model, **engine_options):
        """Load the graph."""
        from niki_ros.backends import load_folder_engine
        from niki_ros.models.model_folder import read_model_folder
        folder = read_model_folder(model)
        folder.check_kind(KIND, 'niki-export of a checkpoint of niki-train lift')
        self.name = folder.manifest['name']
        self.engine = load_folder_engine(folder, OUTPUTS, **engine_options)

    def lift(self, windows: Sequence[LiftWindow], observations: Sequence[JointObservation],
             stamp_ns: int) -> List[JointObservation]:
        """
        Return observations with lifted joints, all people in one batch.

        :param windows: of the people; they take in what is observed.
        :param observations: with ``keypoint_rays``; others are returned as they are.
        """
        now = [i for i, one in enumerate(observations) if one.keypoint_rays is not None]
        if not now:
            return list(observations)
        given = []
        for i in now:
            windows[i].push(stamp_ns, _known(observations[i]))
            given.append(windows[i].at_ages())
        out = self.engine.run({
            'rays': _stacked(one.rays for one in given),
            'seen': _stacked(one.seen for one in given),
            'guess': _stacked(one.guess_m for one in given),
            'heading': _stacked(one.heading for one in given)})
        lifted = list(observations)
        for row, i in enumerate(now):
            lifted[i] = _lifted(observations[i], given[row].camera_from_view, out['joints'][row],
                                out['spread'][row], out['twist'][row])
        return lifted

    def describe(self) -> Dict[str, str]:
        """Return what runs, for diagnostics."""
        facts = self.engine.describe()
        return {'lifter': self.name, **{f'lifter_{key}': str(v) for key, v in facts.items()}}

    def close(self) -> None:
        """Free the graph."""
        self.engine.close()


def load_lifter(config) -> Optional[Lifter]:
    """
    Return the lifter that the settings name; None where the front end's own joints are used.

    :param config: :class:`niki_ros.common.settings.PipelineConfig`.
    :raises ModelError: when the model folder is missing or damaged.
    """
    from niki_ros.backends import engine_options
    from niki_ros.models.model_folder import find_model
    if not config.lifter.name or config.observer.name != 'landmarks':
        return None
    return Lifter(find_model(config.lifter.name).path, **engine_options(config.engine))


def _stacked(values) -> np.ndarray:
    return np.stack(list(values)).astype(np.float32)


def _known(one: JointObservation):
    """Return the keypoints, those of joints that are known to be hidden as hidden."""
    points: Any = one.keypoint_rays
    hidden = one.hidden[JOINT_OF_KEYPOINT]
    return points._replace(seen=np.where(hidden, np.minimum(points.seen, HIDDEN_SEEN),
                                         points.seen))


def _lifted(one: JointObservation, camera_from_view, joints_m, spread_m, twist):
    """Return the observation with the answer for one person, in the camera's axes."""
    sigma = lifted_sigma(spread_m, one.hidden)
    twist = twist / np.maximum(np.linalg.norm(twist, axis=-1, keepdims=True), 1e-6)
    return replace(
        one, joints_m=(joints_m @ camera_from_view.T).astype(np.float32), twist_cos_sin=twist,
        sigma_200mm=sigma.astype(np.float32), uncorrected_m=one.own_joints_m,
        unlifted_sigma_200mm=one.own_sigma_200mm)


def lifted_sigma(spread_m, hidden) -> np.ndarray:
    """
    Return the sigma (..., 29) of lifted joints.

    :param spread_m: (..., 29, 2) the graph's expected errors across and along the axis.
    :param hidden: (..., 29) True where the front end does not see the joint.
    """
    sigma = _EXPECTED * (2 * _ACROSS * spread_m[..., 0] + spread_m[..., 1]) / 3 / SIGMA_UNIT_M
    # of a joint that is hidden the solver, which knows the pose of before, says more than the
    # lifter: with a person walking past in front, 135 mm instead of 140 in covered frames
    return np.where(hidden, 1.0, np.clip(sigma, _LEAST_SIGMA, 1.0))
