"""HybrIK as a front end: conversions of a crop, boxes, and optional outputs."""

from engine_graphs import spot_graph
from niki_ros.common.errors import InputError, ModelError
from niki_ros.models.model_folder import write_model_folder
from niki_ros.observers.crop import Crop, joints_from_uvd, SIZE_PX
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.hybrik import HybrikNetwork
from niki_ros.scene.camera import Camera
import numpy as np
import pytest

CAMERA = Camera(np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]]), 1280, 720)
SCALE, DEPTH_M = 0.5, 2.2


OUTPUTS = {
    'uvd': ((29, 3), 0.0, np.tile([[1, 0, 0], [0, 1, 0]], 29)), 'sigma': ((29,), 0.1, 0.0),
    'twist_cos_sin': ((23, 2), [1.0, 0.0], 0.0), 'betas': ((10,), 0.25, 0.0),
    'camera_scale': ((1,), SCALE, 0.0)}
"""Of a network that sees all joints where the image is bright, at the middle depth."""


def heat_folder(path, **changes):
    return write_model_folder(path, spot_graph(SIZE_PX, OUTPUTS), {
        'name': 'heat', 'kind': 'hybrik', 'normalisation': {
            'mean': [0, 0, 0], 'std': [1, 1, 1], 'depth_m': DEPTH_M}, **changes})


@pytest.fixture
def observer(tmp_path):
    """Return an observer whose joints are where the image is white."""
    return FollowingObserver(HybrikNetwork(heat_folder(tmp_path / 'm').path), None)


def dot(x, y, size=9, shape=(720, 1280)):
    """Return a black image with a white square around pixel (x, y)."""
    image = np.zeros((*shape, 3), np.uint8)
    image[max(y - size // 2, 0):y + size // 2 + 1, max(x - size // 2, 0):x + size // 2 + 1] = 255
    return image


@pytest.mark.parametrize('box', [(500, 200, 700, 600), (0, 0, 300, 400), (-80, 300, 250, 800)])
@pytest.mark.parametrize('spot', [(0.5, 0.5), (0.3, 0.4), (0.62, 0.71)])
def test_keypoints_are_at_the_bright_pixel(observer, box, spot):
    x0, y0, x1, y1 = box
    x, y = round(x0 + spot[0] * (x1 - x0)), round(y0 + spot[1] * (y1 - y0))
    if not (5 < x < 1270 and 5 < y < 710):
        pytest.skip('the spot is outside the image')
    (seen,) = observer.observe(dot(x, y), CAMERA, 0, [box])
    cell_px = Crop.around(box).side_px / 64
    assert np.abs(seen.keypoints_px - [x, y]).max() < cell_px
    # the distance follows from the size of the crop
    focal = 900.0
    distance = focal / (Crop.around(box).side_px * SCALE)
    root = CAMERA.rays(seen.keypoints_px[0]) * distance
    np.testing.assert_allclose(CAMERA.project(root), seen.keypoints_px[0], atol=1e-6)
    assert np.abs(seen.joints_m).max() < 1e-9


def test_observation_has_twist_shape_and_errors(observer):
    boxes = [(100, 100, 300, 500), (600, 100, 900, 600)]
    first, second = observer.observe(dot(200, 300), CAMERA, 0, boxes)
    assert first.joints_m.shape == (29, 3) and first.keypoints_px.shape == (29, 2)
    assert first.twist_cos_sin.shape == (23, 2) and first.betas.shape == (10,)
    np.testing.assert_allclose(first.sigma_200mm, 0.1, atol=1e-6)
    assert first.score == second.score == pytest.approx(0.9, abs=1e-6)
    assert first.keypoint_sigma_px.shape == (29,) and (first.keypoint_sigma_px >= 1).all()
    facts = observer.describe()
    assert facts['observer'] == 'hybrik' and facts['observer_library'] == 'onnxruntime'
    observer.close()


def test_boxes_follow_the_joints_until_reset(observer):
    assert observer.observe(dot(640, 360), CAMERA, 0) == []
    for step in range(8):
        boxes = [(540, 260, 740, 460)] if step == 0 else None
        (seen,) = observer.observe(dot(640 + 10 * step, 360), CAMERA, step, boxes)
        assert abs(seen.keypoints_px[0, 0] - (640 + 10 * step)) < 6
    assert seen.box_px[0] > 600, 'the box went along'
    observer.reset()
    assert observer.observe(dot(640, 360), CAMERA, 9) == []


def test_crop_and_image_are_inverse():
    crop = Crop.around((10, 20, 110, 420))
    points = np.random.RandomState(0).uniform(-100, 800, (50, 2))
    np.testing.assert_allclose(crop.image_from_crop(crop.crop_from_image(points)), points)
    np.testing.assert_allclose(crop.image_from_crop([128, 128]), [60, 220])
    np.testing.assert_allclose(crop.image_from_uv([0.5, -0.5]), [60 + 250, 220 - 250])


@pytest.mark.parametrize('side', [90.0, 256.0, 700.0])
def test_sampling_of_a_ramp(side):
    x, y = np.meshgrid(np.arange(640), np.arange(480))
    image = np.stack([x * 255 / 640, y * 255 / 480, x * 0], axis=-1).astype(np.float32)
    crop = Crop(np.array([300.0, 240.0]), side)
    sampled = crop.sample(image)
    assert sampled.shape == (SIZE_PX, SIZE_PX, 3)
    grid = np.stack(np.meshgrid(np.arange(SIZE_PX), np.arange(SIZE_PX)), axis=-1)
    pixels = crop.image_from_crop(grid)
    inside = ((pixels >= 0) & (pixels <= [639, 479])).all(-1)
    np.testing.assert_allclose(sampled[inside][:, 0], pixels[inside][:, 0] * 255 / 640, atol=1e-2)
    np.testing.assert_allclose(sampled[inside][:, 1], pixels[inside][:, 1] * 255 / 480, atol=1e-2)
    outside = ((pixels < -1) | (pixels > [640, 480])).any(-1)
    assert (sampled[outside] == 0).all()


def test_round_trip_through_the_crop():
    # output of a perfect network: u, v from the pixel, d from the depth
    rng = np.random.RandomState(1)
    joints = rng.uniform(-0.8, 0.8, (29, 3)) + [1.2, -0.3, 5.0]
    joints[0] = [1.2, -0.3, 5.0]
    crop = Crop.around((700, 100, 1100, 600))
    pixels = CAMERA.project(joints)
    uv = (pixels - crop.center_px) / crop.side_px
    uvd = np.concatenate([uv, (joints[:, 2:] - 5.0) / DEPTH_M], axis=1)
    scale = 900.0 / (crop.side_px * 5.0)
    found, where = joints_from_uvd(uvd, crop, CAMERA, scale, DEPTH_M)
    np.testing.assert_allclose(found, joints, atol=1e-9)
    np.testing.assert_allclose(where, pixels, atol=1e-9)


@pytest.mark.parametrize('box', [(0, 0, 0, 10), (5, 5, 1, 9), (0, 0, np.nan, 3)])
def test_invalid_boxes_are_refused(box, observer):
    with pytest.raises(InputError, match='x0 < x1'):
        Crop.around(box)
    if np.isfinite(box).all():
        assert observer.observe(dot(10, 10), CAMERA, 0, [box]) == []
    else:
        with pytest.raises(InputError, match='boxes_px'):
            observer.observe(dot(10, 10), CAMERA, 0, [box])


def test_wrong_models_and_images_are_refused(tmp_path, observer):
    with pytest.raises(ModelError, match="kind 'niki'"):
        HybrikNetwork(heat_folder(tmp_path / 'a', kind='niki').path)
    with pytest.raises(ModelError, match='normalisation'):
        HybrikNetwork(heat_folder(tmp_path / 'b', normalisation={'mean': [0]}).path)
    with pytest.raises(InputError, match='uint8'):
        observer.observe(np.zeros((10, 10), np.uint8), CAMERA, 0)
