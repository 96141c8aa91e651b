"""Recording of the shipped front end on drawn people."""

import argparse
from dataclasses import replace
from types import SimpleNamespace

from niki_ros.benchmarks.check_images import check_images
from niki_ros.common.errors import InputError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.observers.occlusion import with_occluded_joints_hidden
from niki_ros.scene.camera import Camera
from niki_training.cli import data_observe
from niki_training.front_end import observe
from niki_training.front_end.landmark_correction import read_samples
from niki_training.front_end.observe import (
    ClipRecorder,
    observation_arrays,
    with_recomputed_observations,
)
from niki_training.render.shards import write_shard
import numpy as np
import pytest

PICTURES, FRAMES, STEP_PX = (3, 8), 5, 2
# its axis is not in the middle of the image
CAMERA = Camera([[700.0, 0, 400], [0, 700, 150], [0, 0, 1]], 832, 312)


def drawn(number: int) -> np.ndarray:
    """Return an image (312, 832, 3) of two people who move to the right, both side by side."""
    both = np.hstack([check_images()[k].image_rgb for k in PICTURES])
    return np.ascontiguousarray(np.roll(both, number * STEP_PX, axis=1))


def shard_of(observations) -> dict:
    return {'image_size': np.array([[CAMERA.width, CAMERA.height]]),
            'camera_matrix': np.float32(CAMERA.matrix)[None],
            **{key: array[None] for key, array in observation_arrays(observations).items()}}


@pytest.fixture(scope='module')
def seen():
    front_end = load_observer(apply_settings(PipelineConfig(), {'observer.max_people': 2}))
    found = [front_end.observe(drawn(t), CAMERA, t * observe.FRAME_NS) for t in range(FRAMES)]
    front_end.close()
    assert [len(people) for people in found] == [2] * FRAMES
    return [sorted(people, key=lambda one: one.box_px[0]) for people in found]


@pytest.fixture(scope='module')
def recorder():
    one = ClipRecorder()
    yield one
    one.close()


@pytest.fixture(scope='module')
def looked(seen, recorder):
    return [recorder.observe([
        SimpleNamespace(image_rgb=drawn(t), keypoints_px=both[k].keypoints_px)
        for t, both in enumerate(seen)], CAMERA, 2) for k in range(2)]


@pytest.mark.parametrize('person', [0, 1])
def test_what_is_recorded_is_what_the_pipeline_sees(seen, looked, person):
    for both, one in zip(seen, looked[person]):
        for key in ('joints_m', 'sigma_200mm', 'keypoints_px', 'own_joints_m', 'box_px'):
            np.testing.assert_array_equal(getattr(one, key), getattr(both[person], key))
        limbs = one.landmarks[11:17] * (CAMERA.width, CAMERA.height)
        assert np.median(np.linalg.norm(limbs - one.keypoints_px[[16, 17, 18, 19, 20, 21]],
                                        axis=1)) < 0.1 * np.ptp(one.keypoints_px[:, 1])
        assert ((one.landmarks_seen >= 0) & (one.landmarks_seen <= 1)).all()


@pytest.mark.parametrize('person', [0, 1])
def test_observations_are_recomputed_from_a_shard(looked, person):
    shard = shard_of(looked[person])
    changed = {**shard, **{key: np.zeros_like(shard[key]) for key in (
        'obs_joints_m', 'obs_sigma', 'obs_keypoints_px', 'obs_lengths_m')}}
    again = with_recomputed_observations(changed)
    assert again.keys() == shard.keys() and shard['obs_found'].all()
    for key, array in shard.items():
        np.testing.assert_allclose(again[key], array, rtol=1e-5, atol=1e-5, err_msg=key)


def test_older_shards_are_turned_to_the_hips(looked):
    """Older shards do not hold the direction of the camera of the landmarks."""
    shard = shard_of(looked[0])
    older = {key: array for key, array in shard.items()
             if key not in ('obs_landmarks_ray', 'obs_covered')}
    again = with_recomputed_observations(older)
    assert again.keys() == older.keys()
    apart = np.linalg.norm(again['obs_joints_m'] - shard['obs_joints_m'], axis=-1)
    assert 1e-5 < apart.mean() < 0.01


def test_joints_behind_another_person_stay_hidden(looked):
    one = looked[0][-1]
    points = one.keypoints_px.mean(0) + 1.3 * (one.keypoints_px - one.keypoints_px.mean(0))
    box = np.concatenate([points.min(0), points.max(0)])
    behind, _ = with_occluded_joints_hidden([one, replace(one, keypoints_px=points, box_px=box)])
    assert not one.covered.any() and behind.covered.sum() > 5
    assert (behind.sigma_200mm[behind.covered] == 1).all()
    again = with_recomputed_observations(shard_of([behind, None]))
    np.testing.assert_allclose(again['obs_sigma'][0, 0], behind.sigma_200mm, atol=1e-6)
    np.testing.assert_allclose(again['obs_keypoint_sigma_px'][0, 0], behind.keypoint_sigma_px,
                               rtol=1e-5)
    assert again['obs_found'].tolist() == [[True, False]]
    assert np.isnan(again['obs_joints_m'][0, 1]).all() and (again['obs_sigma'][0, 1] == 1).all()


def test_an_empty_clip_after_another_has_no_person(looked, recorder):
    blank = np.full((CAMERA.height, CAMERA.width, 3), 90, np.uint8)
    frame = SimpleNamespace(image_rgb=blank, keypoints_px=looked[0][-1].keypoints_px)
    seen = recorder.observe([frame] * 3, CAMERA, 2)
    assert seen == [None] * 3
    assert not observation_arrays(seen)['obs_found'].any()


def test_shards_are_what_the_errors_are_learned_from(looked, tmp_path):
    clip = {key: array[0] for key, array in shard_of(looked[0]).items()}
    own = np.stack([one.own_joints_m for one in looked[0]])
    write_shard(tmp_path / 'train-00000.npz', [
        {**clip, 'joints_m': own + (0, 0, 3), 'keypoints_px': clip['obs_keypoints_px']}])
    samples = read_samples(tmp_path, 'train')
    assert len(samples.inputs) == FRAMES
    # both in the axes of a camera that points at the person
    np.testing.assert_allclose(samples.observed_m, samples.true_m, atol=1e-5)


def test_only_front_ends_that_are_known(capsys):
    with pytest.raises(InputError, match='landmarks'):
        ClipRecorder('mediapipe')
    parser = argparse.ArgumentParser()
    data_observe.add_arguments(parser)
    with pytest.raises(SystemExit):
        parser.parse_args(['a.tar', '--observer', 'mediapipe'])
    assert 'landmarks' in capsys.readouterr().err
