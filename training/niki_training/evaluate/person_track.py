"""Steps one person through the stages of the pipeline that need no image."""

from dataclasses import replace

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.observation import JointObservation
from niki_ros.body.solution import Solution
from niki_ros.common.settings import PipelineConfig
from niki_ros.people.person import Person, run_stages, Sighting
from niki_ros.people.stages import make_stages, StageParts
import numpy as np

STAGES = ('estimate_size', 'extrapolate_hidden_joints', 'solve')


class PersonTrack:
    """One person of the pipeline, without an image, with a :class:`niki_ros.solvers.Solver`."""

    def __init__(self, solver):
        self._solver, parts = solver, StageParts(PipelineConfig(), solver)
        self._person = Person(lambda: make_stages(parts, STAGES), Sighting(0, np.zeros(4), None))

    def step(self, joints_m, sigma, stamp_ns: int, twist_cos_sin=None) -> Solution:
        """
        Return the solution of one frame, joints of the published body's size.

        :param joints_m: (29, 3) root-relative, camera axes. :param sigma: (29,) in 200 mm.
        :param twist_cos_sin: (23, 2), or None.
        """
        nowhere_px = np.full((29, 2), np.nan)
        seen = JointObservation(joints_m, sigma, nowhere_px, np.zeros(4), 1.0, np.full(29, np.inf),
                                twist_cos_sin)
        frame = run_stages([self._person], [self._person.begin(seen, None, stamp_ns)])[0]
        assert frame is not None and frame.solution is not None  # the last of STAGES solves
        offsets_m = self._solver.skeleton.offsets(frame.betas)
        joints_m, _ = forward_kinematics(frame.solution.rotmat, offsets_m)
        return replace(frame.solution, joints_m=joints_m)
