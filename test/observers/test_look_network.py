"""The project's own network: axes and errors of its observations, following, and its folders."""

from engine_graphs import spot_graph
from niki_ros import load_pipeline
from niki_ros.body.keypoints import JOINT_OF_KEYPOINT, KEYPOINT_IS_JOINT, KEYPOINTS
from niki_ros.body.skeleton import JOINT, MIRROR_29, open_skeleton
from niki_ros.common.errors import ModelError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.models.model_folder import write_model_folder
from niki_ros.models.model_store import graphs_of
from niki_ros.observers import load_observer
from niki_ros.observers.following import FollowingObserver
from niki_ros.observers.landmark_network import LANDMARKS, MIRROR_POINTS
from niki_ros.observers.landmark_observation import SIGMA_VISIBLE
from niki_ros.observers.look_network import HEADS, LookNetwork, mirrored_output, OUTPUTS
from niki_ros.observers.mirroring import FollowedView
from niki_ros.observers.person_network import Workload
from niki_ros.scene.camera import Camera
from niki_ros.scene.person_view import PersonView
import numpy as np
import pytest

CAMERA = Camera(np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]]), 640, 480)
BOX = (220, 100, 420, 400)
JOINTS_M = open_skeleton().rest_joints_m * (1, -1, -1)  # facing the camera
FROM_HIPS_M = (JOINTS_M - JOINTS_M[[1, 2]].mean(0))[:, :2]
UV = np.float32(FROM_HIPS_M / np.linalg.norm(FROM_HIPS_M, axis=1).max() / (2 * 1.25))
ACROSS_M, DEPTH_M, UV_ERROR = 0.02, 0.05, 0.01
SPOT = np.eye(2)
HIPS_MIDDLE, BODY_TOP = 33, 34


def landmarks():
    """Return landmarks (39, 5) around the middle of the crop, a body that nearly fills it."""
    rng = np.random.default_rng(0)
    marks = np.hstack([rng.uniform(60, 200, (39, 2)), np.zeros((39, 1)), np.full((39, 2), 6)])
    marks[[HIPS_MIDDLE, BODY_TOP], :2] = (128, 128), (128, 128 - 256 / (2 * 1.25))
    return marks


def folder(path, kind='look', **changed):
    """Write the model folder of a network that sees the rest pose around the bright spot."""
    rng = np.random.default_rng(0)
    values = {
        'landmarks': landmarks().ravel(), 'world': rng.normal(size=117) * 0.3, 'flag': 0.9,
        'peaks': np.tile([0.0, 0.0, 1.0], LANDMARKS),
        'uv': UV, 'uv_sigma': UV_ERROR, 'joints': JOINTS_M,
        'joints_sigma': np.tile([ACROSS_M, DEPTH_M], (29, 1)), 'visible': 0.9,
        'twist': np.tile([2.0, 0.0], (23, 1)), 'present': 0.95, **changed}
    points = np.zeros((39, 5, 2))
    points[:, :2] = 256 * SPOT
    weights = {'uv': np.tile(SPOT, 29), 'landmarks': points.reshape(-1, 2).T}
    graph = spot_graph(256, {name: (shape, values[name], weights.get(name, 0.0))
                             for name, shape in OUTPUTS.items()})
    manifest = {'name': 'spot', 'kind': kind, 'size_px': 256}
    return write_model_folder(path, graph, manifest).path


def spot(x=320, y=240, size=24):
    """Return a black image with a white square."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[y - size:y + size, x - size:x + size] = 255
    return image


def estimate(path, view, image=None):
    network = LookNetwork(path)
    (found,) = network.estimate(spot() if image is None else image, CAMERA, [view])
    return found


def ray_of(x, y):
    return CAMERA.rays(np.array([[x, y]], float))[0]


@pytest.mark.parametrize('roll_rad', [0.0, 0.7, -2.5])
@pytest.mark.parametrize('at', [(320, 240), (150, 330)])
def test_joints_and_keypoints_are_in_axes_of_the_camera(tmp_path, at, roll_rad):
    view = PersonView.towards(ray_of(*at), 0.4, roll_rad)
    one = estimate(folder(tmp_path / 'm'), view, spot(*at)).observation
    np.testing.assert_allclose(one.joints_m, JOINTS_M @ view.camera_from_view.T, atol=1e-5)
    np.testing.assert_allclose(one.keypoints_px[[1, 2]].mean(0), at, atol=1.5)
    # to the person's left, which a roll turns in the image
    left = one.keypoints_px[JOINT['left_hip']] - one.keypoints_px[JOINT['right_hip']]
    across = (view.camera_from_view @ (1.0, 0.0, 0.0))[:2] * np.sign(UV[1, 0] - UV[2, 0])
    assert left @ across > 0.9 * np.linalg.norm(left) * np.linalg.norm(across)
    np.testing.assert_allclose(one.twist_cos_sin, np.tile([1.0, 0.0], (23, 1)))


def test_expected_errors_are_deviations_and_hidden_joints_have_no_position(tmp_path):
    visible = np.full(29, 0.9)
    visible[JOINT['left_knee']] = 0.2
    errors = np.tile([ACROSS_M, DEPTH_M], (29, 1))
    errors[JOINT['left_knee']] = 0.5
    one = estimate(folder(tmp_path / 'm', visible=visible, joints_sigma=errors),
                   PersonView.towards(ray_of(320, 240), 0.4)).observation
    sigma_m = np.sqrt((2 * ACROSS_M**2 + DEPTH_M**2) / 3) / 0.8
    assert one.sigma_200mm[0] == pytest.approx(sigma_m / 0.2, rel=1e-5)
    assert one.sigma_200mm[JOINT['left_knee']] == 1 and one.hidden.sum() == 1
    assert np.flatnonzero(np.isinf(one.keypoint_sigma_px)).tolist() == [JOINT['left_knee']]
    assert one.keypoint_sigma_px[0] == pytest.approx(UV_ERROR * 0.4 * 700 / 0.8, rel=1e-5)


def test_of_lifted_joints_depth_and_sigma_are_those_of_the_landmarks(tmp_path):
    network = LookNetwork(folder(tmp_path / 'm'), own_joints=False)
    view = PersonView.towards(ray_of(320, 240), 0.4)
    (found,) = network.estimate(spot(), CAMERA, [view])
    np.testing.assert_allclose(found.observation.sigma_200mm, SIGMA_VISIBLE, atol=0.05)
    np.testing.assert_allclose(found.observation.keypoints_px[[1, 2]].mean(0), (320, 240),
                               atol=1.5)


def test_the_next_crop_is_that_of_the_landmarks(tmp_path):
    view = PersonView.towards(ray_of(310, 250), 0.5, 0.8)
    path = folder(tmp_path / 'm')
    found = estimate(path, view)
    np.testing.assert_allclose(CAMERA.project(found.next_crop.middle_ray[None])[0], (320, 240),
                               atol=1.5)
    other = folder(tmp_path / 'other', uv=UV / 2)
    assert estimate(other, view).next_crop.width == found.next_crop.width


def both_runs(path, view=None):
    """Return the estimates of a followed person by one run and by two."""
    network = LookNetwork(path)
    view = view or PersonView.towards(ray_of(340, 240), 0.4)
    (first,) = network.estimate(spot(), CAMERA, [view])
    assert isinstance(first.next_crop, FollowedView)
    found = []
    for runs in (1, 2):
        network.set_workload(Workload(1, 1, None, 0.0, runs=runs))
        found += network.estimate(spot(), CAMERA, [first.next_crop])
    network.close()
    return found


def symmetric(points, signs, others=MIRROR_29):
    """Return points that are the same in a mirror image."""
    return (points + points[list(others)] * signs) / 2


def test_a_mirror_image_of_a_symmetric_body_says_the_same(tmp_path):
    marks, world_m = landmarks(), np.random.default_rng(0).normal(size=(39, 3))
    marks[:, :2] = 128 + symmetric(marks[:, :2] - 128, (-1, 1), MIRROR_POINTS)
    one, both = both_runs(folder(
        tmp_path / 'm', joints=symmetric(JOINTS_M, (-1, 1, 1)), uv=symmetric(UV, (-1, 1)),
        landmarks=marks.ravel(), world=symmetric(world_m, (-1, 1, 1), MIRROR_POINTS).ravel()))
    np.testing.assert_allclose(both.observation.joints_m, one.observation.joints_m, atol=1e-5)
    np.testing.assert_allclose(both.observation.keypoints_px, one.observation.keypoints_px,
                               atol=1.0)


def test_outputs_of_a_mirrored_crop_exchange_the_sides():
    rng = np.random.default_rng(0)
    row = {name: rng.normal(size=shape) for name, shape in HEADS.items()}
    once = {name: mirrored_output(name, value) for name, value in row.items()}
    left, right = JOINT['left_wrist'], JOINT['right_wrist']
    assert once['uv'][left].tolist() == [-row['uv'][right, 0], row['uv'][right, 1]]
    np.testing.assert_allclose(once['joints'][left], row['joints'][right] * (-1, 1, 1))
    assert once['visible'][left] == row['visible'][right]
    np.testing.assert_allclose(once['twist'][left - 1], row['twist'][right - 1] * (1, -1))
    for name, value in row.items():
        np.testing.assert_array_equal(mirrored_output(name, once[name]), value)
        several = mirrored_output(name, np.stack([value, value]))
        np.testing.assert_array_equal(several, np.stack([once[name]] * 2))


def test_keypoints_of_the_lifter_are_the_joints_and_the_other_landmarks(tmp_path):
    one = estimate(folder(tmp_path / 'm'), PersonView.towards(ray_of(320, 240), 0.4)).observation
    keypoints = one.keypoint_rays
    knee = KEYPOINTS.index('left_knee')
    np.testing.assert_allclose(CAMERA.project(keypoints.rays[knee][None])[0],
                               one.keypoints_px[JOINT['left_knee']], atol=1e-3)
    off_px = np.linalg.norm(CAMERA.project(keypoints.rays)
                            - one.keypoints_px[JOINT_OF_KEYPOINT], axis=1)
    assert (off_px[KEYPOINT_IS_JOINT] < 1e-3).all() and (off_px[~KEYPOINT_IS_JOINT] > 1).all()
    assert (keypoints.seen > 0.9).all()


def test_the_presence_tells_whether_a_person_is_followed(tmp_path):
    for present, count in ((0.95, 1), (0.2, 0)):
        network = LookNetwork(folder(tmp_path / str(present), present=present))
        observer = FollowingObserver(network, None)
        for frame in range(3):
            seen = observer.observe(spot(), CAMERA, frame, [BOX] if frame == 0 else None)
        assert len(seen) == count
        observer.close()


def test_a_body_that_depends_on_the_crop_disagrees_in_larger_crops(tmp_path):
    network = LookNetwork(folder(tmp_path / 'm'))
    estimates = network.estimate(spot(), CAMERA, [network.crop_of(BOX, CAMERA)] * 2)
    found = network.disagreement(spot(), CAMERA, estimates)
    assert (found.sum(axis=1) > 0.2).all() and found[0] == pytest.approx(found[1])
    assert network.disagreement(spot(), CAMERA, estimates[:1], [1]) == pytest.approx(found[0, 1])


@pytest.mark.parametrize('lifter', ['lift', ''])
def test_it_runs_in_the_pipeline(tmp_path, lifter):
    pipeline = load_pipeline(observer='look', solver='analytic', **{
        'observer.path': str(folder(tmp_path / 'm')), 'observer.detector': '',
        'lifter.name': lifter})
    for frame in range(5):
        boxes = [BOX] if frame == 0 else None
        bodies = pipeline.process(spot(), CAMERA, 33_000_000 * frame, boxes_px=boxes)
    (body,) = bodies
    assert 0.5 < body.root_m[2] < 12
    assert pipeline.describe()['observer'] == 'look'
    assert bool(pipeline.describe().get('lifter_library')) == bool(lifter)
    pipeline.close()


def test_a_missing_model_is_an_error_with_the_remedy(tmp_path):
    config = apply_settings(PipelineConfig(), {
        'observer.name': 'look', 'observer.model': 'lite'})
    for load in (load_observer, graphs_of):
        with pytest.raises(ModelError, match='look-lite.*niki-train look.*observer.path'):
            load(config)
    config = apply_settings(config, {'observer.path': str(folder(tmp_path / 'm'))})
    assert [role for role, _ in graphs_of(config)] == ['detector', 'landmarks', 'lifter', 'solver']
    with pytest.raises(ModelError, match='niki-train look'):
        LookNetwork(folder(tmp_path / 'other', kind='landmarks'))
