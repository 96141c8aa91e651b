"""
Stages that each person's frame passes through, in the order of ``STAGES``.

A new stage is a class with a ``step`` in a file of its own, and a line in ``STAGES``; the setting
``stages`` names those that run. A stage belongs to one person and keeps the state of that person.
"""

from typing import Dict, Iterable, List, Optional, Type

from niki_ros.common.errors import ConfigError
from niki_ros.people.stages.confidence import EstimateConfidence
from niki_ros.people.stages.distance_gate import GateDistance
from niki_ros.people.stages.end_of_prediction import EndPrediction
from niki_ros.people.stages.extrapolation import ExtrapolateHiddenJoints
from niki_ros.people.stages.fit_keypoints import FitKeypoints
from niki_ros.people.stages.front_back import CorrectFrontBack
from niki_ros.people.stages.ground_contact import KeepFeetOnGround
from niki_ros.people.stages.lift import Lift
from niki_ros.people.stages.limb_jumps import RejectLimbJumps
from niki_ros.people.stages.root_distance import MeasureDistance
from niki_ros.people.stages.root_from_keypoints import RootFromKeypoints
from niki_ros.people.stages.size import EstimateSize
from niki_ros.people.stages.smoothing import SmoothRoot, SmoothRotations
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
    'root_from_keypoints': RootFromKeypoints,
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
        if word.lstrip('-') not in STAGES:
            raise ConfigError(f'stages has {word!r}; expected names out of {", ".join(STAGES)}')
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
