"""What hostile traffic once brought down, each by itself."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib

import cv2
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.common.errors import InputError
from niki_ros.common.settings import PipelineConfig
from niki_ros.images.pixels import encoded_size, rgb_from_jpeg
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera, solve_root
from niki_ros.solvers import load_solver
import numpy as np
import pytest
from scenes import FACING, observe_body, ScriptedObserver


def picture(kind, width, height) -> bytes:
    """Return an encoded grey picture."""
    return cv2.imencode(kind, np.full((height, width, 3), 90, np.uint8))[1].tobytes()


def test_few_bytes_that_claim_gigabytes_are_not_decoded():
    """631 bytes of JPEG took 2.7 GB and 15 s; the size stands in the file's head."""
    jpeg = picture('.jpg', 16, 16)
    at = jpeg.index(b'\xff\xc0')
    bomb = jpeg[:at + 5] + struct.pack('>HH', 30_000, 30_000) + jpeg[at + 9:]
    header = struct.pack('>IIBBBBB', 30_000, 30_000, 8, 2, 0, 0, 0)
    png = (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + b'IHDR' + header
           + struct.pack('>I', zlib.crc32(b'IHDR' + header)))
    for data in (bomb, png):
        assert len(data) < 1000
        with pytest.raises(InputError, match='30000x30000'):
            rgb_from_jpeg(data)


@pytest.mark.parametrize('data, size', [
    (picture('.jpg', 33, 18), (33, 18)), (picture('.png', 18, 33), (18, 33)),
    (b'\xff\xd8\xff\xff\xff' + picture('.jpg', 5, 6)[3:], (5, 6)), (b'', None),
    (b'\xff\xd8', None), (b'\x89PNG\r\n\x1a\n', None), (b'\xff\xd8\xff\xe0\x00\x00' * 9, None),
    (b'\xff\xd8\xff\xda\x00\x08' + bytes(20), None), (picture('.bmp', 8, 8), None)])
def test_size_in_the_head_of_a_file(data, size):
    """As libjpeg finds it: over filling and segments; what is neither JPEG nor PNG has none."""
    assert encoded_size(data) == size
    if size:
        assert rgb_from_jpeg(data).shape == (*size[::-1], 3)


@pytest.mark.parametrize('change, word', [
    ({'fx': 1e300}, 'focal'), ({'fx': 1e-300}, 'focal'), ({'cx': 1e300}, 'centre'),
    ({'skew': -1e300}, 'centre'), ({'d': [1e300]}, 'distortion'), ({'last': 0.0}, 'centre')])
def test_finite_numbers_of_no_camera_are_refused(change, word):
    """They gave NaN and LinAlgError later; ten images of that ended the node."""
    fx, cx, skew = (change.get(name, good) for name, good in
                    (('fx', 500.0), ('cx', 320.0), ('skew', 0.0)))
    matrix = [[fx, skew, cx], [0, 500, 240], [0, 0, change.get('last', 1.0)]]
    with pytest.raises(InputError, match=word):
        Camera(np.array(matrix), 640, 480, np.array(change.get('d', [0.0])))


def test_a_lens_that_does_not_hold_out_there():
    """Where a calibration folds back there is no ray, and the root comes from the other joints."""
    camera = Camera(np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), 640, 480,
                    np.array([-0.9, 0, 0, 0, 0]))
    rays = camera.rays([[0, 0], [320, 240], [321, 240]])
    assert np.isnan(rays[0, :2]).all() and np.isfinite(rays[1:]).all()
    joints = np.random.default_rng(1).normal(size=(29, 3)) * 0.05
    pixels = camera.project(joints + [0, 0, 3.0])
    pixels[0] = 0, 0
    assert np.allclose(solve_root(joints, pixels, np.ones(29), camera), [0, 0, 3], atol=0.05)


def test_a_lens_that_bends_too_much_has_its_rays_all_the_same():
    camera = Camera(np.array([[300.0, 0, 320], [0, 300, 240], [0, 0, 1]]), 640, 480,
                    np.array([-0.9, 4000.0, 0, 0, 0]))
    pixels = np.array([[0, 0], [320, 240], [321, 240], [639, 479]])
    assert np.allclose(camera.project(camera.rays(pixels)), pixels, atol=1e-3)


@pytest.mark.parametrize('text, word', [
    ('a: [1,\n', 'bad.yaml'), (None, 'bad.yaml'),
    ('/**:\n  ros__parameters:\n    tracking.keep_s: [1, "a"]\n', 'same type'),
    ('/**:\n  ros__parameters:\n    tracking.keep_s: .nan\n', 'tracking.keep_s is nan'),
    ('/**:\n  ros__parameters:\n    trackin.keep_s: 1\n', 'did you mean')])
def test_a_parameter_file_that_cannot_be_read_is_one_line(tmp_path, text, word):
    """It was a traceback through rclpy."""
    pytest.importorskip('rclpy')
    file = tmp_path / 'bad.yaml'
    if text is not None:
        file.write_text(text)
    environment = {key: value for key, value in os.environ.items()
                   if key != '_ROS_WHEELS_BOOTSTRAP_COMPLETE'}
    done = subprocess.run(
        [sys.executable, '-m', 'niki_ros.ros.pose_node', '--ros-args', '--params-file', file],
        env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and 'Traceback' not in done.stderr, done.stderr
    assert word in done.stderr and 'niki_pose: ' in done.stderr


def test_an_observation_that_is_no_person_leaves_the_track_alone():
    """One NaN, and the track would be NaN for ever; the person is predicted meanwhile."""
    camera = Camera.from_fov(640, 480, 60.0)
    rotmat = rotmat_from_rotvec(np.zeros((24, 3)))
    rotmat[0] = FACING
    bad = {2: ('joints_m', np.nan), 3: ('sigma_200mm', np.inf), 4: ('sigma_200mm', -1e30),
           5: ('box_px', np.nan), 6: ('joints_m', 1e30)}

    def script(stamp_ns):
        seen = observe_body(rotmat, np.array([0.0, 0.0, 3.0]), camera)
        name, value = bad.get(stamp_ns // 10**7, (None, None))
        if name:
            getattr(seen, name).flat[0] = value
        return [seen]
    pipeline = Pipeline(ScriptedObserver(script), load_solver('analytic'), PipelineConfig())
    image = np.zeros((480, 640, 3), np.uint8)
    for index in range(1, 9):
        bodies = pipeline.process(image, camera, index * 10**7)
        assert [body.id for body in bodies] == [1]
        assert np.allclose(bodies[0].root_m, [0, 0, 3], atol=0.02)
        assert ('observation_invalid' in pipeline.faults) == (index in bad)
