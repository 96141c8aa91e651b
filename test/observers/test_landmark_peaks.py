"""Landmarks are taken to the peaks of their heat maps; low peaks are of hidden landmarks."""

from engine_graphs import spot_graph
from niki_ros.body.skeleton import JOINT
from niki_ros.models.model_folder import write_model_folder
from niki_ros.observers.landmark_network import LandmarkNetwork
from niki_ros.observers.mirroring import FollowedView
from niki_ros.scene.camera import Camera
import numpy as np
import pytest

CAMERA = Camera(np.array([[700.0, 0, 320], [0, 700, 240], [0, 0, 1]]), 640, 480)
IMAGE = np.full((480, 640, 3), 90, np.uint8)
BOX = (220, 100, 420, 400)
SIDES = {'shoulder': 11, 'elbow': 13, 'wrist': 15, 'hip': 23, 'knee': 25, 'ankle': 27}
"""Landmarks of the left side; those of the right side follow."""


def standing():
    """Return landmarks (39, 5), and in metres (39, 3), of a person who faces the camera."""
    points, world_m = np.zeros((39, 5)), np.zeros((39, 3))
    points[:, 3:] = 6  # logits: visible
    points[:, :2] = 128, 60
    for name, (across, down) in {
            'shoulder': (20, 80), 'elbow': (28, 105), 'wrist': (30, 128), 'hip': (14, 130),
            'knee': (14, 170), 'ankle': (14, 210)}.items():
        for side, sign in enumerate((1, -1)):
            at = SIDES[name] + side
            points[at, :2] = 128 + sign * across, down
            world_m[at, :2] = sign * across / 100, (down - 130) / 100
    for left, x, y in ((7, 5, 60), (17, 32, 135), (19, 31, 138), (21, 30, 134), (29, 14, 216),
                       (31, 18, 218)):
        points[[left, left + 1], :2] = [[128 + x, y], [128 - x, y]]
        world_m[[left, left + 1], :2] = [[x / 100, (y - 130) / 100], [-x / 100, (y - 130) / 100]]
    points[33, :2], points[34, :2] = (128, 130), (128, 30)
    return points, world_m


def network(path, peaks, top_px=30.0):
    """
    Return a network that sees :func:`standing` in every crop, with these peaks (33, 3).

    :param top_px: upper end of the body, which gives the next crop.
    """
    points, world_m = standing()
    points[34, 1] = top_px
    values = {'landmarks': points.ravel(), 'world': world_m.ravel(), 'flag': 0.95,
              'peaks': np.asarray(peaks, float).ravel()}
    shapes = {'landmarks': (195,), 'world': (117,), 'flag': (1,), 'peaks': (99,)}
    graph = spot_graph(256, {name: (shapes[name], values[name], 0.0) for name in shapes})
    return LandmarkNetwork(write_model_folder(
        path, graph, {'name': 'peaks', 'kind': 'landmarks', 'size_px': 256}).path)


@pytest.fixture
def seen(tmp_path):
    def observe(name, **changed):
        peaks = np.tile([0.0, 0.0, 0.7], (33, 1))
        for landmark, values in changed.items():
            peaks[int(landmark.lstrip('_'))] = values
        one = network(tmp_path / name, peaks)
        crop = one.crop_of(BOX, CAMERA)
        return one.estimate(IMAGE, CAMERA, [crop])[0], crop
    return observe


def test_a_joint_is_at_the_peak(seen):
    plain, crop = seen('plain')
    moved, _ = seen('moved', _15=(8.0, -4.0, 0.7))
    before, after = (one.observation.keypoints_px for one in (plain, moved))
    wrist = JOINT['left_wrist']
    px_per_crop_px = crop.width * 700 / 256
    np.testing.assert_allclose(after[wrist] - before[wrist], px_per_crop_px * np.array([8, -4]),
                               rtol=0.05)
    others = [JOINT[f'{side}_{name}'] for side in ('left', 'right')
              for name in ('hip', 'knee', 'ankle', 'shoulder', 'elbow')]
    np.testing.assert_allclose(after[others], before[others], atol=0.01)


def whole(crop, width):
    """Return the crop of a followed person, which had this width when the legs were seen."""
    return FollowedView(crop.camera_from_view, crop.camera_from_upright, crop.width,
                        whole_width=width)


@pytest.mark.parametrize(('hidden', 'width', 'low', 'high'), [
    ([25, 26, 27, 28], 1.0, 0.9, 1.0), ([25, 26, 27, 28], 0.0, 0.0, 0.65), ([], 1.0, 0.0, 0.65),
    ([27, 28], 1.0, 0.0, 0.65), ([23, 24, 25, 26, 27, 28], 1.0, 0.0, 0.65)])
def test_the_crop_does_not_shrink_while_only_the_legs_are_hidden(tmp_path, hidden, width, low,
                                                                 high):
    """The body seems to reach 60 px upwards from the hips, for which 150 px of 256 are enough."""
    peaks = np.tile([0.0, 0.0, 0.7], (33, 1))
    peaks[hidden, 2] = 0.0
    one = network(tmp_path / 'folded', peaks, top_px=70.0)
    crop = one.crop_of(BOX, CAMERA)
    crop = whole(crop, width * crop.width)
    assert low < one.estimate(IMAGE, CAMERA, [crop])[0].next_crop.width / crop.width < high


def test_the_width_with_the_legs_is_remembered(tmp_path):
    crop = network(tmp_path / 'seen', np.tile([0.0, 0.0, 0.7], (33, 1))).crop_of(BOX, CAMERA)
    peaks = np.tile([0.0, 0.0, 0.7], (33, 1))
    seen = network(tmp_path / 'whole', peaks).estimate(IMAGE, CAMERA, [crop])[0].next_crop
    assert seen.whole_width == seen.width
    peaks[[23, 25, 27], 2] = 0.0
    after = network(tmp_path / 'behind', peaks).estimate(IMAGE, CAMERA, [seen])[0].next_crop
    assert after.whole_width == seen.width


def test_in_a_mirrored_crop_the_peak_is_at_the_other_side(tmp_path):
    """What the network takes for the left wrist there is the right one, at the other side."""
    shift = np.tile([0.0, 0.0, 0.7], (33, 1))
    shift[15] = 8.0, 0.0, 0.7
    found = []
    for name, peaks in (('moved', shift), ('plain', np.tile([0.0, 0.0, 0.7], (33, 1)))):
        one = network(tmp_path / name, peaks)
        crop = one.crop_of(BOX, CAMERA)
        mirrored = FollowedView(crop.camera_from_view, crop.camera_from_upright, crop.width,
                                is_mirrored=True)
        found.append(one.estimate(IMAGE, CAMERA, [mirrored])[0].observation.keypoints_px)
    apart = found[0] - found[1]
    assert apart[JOINT['right_wrist']][0] < -3.0
    np.testing.assert_allclose(apart[JOINT['left_wrist']], 0.0, atol=0.01)


def test_joints_without_a_peak_are_hidden(seen):
    low = dict.fromkeys(('_25', '_27', '_29', '_31'), (0.0, 0.0, 0.1))
    (plain, _), (hidden, _) = seen('plain'), seen('hidden', **low)
    legs = [JOINT[name] for name in ('left_knee', 'left_ankle', 'left_big_toe')]
    arms = [JOINT[name] for name in ('left_elbow', 'right_elbow', 'right_knee')]
    assert not plain.observation.hidden[legs].any()
    assert hidden.observation.hidden[legs].all() and not hidden.observation.hidden[arms].any()
    assert np.isinf(hidden.observation.keypoint_sigma_px[legs]).all()
    keypoints = hidden.observation.keypoint_rays
    assert keypoints.seen[2] < 0.5 < keypoints.seen[3], 'of the lifter: knees'


def test_a_person_is_followed_by_the_visibility_alone(seen):
    (plain, _), (hidden, _) = seen('plain'), seen('hidden', **dict.fromkeys(
        (f'_{i}' for i in range(33)), (0.0, 0.0, 0.05)))
    assert hidden.observation.score == plain.observation.score
    np.testing.assert_array_equal(hidden.observation.box_px, plain.observation.box_px)
    assert hidden.next_crop.width == plain.next_crop.width
    assert hidden.presence == plain.presence
