"""CameraInfo messages of one camera, as different drivers send them."""

from types import SimpleNamespace as Record

from niki_ros.scene.camera import Camera
import numpy as np
import yaml

FOCAL = Camera.from_fov(640, 480, 60.0).matrix[0, 0]
K = [FOCAL, 0.0, 320.0, 0.0, FOCAL, 240.0, 0.0, 0.0, 1.0]
WIDE = [0.93, 0.173, 0.0005, -0.0003, 0.0033, 1.243, 0.3825, 0.0232] + [0.0] * 6


def info(k=K, d=(), model='plumb_bob', size=(640, 480), p=(), **fields):
    """Return the fields of a sensor_msgs/CameraInfo; P = K where it is not given."""
    k = [float(value) for value in k]
    p = p or [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    return Record(**{'width': size[0], 'height': size[1], 'k': k, 'd': [float(one) for one in d],
                     'p': [float(one) for one in p], 'r': np.eye(3).ravel().tolist(),
                     'distortion_model': model, 'binning_x': 0, 'binning_y': 0,
                     **region(0, 0, 0, 0), **fields})


def scaled(factor, shift=(0, 0)):
    """Return K of a sensor with the images as a part, or with larger images."""
    return [FOCAL * factor, 0, 320 * factor + shift[0], 0, FOCAL * factor, 240 * factor + shift[1],
            0, 0, 1]


def region(x, y, width, height):
    return {'roi': Record(x_offset=x, y_offset=y, width=width, height=height)}


# one camera, as different drivers describe it
SAME = {
    # realsense2_camera: five zeros; infrared: rectified by the device
    'realsense2_camera': info(d=[0.0] * 5),
    # T265 through the same driver: five numbers for a model that takes four
    'Kannala Brandt4': info(d=[0.0] * 5, model='Kannala Brandt4'),
    'zed': info(d=[0.0] * 5, model='rational_polynomial',
                p=[FOCAL, 0, 320, -60.0, 0, FOCAL, 240, 0, 0, 0, 1, 0]),
    # usb_cam, v4l2_camera, gscam: the file of camera_calibration, for the size that it was made at
    'v4l2_camera': info(d=[1e-9, 0, 0, 0, 0]),
    'gazebo': info(d=[0.0] * 5, p=[FOCAL, 0, 320, -0.0, 0, FOCAL, 240, 0, 0, 0, 1, 0]),
    'ros_gz': info(d=[0.0] * 5, p=[0.0] * 12),
    'no size': info(size=(0, 0)), 'no model': info(model=''),
    'unknown model': info(d=[0.0] * 8, model='double_sphere'),
    'region': info(scaled(1, (320, 200)), size=(1280, 960), **region(320, 200, 640, 480)),
    'region of unknown sensor': info(scaled(1, (320, 200)), size=(0, 0),
                                     **region(320, 200, 640, 480)),
    'region of everything': info(**region(0, 0, 640, 480)),
    'region left behind': info(**region(320, 200, 640, 480)),
    'binned': info(scaled(2), size=(1280, 960), binning_x=2, binning_y=2),
    'binned before it was said': info(binning_x=2, binning_y=2),
    'region, binned': info(scaled(2, (100, 60)), size=(1600, 1200), binning_x=2, binning_y=2,
                           **region(100, 60, 1280, 960)),
    'only P': info([0.0] * 9, p=[FOCAL, 0, 320, 0, 0, FOCAL, 240, 0, 0, 0, 1, 0]),
    'K is the identity': info(np.eye(3).ravel(),
                              p=[FOCAL, 0, 320, 0, 0, FOCAL, 240, 0, 0, 0, 1, 0]),
}
DOUBTED = {
    'camera_info_distortion': [
        info(d=[0.1] * 6, model='double_sphere'), info(d=[float('nan')] * 5),
        info(d=[0.1] * 20, model='rational_polynomial'), info(d=[0.1] * 9), info(d=[1e7]),
        info(d=[-9e4, 0, 0, 0, 0]),
        info([0.0] * 9, d=[0.1] * 5, p=[FOCAL, 0, 320, 0, 0, FOCAL, 240, 0, 0, 0, 1, 0])],
    'camera_info_size': [info(scaled(0.5), size=(320, 240)), info(scaled(3), size=(1920, 1440)),
                         info(scaled(2, (600, 0)), size=(2560, 960), **region(600, 0, 1280, 960))],
    'camera_info_shape': [
        info(scaled(1, (107, 0)), size=(854, 480)), info(scaled(1.5, (160, 0)), size=(1280, 720)),
        info([FOCAL, 0, 240, 0, FOCAL, 320, 0, 0, 1], size=(480, 640))]}


def write_camera_file(camera: Camera, path):
    """Write a camera as camera_calibration does."""
    matrices = {'camera_matrix': camera.matrix, 'distortion_coefficients': camera.distortion[None],
                'projection_matrix': np.hstack([camera.matrix, np.zeros((3, 1))])}
    path.write_text(yaml.safe_dump({
        'image_width': int(camera.width), 'image_height': int(camera.height),
        'distortion_model': camera.model,
        **{key: {'rows': len(matrix), 'cols': len(matrix[0]), 'data': matrix.ravel().tolist()}
           for key, matrix in matrices.items()}}), 'utf-8')
