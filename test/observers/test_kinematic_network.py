"""The kinematic front end: axes of its output, and its boxes."""

from engine_graphs import spot_graph
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ConfigError, ModelError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.models.model_folder import write_model_folder
from niki_ros.observers import load_observer
from niki_ros.observers.crop import Crop
from niki_ros.observers.crop_view import CropView
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.kinematic import KinematicNetwork
from niki_ros.scene.camera import Camera
import numpy as np
import pytest

CAMERA = Camera(np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]]), 640, 480)
SIZE, LOG_SCALE = 32, -1.2
JOINTS = open_skeleton().rest_joints_m * (1, -1, -1)
BODY = np.float32(JOINTS)


def folder(path, sigma=0.25, **changes):
    """Write the model folder of a network that sees the rest pose at the bright spot."""
    manifest = {'name': 'spot', 'kind': 'kinematic', 'size_px': SIZE, **changes}
    outputs = {'joints': ((29, 3), BODY, 0.0), 'sigma': ((29,), sigma, 0.0),
               'place': ((3,), [0, 0, LOG_SCALE], np.eye(2, 3))}
    return write_model_folder(path, spot_graph(SIZE, outputs), manifest).path


@pytest.fixture
def observer(tmp_path):
    """Return an observer that sees a standing person where the image is white."""
    return FollowingObserver(KinematicNetwork(folder(tmp_path / 'm')), None)


def spot(x, y, size=24):
    """Return a black image with a white square."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[y - size:y + size, x - size:x + size] = 255
    return image


@pytest.mark.parametrize('box', [(220, 100, 420, 400), (380, 40, 640, 380), (0, 200, 180, 480)])
def test_joints_are_in_camera_axes(observer, box):
    x, y = (box[0] + box[2]) // 2 + 10, (box[1] + box[3]) // 2 - 5
    (seen,) = observer.observe(spot(x, y), CAMERA, 0, [box])
    crop = Crop.around(box)
    view = CropView.of(crop, CAMERA)
    cell = crop.side_px / SIZE
    assert np.abs(seen.keypoints_px[0] - (x, y)).max() < 1.5 * cell
    np.testing.assert_allclose(seen.joints_m, BODY @ view.camera_from_view.T, atol=1e-5)
    # the root follows from joints and keypoints together
    depth = view.crops / np.exp(LOG_SCALE)
    root = view.root_m((seen.keypoints_px[0] - crop.center_px) / crop.side_px, LOG_SCALE)
    assert root @ view.camera_from_view[:, 2] == pytest.approx(depth, rel=1e-6)
    np.testing.assert_allclose(CAMERA.project(seen.joints_m + root), seen.keypoints_px, atol=1e-3)
    assert seen.score == pytest.approx(0.75, abs=1e-6)
    assert np.allclose(seen.sigma_200mm, 0.25) and seen.keypoint_sigma_px.shape == (29,)
    expected = 0.25 * 0.2 * np.exp(LOG_SCALE) * crop.side_px
    assert np.allclose(seen.keypoint_sigma_px, max(expected, 1.0))


def test_box_converges_to_the_person(observer):
    sizes = []
    for frame in range(12):
        boxes = [(0, 0, 640, 480)] if frame == 0 else None
        (seen,) = observer.observe(spot(330, 250), CAMERA, frame, boxes)
        sizes.append(seen.box_px[2] - seen.box_px[0])
    assert sizes[0] == 640 and sizes[-1] < 0.6 * sizes[0]


def test_no_person_without_known_joints(tmp_path):
    observer = FollowingObserver(KinematicNetwork(folder(tmp_path / 'm', sigma=0.95)), None)
    assert observer.observe(spot(300, 250), CAMERA, 0, [(200, 100, 420, 400)]) == []
    assert observer.observe(spot(300, 250), None, 1, [(200, 100, 420, 400)]) == []


def test_it_runs_in_the_pipeline(tmp_path):
    from niki_ros import load_pipeline
    pipeline = load_pipeline(observer='kinematic', solver='analytic', **{
        'observer.path': str(folder(tmp_path / 'm')), 'observer.detector': ''})
    for frame in range(5):
        boxes = [(0, 0, 640, 480)] if frame == 0 else None
        bodies = pipeline.process(spot(320, 240), CAMERA, 33_000_000 * frame, boxes_px=boxes)
    (body,) = bodies
    assert 0.5 < body.root_m[2] < 6
    assert pipeline.describe()['observer'] == 'kinematic'
    pipeline.close()


def test_wrong_settings_and_models_are_refused(tmp_path):
    with pytest.raises(ConfigError, match='niki-train kinematic'):
        load_observer(apply_settings(PipelineConfig(), {'observer.name': 'kinematic'}))
    with pytest.raises(ModelError, match="kind 'hybrik'"):
        KinematicNetwork(folder(tmp_path / 'a', kind='hybrik'))
    with pytest.raises(ModelError, match='size_px'):
        KinematicNetwork(folder(tmp_path / 'b', size_px='big'))
