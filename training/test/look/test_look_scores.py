"""Scores of networks are zero for the truth and see errors; views of measured joints fit."""

from types import SimpleNamespace

from drawn_crops import DrawnCrops
from niki_ros.body.skeleton import JOINT, MIRROR_29
from niki_ros.images.pixels import jpeg_from_rgb
from niki_training.evaluate.video_truth import LIMB_JOINTS
from niki_training.look.landmarks import OLD_OUTPUTS
from niki_training.look.photographs import COCO_LIMBS, Photographs
from niki_training.look.report import draw_report, text_report
from niki_training.look.scores import (
    photograph_scores,
    predict_of_both,
    reliability,
    rendered_scores,
    video_scores,
)
from niki_training.look.video_crops import (
    cut_video,
    exact_view,
    read_video_crops,
    VideoCrops,
)
import numpy as np
import pytest
import torch

COUNT = 400
GREY = jpeg_from_rgb(np.full((256, 256, 3), 120, np.uint8))


def exact(count=COUNT, seed=0):
    """Return the outputs of a network without errors, and the crops of video they are of."""
    rng = np.random.default_rng(seed)
    joints_m = 0.5 * rng.normal(size=(count, 29, 3))
    joints_m -= joints_m[:, :1]
    uv = joints_m[..., :2] / 3
    found = {'joints_m': joints_m, 'uv': uv, 'uv_sigma': np.full((count, 29), 0.01),
             'joints_sigma_m': np.full((count, 29, 2), 0.05),
             'visible': np.ones((count, 29)), 'present': np.ones(count)}
    video = VideoCrops(
        [GREY] * count, kind=np.repeat(['followed', 'passer-by'], count // 2),
        camera=np.arange(count) % 4, limbs_m=joints_m[:, LIMB_JOINTS] + [0.1, 0.2, 3.0],
        uv=uv[:, LIMB_JOINTS], is_covered=np.zeros((count, 12), bool))
    return found, video


def test_the_truth_has_no_error_and_a_shifted_joint_has():
    found, video = exact()
    scores = video_scores(found, video)
    assert set(scores) == {'followed', 'passer-by'}
    assert all(abs(scores['followed'][name]) < 1e-6
               for name in ('mpjpe_mm', 'pa_mpjpe_mm', 'uv_percent'))
    assert 'covered_mm' not in scores['passer-by']
    found['joints_m'][:, JOINT['left_wrist'], 2] += 0.12
    video.is_covered[COUNT // 2:, -2] = True  # left wrist
    scores = video_scores(found, video)
    assert scores['followed']['mpjpe_mm'] == pytest.approx(10.0)
    assert scores['followed']['cameras_mm'] == [10.0] * 4
    assert scores['passer-by']['covered_mm'] == pytest.approx(120.0)


def test_expected_errors_that_are_right_are_reliable():
    found, video = exact(2000)
    rng = np.random.default_rng(1)
    sigma_m = rng.uniform(0.01, 0.1, (2000, 29))
    found['joints_sigma_m'] = np.repeat(sigma_m[..., None], 2, axis=2)
    error_m = rng.laplace(size=(2000, 29, 3)) * sigma_m[..., None]
    error_m[:, LIMB_JOINTS[:2]] = 0.0  # errors are about the hips
    found['joints_sigma_m'][:, LIMB_JOINTS[:2]] = 1e-4
    found['joints_m'] = found['joints_m'] + error_m
    report = reliability(found, video)
    assert report['correlation'] > 0.5 and report['off_percent'] < 25
    twice = {**found, 'joints_sigma_m': 2 * found['joints_sigma_m']}
    assert reliability(twice, video)['off_percent'] > 40


def test_scores_of_rendered_crops_tell_hidden_people_apart():
    truth = DrawnCrops(6).arrays
    truth['hidden_percent'][:2], truth['present'][5] = 60.0, 0.0
    found = {'joints_m': np.float64(truth['joints_m']), 'uv': np.float64(truth['uv']),
             'visible': np.where(truth['visible'], 3.0, -3.0), 'present': np.full(6, 2.0)}
    found['joints_m'][:2, 1:] += [0.0, 0.0, 0.024]
    scores = rendered_scores(found, truth)
    assert (scores['crops'], scores['hidden_crops']) == (5, 2)
    assert scores['hidden_mm'] == pytest.approx(23.0, abs=1e-3)  # the pelvis has no error
    assert scores['mpjpe_mm'] == pytest.approx(2 / 5 * 23.0, abs=1e-3)
    assert scores['visible_percent'] == 100
    assert scores['present_percent'] == pytest.approx(100 * 5 / 6)
    assert scores['sides_percent'] > 0


def test_a_joint_is_right_within_a_twentieth_of_the_box():
    keypoints = np.zeros((2, 17, 3))
    keypoints[0, COCO_LIMBS[2]] = 0.1, 0.0, 2
    keypoints[0, COCO_LIMBS[3]] = 0.2, 0.0, 2
    keypoints[1, COCO_LIMBS[4]] = 0.0, 0.0, 2
    keypoints[1, COCO_LIMBS[5]] = 0.0, 0.0, 1  # hidden: does not count
    old = [np.zeros((2, count)) for count in OLD_OUTPUTS.values()]
    people = Photographs([GREY] * 2, keypoints, *old, np.array([True, False]), np.full(2, 0.5),
                         np.ones(2, bool), 'full')
    uv = np.zeros((2, 29, 2))
    uv[0, LIMB_JOINTS[2]] = 0.1, 0.02  # 4 % of the box
    uv[0, LIMB_JOINTS[3]] = 0.2, 0.03  # 6 %
    scores = photograph_scores({'uv': uv}, people)
    assert scores['joints'] == 3 and scores['near_percent'] == pytest.approx(100 * 2 / 3)
    assert scores['taught_percent'] == pytest.approx(50)


def test_the_view_of_measured_joints_shows_the_whole_body_upright():
    # in the middle of the image, x right and y down: shoulders above the hips
    limbs_m = np.array([[x, y, 4.0] for y, half in ((0.0, 0.1), (0.45, 0.1), (0.9, 0.1),
                                                    (-0.5, 0.2), (-0.5, 0.5), (-0.5, 0.75))
                        for x in (half, -half)])
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    view = exact_view(limbs_m @ turn.T, 1.1)
    in_view = limbs_m @ turn.T @ view.camera_from_view
    uv = in_view[:, :2] / in_view[:, 2:] / view.width
    np.testing.assert_allclose(uv[:2].mean(0), 0.0, atol=1e-6)
    assert (np.abs(uv) < 0.4).all() and np.abs(uv).max() > 0.3
    assert abs(uv[6:8].mean(0)[0]) < 0.01 and uv[6, 1] < -0.15


def test_crops_are_kept_in_a_file_and_a_report_is_drawn(tmp_path):
    found, video = exact(8)
    video.write(tmp_path / 'video.npz')
    kept = read_video_crops(tmp_path / 'video.npz')
    assert np.array_equal(kept.limbs_m, video.limbs_m) and kept.crops().shape == (8, 256, 256, 3)
    assert len(kept.thinned(2, ('followed',)).jpeg) == 2
    report = {name: {'video': video_scores(found, kept), 'reliability': reliability(found, kept)}
              for name in ('one', 'two')}
    draw_report(report, tmp_path / 'report.png')
    assert (tmp_path / 'report.png').stat().st_size > 1000
    assert text_report(report).count('\n') > 5


@pytest.mark.long
def test_crops_of_a_trial_are_centred_on_the_person(trial):
    crops = cut_video(trial)
    assert set(crops.kind) == {'followed', 'exact'} and len(crops.jpeg) == 200
    # in space: the middle of two points in the image is not that of the points
    middle_m = crops.limbs_m[crops.kind == 'exact', :2].mean(1)
    assert np.abs(middle_m[:, :2] / middle_m[:, 2:]).max() < 1e-5
    hips_uv = crops.uv[:, :2].mean(1)
    assert np.median(np.abs(hips_uv[crops.kind == 'followed'])) < 0.05


def test_with_mirror_images_errors_of_one_side_are_halved():
    """A network that is wrong about the left wrist in the crop is right in its mirror image."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (3, 256, 256, 3), dtype=np.uint8)
    true = {name: value[:3] for name, value in exact()[0].items()}
    joints, uv = true['joints_m'], true['uv']
    mirror, left = list(MIRROR_29), JOINT['left_wrist']
    rows = {image.tobytes(): row for row, image in enumerate(images)}

    def net(batch):
        seen = (255 * batch.permute(0, 2, 3, 1)).round().to(torch.uint8).numpy()
        is_plain = seen[0].tobytes() in rows
        order = [rows[(one if is_plain else one[:, ::-1]).tobytes()] for one in seen]
        out = {name: value[order].copy() for name, value in true.items()}
        if not is_plain:
            out['joints_m'] = joints[order][:, mirror] * (-1, 1, 1)
            out['uv'] = uv[order][:, mirror] * (-1, 1)
        out['joints_m'][:, left, 2] += 0.1
        return SimpleNamespace(**{name: torch.tensor(value) for name, value in out.items()})
    found = predict_of_both(net, images)
    np.testing.assert_allclose(found['uv'], uv, atol=1e-9)
    off_m = found['joints_m'] - joints
    np.testing.assert_allclose(off_m[:, [left, mirror[left]], 2], 0.05, atol=1e-9)
    assert np.count_nonzero(np.abs(off_m) > 1e-9) == 6
