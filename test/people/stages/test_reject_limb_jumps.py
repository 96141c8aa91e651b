"""Limb joints that jump."""

from niki_ros.people.stages.reject_limb_jumps import RejectLimbJumps
import numpy as np
from standing import ARM, LEGS, seen_at

DT = 1 / 30


def test_a_limb_that_jumps_is_hidden_until_it_is_plausible(camera):
    stage = RejectLimbJumps()
    stage.check(seen_at(camera), 0.0)
    wrong = seen_at(camera, sigma=0.7)
    wrong.joints_m[ARM] += np.float32(0.6)
    for _ in range(15):
        judged = stage.check(wrong, DT)
        assert (judged.sigma_200mm[ARM] == 1.0).all()
        assert np.isinf(judged.keypoint_sigma_px[ARM]).all()
        assert (judged.sigma_200mm[LEGS] < 1.0).all()
    assert stage.check(seen_at(camera), DT).sigma_200mm[ARM].max() < 1.0, 'back where it was'


def test_a_limb_in_good_view_is_soon_accepted_elsewhere(camera):
    stage, there = RejectLimbJumps(), seen_at(camera)
    stage.check(seen_at(camera), 0.0)
    there.joints_m[ARM] += np.float32(0.6)
    judged = [stage.check(there, DT).sigma_200mm[ARM].max() for _ in range(10)]
    assert judged[0] == 1.0 and judged[-1] < 1.0
