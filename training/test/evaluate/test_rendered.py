"""``niki-evaluate rendered``: the pipeline on recorded observations of rendered people."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.shape import lengths_between, resized_betas
from niki_ros.body.skeleton import open_skeleton
from niki_ros.scene.camera import Camera
from niki_training.evaluate.rendered import evaluate
import numpy as np

FRAMES, SIZE = 40, (640, 480)
CAMERA = Camera.from_fov(*SIZE, 60.0)


def shards_of(scale: float) -> dict:
    """Return a clip of a standing person, whom the front end takes for one of mean size."""
    skeleton = open_skeleton()
    rotvec = np.zeros((24, 3))
    rotvec[0], rotvec[16, 2], rotvec[17, 2] = (np.pi, 0, 0), -1.2, 1.2
    rotmat = rotmat_from_rotvec(rotvec)
    betas = resized_betas(np.zeros((1, 10)), np.log([scale]), skeleton)[0]
    true_m = forward_kinematics(rotmat, skeleton.offsets(betas))[0] + (0.0, 0.0, 3.0)
    seen_m, _ = forward_kinematics(rotmat, skeleton.offsets())
    pixels = CAMERA.project(true_m)
    one = {'joints_m': true_m, 'keypoints_px': pixels, 'visible': np.ones(29, bool),
           'hidden_percent': np.float64(0.0), 'obs_found': np.True_,
           'obs_joints_m': seen_m.astype(np.float32), 'obs_sigma': np.full(29, 0.2, np.float32),
           'obs_keypoints_px': pixels.astype(np.float32),
           'obs_keypoint_sigma_px': np.full(29, 2.0, np.float32),
           'obs_box_px': np.concatenate([pixels.min(0), pixels.max(0)]).astype(np.float32),
           'obs_score': np.float32(0.9), 'obs_lengths_m': lengths_between(seen_m[None])[0],
           'obs_length_sigma_m': np.full(34, 0.05)}
    clip = {key: np.repeat(np.asarray(value)[None, None], FRAMES, axis=1)
            for key, value in one.items()}
    return {**clip, 'image_size': np.array([SIZE]), 'camera_matrix': CAMERA.matrix[None]}


def test_a_measured_depth_tells_the_size_of_a_child():
    shards = shards_of(0.7)
    error_mm = [evaluate(shards, ['analytic'], depth=depth)['ways']['analytic']['mpjpe_mm']
                for depth in (False, True)]
    assert error_mm[0] > 100 and error_mm[1] < 30


def test_errors_of_the_stages_are_those_of_the_front_end_first():
    way = evaluate(shards_of(0.7), ['analytic'])['ways']['analytic']
    assert list(way['stages'])[0] == 'front end'
    off_mm = way['stages']['front end']
    assert off_mm['pa_mpjpe_mm'] < 1e-3 < off_mm['mpjpe_mm'], 'only the size is wrong'
    assert off_mm['across_mm'] > 0 and off_mm['legs_mm'] > off_mm['trunk_mm']
