"""Calibration files of ROS: reading, writing, errors with file and key."""

from types import SimpleNamespace

from camera_infos import write_camera_file
import cv2
from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
from niki_ros.sources.camera_file import camera_for_source, camera_from_yaml
import numpy as np
import pytest
import yaml

WRITTEN_BY_ROS = """
image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: [438.783367, 0.000000, 305.593336, 0.000000, 437.302876, 243.738352, 0, 0, 1]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.361976, 0.110510, 0.001014, 0.000505, 0.000000]
rectification_matrix:
  rows: 3
  cols: 3
  data: [0.99, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: [393.653800, 0, 322.797939, 0, 0, 393.653800, 241.090902, 0, 0, 0, 1, 0]
"""

# the 14 coefficients of depthai's calibration of a wide lens
OAK_D_W = [0.93, 0.173, 0.0005, -0.0003, 0.0033, 1.243, 0.3825, 0.0232, 0, 0, 0, 0, 0.002, -0.003]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / 'camera.yaml'
    file.write_text(WRITTEN_BY_ROS)
    return file


def change(path, **values):
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **values}))


def test_read(path):
    camera = camera_from_yaml(path)
    assert (camera.width, camera.height, camera.model, camera.source) == (
        640, 480, 'plumb_bob', 'file')
    assert camera.matrix[0, 0] == 438.783367 and camera.matrix[1, 2] == 243.738352
    assert np.allclose(camera.distortion, [-0.361976, 0.110510, 0.001014, 0.000505, 0])


@pytest.mark.parametrize('model, distortion', [
    ('plumb_bob', [0.1, -0.02, 0.001, 0.002, 0.003]),
    ('rational_polynomial', [0.1, 0.2, 0.001, 0.002, 0.03, 0.3, 0.04, 0.005]),
    ('equidistant', [0.01, 0.02, -0.003, 0.004])])
def test_written_and_read_again(tmp_path, model, distortion):
    before = Camera(np.array([[500.1, 0, 320], [0, 501.2, 240], [0, 0, 1]]), 640, 480,
                    np.array(distortion), model)
    write_camera_file(before, tmp_path / 'camera.yaml')
    after = camera_from_yaml(tmp_path / 'camera.yaml')
    assert np.array_equal(before.matrix, after.matrix)
    assert np.array_equal(before.distortion, after.distortion)
    assert (after.width, after.height, after.model) == (640, 480, model)


@pytest.mark.parametrize('key, value, message', [
    ('camera_matrix', None, 'camera_matrix.data'),
    ('camera_matrix', {'data': [1, 2, 3]}, 'camera_matrix.data has 3 numbers'),
    ('camera_matrix', {'data': ['a'] * 9}, 'camera_matrix.data'),
    ('distortion_coefficients', {'rows': 1}, 'distortion_coefficients.data'),
    ('image_width', None, 'image_width is None'),
    ('image_height', -3, 'image_height is -3')])
def test_refused_with_file_and_key(path, key, value, message):
    change(path, **{key: value})
    with pytest.raises(InputError, match='camera.yaml') as error:
        camera_from_yaml(path)
    assert message in str(error.value)


@pytest.mark.parametrize('key, value, message', [
    ('distortion_model', 'fisheye9', 'fisheye9'),
    ('distortion_coefficients', {'data': [1.0] * 9}, 'D has 9'),
    ('distortion_coefficients', {'data': [float('nan')] * 5}, 'nan'),
    ('distortion_coefficients', {'data': [-9e5, 0, 0, 0, 0]}, '-900000.0')])
def test_k_is_used_without_an_unusable_d(path, caplog, key, value, message):
    change(path, **{key: value})
    camera = camera_from_yaml(path)
    assert camera.matrix[0, 0] == 438.783367 and not camera.distortion.any()
    assert 'camera.yaml' in caplog.text and message in caplog.text


@pytest.mark.parametrize('model, numbers, meant', [
    ('fisheye', [0.01, 0.02, -0.003, 0.004], 'equidistant'),
    ('Kannala Brandt4', [0.01, 0.02, -0.003, 0.004, 0.0], 'equidistant'),
    ('rational_polynomial', OAK_D_W, 'rational_polynomial'),
    ('plumb_bob', OAK_D_W, 'rational_polynomial'),
    ('double_sphere', [0.0] * 6, 'plumb_bob'), (None, [0.1, -0.02, 0, 0, 0], 'plumb_bob')])
def test_names_of_other_tools(path, caplog, model, numbers, meant):
    change(path, distortion_model=model, distortion_coefficients={'data': numbers})
    camera = camera_from_yaml(path)
    assert camera.model == meant and not caplog.text
    assert np.array_equal(camera.distortion[:4], numbers[:4])


def test_images_of_another_size_or_aspect_ratio(path):
    half = camera_for_source(path, SimpleNamespace(name='a.mp4', width=320, height=240))
    assert half.matrix[0, 0] == pytest.approx(438.783367 / 2)
    with pytest.raises(InputError, match='640x480.* a.mp4 .*640x360'):
        camera_for_source(path, SimpleNamespace(name='a.mp4', width=640, height=360))


def test_rectified_images_use_the_projection_matrix(path):
    camera = camera_from_yaml(path, rectified=True)
    assert camera.matrix[0, 0] == 393.653800 and not camera.distortion.any()


@pytest.mark.parametrize('value', [0.0, float('nan')])
def test_without_k_the_projection_matrix_is_used(path, value):
    change(path, camera_matrix={'data': [value] * 9})
    assert camera_from_yaml(path).matrix[0, 0] == 393.653800
    change(path, projection_matrix={'data': [0] * 12})
    with pytest.raises(InputError, match='camera.yaml'):
        camera_from_yaml(path)


@pytest.mark.parametrize('key', ['distortion_coefficients', 'distortion_model'])
def test_k_is_used_without_the_other_values(path, key):
    change(path, **{key: None})
    camera = camera_from_yaml(path)
    assert camera.matrix[0, 0] == 438.783367
    assert camera.distortion.any() == (key == 'distortion_model')


@pytest.mark.parametrize('text', ['', '- 1', 'a: [', '\x00'])
def test_other_files_are_refused(path, text):
    path.write_text(text)
    with pytest.raises(InputError, match='camera.yaml'):
        camera_from_yaml(path)


def test_missing_file_and_missing_key(path):
    with pytest.raises(InputError, match='nowhere.yaml'):
        camera_from_yaml(path.with_name('nowhere.yaml'))
    path.write_text('image_width: 640')
    with pytest.raises(InputError, match='camera_matrix.data'):
        camera_from_yaml(path)


def test_file_of_opencv(tmp_path):
    """FileStorage writes it, with the keys of OpenCV's calibration sample."""
    path = tmp_path / 'opencv.yml'
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write('image_width', 640)
    storage.write('image_height', 480)
    storage.write('camera_matrix', np.array([[900.0, 0, 320], [0, 905, 240], [0, 0, 1]]))
    storage.write('distortion_coefficients', np.array([[0.1, -0.05, 0.001, 0.0, 0.0]]))
    storage.release()
    camera = camera_from_yaml(path)
    assert camera.matrix[0, 0] == 900 and camera.matrix[1, 1] == 905
    assert np.allclose(camera.distortion[:3], [0.1, -0.05, 0.001])


def test_error_of_invalid_yaml_is_one_line(tmp_path):
    (tmp_path / 'c.ini').write_text('[image]\nwidth\n640\n')
    with pytest.raises(InputError, match='YAML') as error:
        camera_from_yaml(tmp_path / 'c.ini')
    assert '\n' not in str(error.value)
