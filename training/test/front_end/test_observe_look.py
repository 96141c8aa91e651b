"""Recording of a network that looks at people, whose observations train the lifter."""

from types import SimpleNamespace

from niki_ros.benchmarks.check_images import check_images
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.observers import load_observer
from niki_ros.observers.landmark_errors import LandmarkErrors
from niki_ros.scene.camera import Camera
from niki_training.cli import data
from niki_training.front_end.observe import (
    ClipRecorder,
    FRAME_NS,
    observation_arrays,
    observation_at,
)
from niki_training.lift.rendered import RenderedWindows
from niki_training.look.export import write_look
from niki_training.look.network import LookConfig, LookNet
from niki_training.render.shards import write_shard
import numpy as np
import pytest

FRAMES = 3
IMAGE = check_images()[3].image_rgb
CAMERA = Camera.from_fov(IMAGE.shape[1], IMAGE.shape[0], 60.0)


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Return the model folder of an untrained network."""
    network = LookNet(LookConfig(size='lite', width=32, error_width=16))
    folder = tmp_path_factory.mktemp('look') / 'look-lite'
    write_look(network, folder, 'look-lite', {'training_data': 'none'})
    return folder


def pipeline_sees(settings: dict) -> list:
    """Return the observation of the first person in each image."""
    front_end = load_observer(apply_settings(PipelineConfig(), settings))
    seen = [front_end.observe(IMAGE, CAMERA, t * FRAME_NS)[0] for t in range(FRAMES)]
    front_end.close()
    return seen


@pytest.fixture(scope='module')
def looked(folder):
    """Return the recorded observations of a person."""
    person = pipeline_sees({'observer.model': 'lite'})[0]
    recorder = ClipRecorder('look', str(folder))
    frame = SimpleNamespace(image_rgb=IMAGE, keypoints_px=person.keypoints_px)
    found = recorder.observe([frame] * FRAMES, CAMERA, 1)
    recorder.close()
    return found


def shard_of(clip) -> dict:
    return {'image_size': np.array([IMAGE.shape[1::-1]]),
            'camera_matrix': np.float32(CAMERA.matrix)[None],
            **{key: array[None] for key, array in observation_arrays(clip, 'look').items()}}


def test_what_is_recorded_is_what_the_pipeline_sees(folder, looked):
    settings = {'observer.name': 'look', 'observer.path': str(folder), 'observer.max_people': 1}
    for one, recorded in zip(pipeline_sees(settings), looked):
        for key in ('joints_m', 'sigma_200mm', 'keypoints_px'):
            np.testing.assert_array_equal(getattr(recorded, key), getattr(one, key))


def test_an_observation_is_read_back_as_it_was_recorded(looked):
    assert None not in looked
    shard, errors = shard_of([*looked, None]), LandmarkErrors.read()
    for t, one in enumerate(looked):
        again = observation_at(shard, 0, t, errors)
        for key in ('joints_m', 'sigma_200mm', 'keypoints_px', 'keypoint_sigma_px', 'box_px',
                    'own_joints_m', 'lengths_m', 'length_sigma_m'):
            np.testing.assert_allclose(getattr(again, key), getattr(one, key), rtol=1e-5,
                                       err_msg=key)
        for own, wanted in zip(again.keypoint_rays, one.keypoint_rays):
            np.testing.assert_allclose(own, wanted, rtol=1e-5, atol=1e-6)
    assert shard['obs_found'].tolist() == [[True] * FRAMES + [False]]


def test_the_lifter_is_trained_on_what_was_recorded(looked, tmp_path):
    rest_m = open_skeleton().rest_joints_m + [0, 0, 3.0]
    clip = {key: array[0] for key, array in shard_of(looked).items()}
    truth = {'rotmat': np.broadcast_to(np.eye(3), (FRAMES, 24, 3, 3)),
             'joints_m': np.broadcast_to(rest_m, (FRAMES, 29, 3))}
    write_shard(tmp_path / 'train-00000.npz', [{**clip, **truth}])
    windows = RenderedWindows([tmp_path], 'train', open_skeleton())
    assert len(windows) >= FRAMES
    drawn = windows.draw(64, np.random.default_rng(0))
    assert drawn.windows.rays.isfinite().all() and drawn.windows.seen.max() > 0.5


def test_look_needs_a_model():
    with pytest.raises(InputError, match='needs a model'):
        ClipRecorder('look')


def test_a_model_without_a_front_end_is_refused(tmp_path, capsys):
    given = ['render', str(tmp_path / 'motion.npz'), '--out', str(tmp_path), '--model', 'mine']
    assert data.main(given) == 2
    assert '--observe' in capsys.readouterr().err
