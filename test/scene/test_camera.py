"""The camera model against OpenCV, and the position of a body in front of it."""

import cv2
from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera, solve_root
import numpy as np
import pytest
from scenes import observe_body, random_pose

MATRIX = np.array([[600.0, 0, 330], [0, 610.0, 235], [0, 0, 1]])
LENSES = {
    'none': ('plumb_bob', []),
    'webcam': ('plumb_bob', [0.12, -0.24, 0.002, -0.001, 0.05]),
    'wide': ('plumb_bob', [-0.36, 0.11, 0.001, 0.0005, 0.0]),
    'rational': ('rational_polynomial', [0.4, -0.3, 0.001, 0.0006, 0.02, 0.7, -0.2, 0.06]),
    'wide rational': ('rational_polynomial', [
        0.93, 0.173, 0.0005, -0.0003, 0.0033, 1.243, 0.3825, 0.0232]),
    'thin prism': ('rational_polynomial', [
        0.4, -0.3, 0.001, 0.0006, 0.02, 0.7, -0.2, 0.06, 0.01, -0.004, -0.008, 0.003]),
    'tilted': ('rational_polynomial', [
        0.93, 0.173, 0.0005, -0.0003, 0.0033, 1.243, 0.3825, 0.0232,
        0.001, -0.0004, -0.0008, 0.0003, 0.02, -0.03]),
    'fisheye': ('equidistant', [-0.01, 0.04, -0.03, 0.006])}


@pytest.fixture(params=LENSES, name='lens')
def lens_fixture(request):
    model, distortion = LENSES[request.param]
    return Camera(MATRIX, 640, 480, np.array(distortion), model)


@pytest.fixture
def points():
    rng = np.random.default_rng(3)
    z = rng.uniform(1, 8, 200)
    return np.stack([rng.uniform(-0.45, 0.45, 200) * z, rng.uniform(-0.35, 0.35, 200) * z, z], -1)


def test_projection_equals_opencv(lens, points):
    zero = np.zeros(3)
    if lens.model == 'equidistant':
        expected, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, MATRIX,
                                                lens.distortion)
    else:
        expected, _ = cv2.projectPoints(points, zero, zero, MATRIX, lens.distortion)
    assert np.allclose(lens.project(points), expected[:, 0], atol=1e-6)


def test_rays_undo_the_projection(lens, points):
    rays = lens.rays(lens.project(points))
    assert np.allclose(rays, points / points[:, 2:], atol=1e-4)


@pytest.mark.parametrize('name', ['wide rational', 'tilted'])
def test_rays_of_a_wide_lens(name):
    """At 60 degrees off the axis, where adding what is missing does not converge."""
    model, distortion = LENSES[name]
    lens = Camera(MATRIX, 640, 480, np.array(distortion), model)
    angle = np.linspace(0, 2 * np.pi, 25)
    rays = np.stack([1.73 * np.cos(angle), 1.73 * np.sin(angle), np.ones(25)], axis=-1)
    assert np.allclose(lens.rays(lens.project(rays)), rays, atol=1e-5)


def test_a_part_of_the_image_sees_the_same_rays(lens, points):
    part = lens.cropped(100, 60, 320, 240)
    assert np.allclose(part.project(points) + [100, 60], lens.project(points))
    assert (part.width, part.height) == (320, 240) and lens.cropped(0, 0, 640, 480) is lens


def test_behind_the_camera_is_nan_and_shapes_broadcast(lens):
    pixels = lens.project([[[0, 0, -1.0], [0, 0, 0.0]], [[0, 0, 2.0], [0.1, 0, 2.0]]])
    assert pixels.shape == (2, 2, 2)
    assert np.isnan(pixels[0]).all() and np.isfinite(pixels[1]).all()


def test_field_of_view():
    camera = Camera.from_fov(640, 480, 90.0)
    assert np.allclose(camera.project([[1, 0, 1], [-1, 0, 1], [0, 0, 1]]),
                       [[640, 240], [0, 240], [320, 240]])
    assert camera.source == 'fov'


def test_resized_sees_the_same_rays(lens, points):
    half = lens.resized(320, 240)
    assert np.allclose(half.project(points) * 2, lens.project(points))
    assert lens.resized(640, 480) is lens


@pytest.mark.parametrize('options, message', [
    ({'matrix': np.zeros((3, 3))}, 'K is'),
    ({'matrix': np.full((3, 3), np.nan)}, 'K is'),
    ({'matrix': np.eye(4)}, 'K is'),
    ({'model': 'thin_prism'}, 'thin_prism'),
    ({'distortion': np.ones(9)}, 'plumb_bob .*5 .*9'),
    ({'distortion': np.array([np.inf])}, 'inf'),
    ({'width': 0}, '0x480')])
def test_implausible_values_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        Camera(**{'matrix': MATRIX, 'width': 640, 'height': 480, **options})


def test_zeros_beyond_the_model_are_accepted():
    assert len(Camera(MATRIX, 640, 480, np.zeros(14)).distortion) == 5


@pytest.mark.parametrize('root', [[0, 0, 2], [1.0, -0.3, 5], [-0.5, 0.2, 12]])
def test_root_is_found_exactly_from_a_perfect_view(lens, root):
    rotmat = random_pose(np.random.default_rng(1))[0]
    seen = observe_body(rotmat, np.array(root, float), lens)
    found = solve_root(seen.joints_m, seen.keypoints_px, np.ones(29), lens)
    assert np.allclose(found, root, atol=2e-3 * root[2])


def plain_least_squares(joints_m, pixels, camera):
    """Return the root by the same equations, with the same weight for every joint."""
    (u, v, _), x = camera.rays(pixels).T, joints_m.astype(float)
    one, zero = np.ones(29), np.zeros(29)
    rows = np.concatenate([np.stack([one, zero, -u], 1), np.stack([zero, one, -v], 1)])
    return np.linalg.lstsq(rows, np.concatenate([u * x[:, 2] - x[:, 0], v * x[:, 2] - x[:, 1]]),
                           rcond=None)[0]


def test_root_is_robust_to_outliers_and_noise(camera):
    """Three joints 90 px off do a third of the harm they would, and under 5 % of the way."""
    rng = np.random.default_rng(5)
    root = np.array([0.4, 0.1, 4.0])
    errors, plain = [], []
    for pose in random_pose(rng, 20):
        seen = observe_body(pose, root, camera)
        pixels = seen.keypoints_px + rng.normal(size=(29, 2)) * 1.5
        pixels[[20, 22, 25]] += 90
        errors.append(np.linalg.norm(
            solve_root(seen.joints_m, pixels, np.ones(29), camera) - root))
        plain.append(np.linalg.norm(plain_least_squares(seen.joints_m, pixels, camera) - root))
    assert np.median(errors) < min(0.05 * root[2], 0.33 * np.median(plain))


def test_root_ignores_joints_without_weight(camera):
    root = np.array([0.0, 0.0, 3.0])
    seen = observe_body(random_pose(np.random.default_rng(2))[0], root, camera)
    pixels, weights = seen.keypoints_px.copy(), np.ones(29)
    pixels[7], weights[7] = np.nan, 0
    pixels[8], weights[8] = 1e4, 0
    assert np.allclose(solve_root(seen.joints_m, pixels, weights, camera), root, atol=1e-3)


def test_no_root_from_too_little(camera):
    seen = observe_body(random_pose(np.random.default_rng(2))[0], np.array([0, 0, 3.0]), camera)
    weights = np.zeros(29)
    weights[:2] = 1
    assert solve_root(seen.joints_m, seen.keypoints_px, weights, camera) is None
    assert solve_root(seen.joints_m, np.full((29, 2), np.nan), np.ones(29), camera) is None


@pytest.mark.parametrize('change, word', [
    ({'fx': 1e300}, 'focal'), ({'fx': 1e-300}, 'focal'), ({'cx': 1e300}, 'centre'),
    ({'skew': -1e300}, 'centre'), ({'d': [1e300]}, 'distortion'), ({'last': 0.0}, 'centre')])
def test_impossible_finite_values_are_refused(change, word):
    """They lead to NaN and LinAlgError in later steps."""
    fx, cx, skew = (change.get(name, good) for name, good in
                    (('fx', 500.0), ('cx', 320.0), ('skew', 0.0)))
    matrix = [[fx, skew, cx], [0, 500, 240], [0, 0, change.get('last', 1.0)]]
    with pytest.raises(InputError, match=word):
        Camera(np.array(matrix), 640, 480, np.array(change.get('d', [0.0])))


def test_pixels_without_a_ray():
    """Where a calibration folds back there is no ray; the root follows from the other joints."""
    camera = Camera(np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), 640, 480,
                    np.array([-0.9, 0, 0, 0, 0]))
    rays = camera.rays([[0, 0], [320, 240], [321, 240]])
    assert np.isnan(rays[0, :2]).all() and np.isfinite(rays[1:]).all()
    joints = np.random.default_rng(1).normal(size=(29, 3)) * 0.05
    pixels = camera.project(joints + [0, 0, 3.0])
    pixels[0] = 0, 0
    assert np.allclose(solve_root(joints, pixels, np.ones(29), camera), [0, 0, 3], atol=0.05)


def test_a_strong_distortion_has_rays():
    camera = Camera(np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), 640, 480,
                    np.array([-0.9, 4000.0, 0, 0, 0]))
    pixels = np.array([[0, 0], [320, 240], [321, 240], [639, 479]])
    assert np.allclose(camera.project(camera.rays(pixels)), pixels, atol=1e-3)
