"""
Stages that each person's frame passes through, in the order of ``STAGES``.

A stage is a class with a ``step``, in the file of its name. The setting ``stages`` names those
that run. Each stage object belongs to one person and keeps the state of that person.
"""

from typing import Dict, Iterable, List, Optional, Type

from niki_ros.common.errors import ConfigError
from niki_ros.people.stages.correct_front_back import CorrectFrontBack
from niki_ros.people.stages.end_prediction import EndPrediction
from niki_ros.people.stages.estimate_confidence import EstimateConfidence
from niki_ros.people.stages.estimate_size import EstimateSize
from niki_ros.people.stages.extrapolate_hidden_joints import ExtrapolateHiddenJoints
from niki_ros.people.stages.fit_keypoints import FitKeypoints
from niki_ros.people.stages.gate_distance import GateDistance
from niki_ros.people.stages.keep_feet_on_ground import KeepFeetOnGround
from niki_ros.people.stages.lift import Lift
from niki_ros.people.stages.measure_distance import MeasureDistance
from niki_ros.people.stages.place_root import PlaceRoot
from niki_ros.people.stages.reject_limb_jumps import RejectLimbJumps
from niki_ros.people.stages.smooth_root import SmoothRoot
from niki_ros.people.stages.smooth_rotations import SmoothRotations
from niki_ros.people.stages.solve import Solve
from niki_ros.people.stages.stage import Stage, StageParts

__all__ = ['make_stages', 'Stage', 'stage_names', 'StageParts', 'STAGES']

STAGES: Dict[str, Type[Stage]] = {
    'gate_distance': GateDistance,
    'correct_front_back': CorrectFrontBack,
    'end_prediction': EndPrediction,
    'lift': Lift,
    'reject_limb_jumps': RejectLimbJumps,
    'estimate_size': EstimateSize,
    'extrapolate_hidden_joints': ExtrapolateHiddenJoints,
    'solve': Solve,
    'place_root': PlaceRoot,
    'fit_keypoints': FitKeypoints,
    'measure_distance': MeasureDistance,
    'smooth_rotations': SmoothRotations,
    'smooth_root': SmoothRoot,
    'keep_feet_on_ground': KeepFeetOnGround,
    'estimate_confidence': EstimateConfidence,
}


def stage_names(setting: str = '') -> List[str]:
    """
    Return the stages of a setting: names separated by commas, ``-NAME`` leaves one out.

    :raises ConfigError: for a name that is not in ``STAGES``.
    """
    given = [word.strip() for word in setting.split(',') if word.strip()]
    for word in given:
        if word.removeprefix('-') not in STAGES:
            raise ConfigError(
                f'stages: {word!r} is not a stage; expected some of {", ".join(STAGES)}')
    left_out = {word[1:] for word in given if word.startswith('-')}
    named = [word for word in given if not word.startswith('-')]
    return [name for name in named or STAGES if name not in left_out]


def make_stages(parts: StageParts, names: Optional[Iterable[str]] = None) -> List[Stage]:
    """Return new stages for one person; ``names`` None = by the setting."""
    for name in parts.numbers:
        if name not in STAGES:
            raise ConfigError(f'no stage {name!r}; known: {", ".join(STAGES)}')
    names = stage_names(parts.config.stages) if names is None else names
    return [STAGES[name](parts, parts.numbers.get(name)) for name in names]
