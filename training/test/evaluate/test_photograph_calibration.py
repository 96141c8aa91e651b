"""Confidence and sigma against annotated joints of photographs."""

from types import SimpleNamespace

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton
from niki_ros.scene.camera import Camera
from niki_training.evaluate.photograph_calibration import (
    draw,
    off_across_m,
    PhotographCalibration,
    text,
)
from niki_training.evaluate.video_truth import LIMB_JOINTS
import numpy as np
import pytest

CAMERA = Camera.from_fov(640, 480, 60.0)
ROOT_M = np.array([0.2, 0.1, 3.0])


@pytest.fixture(scope='module')
def standing_m():
    """Return the joints (29, 3) of a standing person about the pelvis."""
    rotvec = np.zeros((24, 3))
    rotvec[0] = np.pi, 0, 0
    return forward_kinematics(rotmat_from_rotvec(rotvec), open_skeleton().offsets())[0]


def labels_of(joints_m):
    limbs = (joints_m + ROOT_M)[LIMB_JOINTS]
    return np.concatenate([CAMERA.project(limbs), np.full((12, 1), 2.0)], axis=1)


def person(labels):
    return SimpleNamespace(limbs=labels)


def collected(joints_m, labels, confidence=0.9, sigma_200mm=0.25, people=5):
    body = SimpleNamespace(joints_m=joints_m + ROOT_M, root_m=ROOT_M,
                           confidence=np.full(24, confidence))
    lifted = SimpleNamespace(joints_m=joints_m, sigma_200mm=np.full(29, sigma_200mm))
    calibration = PhotographCalibration()
    for _ in range(people):
        calibration.add(body, lifted, person(labels), CAMERA)
    return calibration


def test_errors_are_metres_about_the_hips(standing_m):
    moved = standing_m.copy()
    moved[:, 1] += 0.05  # a common shift is no error about the hips
    moved[LIMB_JOINTS[10], 0] += 0.1
    off_m = off_across_m((moved + ROOT_M)[LIMB_JOINTS], labels_of(standing_m), CAMERA)
    assert off_m[8] == pytest.approx(0.1, abs=0.01)
    assert np.delete(off_m, 8).max() < 0.01


def test_exact_joints_are_all_within_the_limit(standing_m):
    report = collected(standing_m, labels_of(standing_m)).report()
    assert (report['people'], report['joints']) == (5, 50)
    row, = report['confidence']['all']
    assert (row['expected'], row['found'], row['joints']) == (pytest.approx(0.9), 1.0, 50)
    assert report['confidence']['seen'] == [row] and report['confidence']['hidden'] == []


def test_wrong_joints_lower_the_share_and_raise_the_error(standing_m):
    wrong = standing_m.copy()
    wrong[LIMB_JOINTS[2:7], 0] += 0.3
    report = collected(wrong, labels_of(standing_m)).report()
    row, = report['confidence']['all']
    assert row['found'] == pytest.approx(0.5)
    sigma, = report['sigma']
    assert sigma['expected_mm'] == pytest.approx(50.0)
    assert sigma['found_mm'] == pytest.approx(np.sqrt(0.5 * 300**2 / 2), rel=0.05)


def test_unknown_hips_and_unlabelled_joints_do_not_count(standing_m):
    labels = labels_of(standing_m)
    labels[4:, 2] = 0
    assert collected(standing_m, labels).report()['joints'] == 10
    labels[1, 2] = 0
    assert len(collected(standing_m, labels)) == 0


def test_no_people_give_an_empty_report_and_picture(tmp_path):
    report = PhotographCalibration().report()
    assert report['people'] == 0 and text(report)
    draw(report, tmp_path / 'empty.png')
    assert (tmp_path / 'empty.png').stat().st_size > 0
