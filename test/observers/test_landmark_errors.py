"""Correction of the average errors of the landmark network."""

from niki_ros.body.rotations import swing_rotmat
from niki_ros.common.errors import ModelError
from niki_ros.models.graph import sha256
from niki_ros.observers.landmark_errors import INPUTS, inputs, LandmarkErrors, SHIPPED
from niki_ros.observers.landmark_observation import observation_of
from niki_ros.scene.camera import Camera
import numpy as np
import pytest

SIZE = (640, 480)


@pytest.fixture
def landmarks():
    """Return random image positions (33, 2), metres (33, 3) and visibility (33,)."""
    rng = np.random.default_rng(3)
    world = rng.normal(0.0, 0.3, (33, 3))
    return 0.5 + 0.3 * world[:, :2], world, rng.random(33)


def _weights():
    with np.load(SHIPPED) as file:
        return {key: file[key] for key in file.files}


def test_batch_equals_single_runs(landmarks):
    errors = LandmarkErrors.read()
    one = errors(*landmarks)
    many = errors(*(np.stack([array, array]) for array in landmarks))
    for single, double, width in zip(one, many, (3, 2)):
        assert single.shape == (29, width) and np.isfinite(single).all()
        np.testing.assert_allclose(double[1], single, atol=1e-12)
    assert inputs(*landmarks).shape == (INPUTS,)
    assert errors.sha256 == sha256(SHIPPED.read_bytes())


def test_correction_is_rotated_with_the_ray_and_keeps_the_pelvis(landmarks):
    flat, world, visible = landmarks
    flat = flat + (0.3, 0.0)
    camera = Camera(np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]]), *SIZE)
    turn = swing_rotmat(np.array([0.0, 0, 1]), camera.rays(flat[23:25].mean(0) * SIZE))
    errors = LandmarkErrors.read()
    plain = observation_of(flat, world, visible, SIZE, turn)
    better = observation_of(flat, world, visible, SIZE, turn, errors)
    np.testing.assert_array_equal(better.uncorrected_m, plain.joints_m)
    np.testing.assert_array_equal(better.own_joints_m, plain.own_joints_m)
    assert plain.uncorrected_m is None
    assert np.abs(better.joints_m[0]).max() == 0
    here, share = errors(flat, world, visible)
    moved = (better.joints_m - plain.joints_m) + 0.0
    lengths = np.linalg.norm(here - here[0], axis=1)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), lengths, atol=1e-6)
    assert np.abs(moved - (here - here[0])).max() > 1e-3, 'not rotated'
    assert (better.sigma_200mm <= plain.sigma_200mm).all()
    assert (better.sigma_200mm[plain.sigma_200mm >= 1] == 1).all()
    assert better.sigma_200mm.dtype == plain.sigma_200mm.dtype
    box = better.box_px
    size_px = max(box[2] - box[0], box[3] - box[1])
    np.testing.assert_allclose(
        better.keypoints_px - plain.keypoints_px, share * size_px, atol=1e-3)


def test_output_for_implausible_landmarks_is_finite():
    for answer in LandmarkErrors.read()(
            np.full((33, 2), -1e6), np.full((33, 3), 1e4), np.zeros(33)):
        assert np.isfinite(answer).all()


@pytest.mark.parametrize('spoil', ['missing', 'truncated', 'no key', 'shape', 'nan', 'pickle'])
def test_other_files_are_refused(tmp_path, spoil):
    path, weights = tmp_path / 'weights.npz', _weights()
    if spoil == 'no key':
        del weights['bias1']
    elif spoil == 'shape':
        weights['weight1'] = weights['weight1'][:, :-1]
    elif spoil == 'nan':
        weights['bias0'][3] = np.nan
    elif spoil == 'pickle':
        weights['bias0'] = np.array([{}] * 128, dtype=object)
    if spoil != 'missing':
        np.savez(path, **weights)
    if spoil == 'truncated':
        path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelError, match='weights.npz'):
        LandmarkErrors.read(path)
