"""What drivers say of their cameras: the same camera in every way of saying it, over DDS too."""

from __future__ import annotations

from niki_ros.common.errors import InputError
from niki_ros.scene.camera import Camera
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='no ROS 2 here')

from niki_ros.messages.joint_cloud import bodies_from_cloud  # noqa: E402
from niki_ros.messages.calibration import (  # noqa: E402, I100
    calibration_from_info,
    camera_from_calibration,
    is_rectified_topic,
)
from niki_ros.ros.conversions import image_from_rgb  # noqa: E402
from rclpy.parameter import Parameter  # noqa: E402
from ros_fixtures import (  # noqa: E402
    CAMERA,
    diagnostic_values,
    FRAME,
    GREY,
    running,
    T0,
    wait_for,
)
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest  # noqa: E402

FOCAL = CAMERA.matrix[0, 0]
K = [FOCAL, 0.0, 320.0, 0.0, FOCAL, 240.0, 0.0, 0.0, 1.0]
# what is assumed where camera_info is of no use must not be right by chance
ANOTHER_LENS = Parameter('camera.fov_deg', value=100.0)
WIDE = [0.93, 0.173, 0.0005, -0.0003, 0.0033, 1.243, 0.3825, 0.0232] + [0.0] * 6


def info(k=K, d=(), model='plumb_bob', size=(640, 480), p=(), **fields):
    """Return a CameraInfo; P = K where it is not given."""
    k = [float(value) for value in k]
    p = p or [*k[:3], 0.0, *k[3:6], 0.0, *k[6:], 0.0]
    return CameraInfo(width=size[0], height=size[1], k=k, d=[float(value) for value in d],
                      p=[float(value) for value in p], r=np.eye(3).ravel().tolist(),
                      distortion_model=model, **fields)


def scaled(factor, shift=(0, 0)):
    """Return K of a sensor of which the images are a part, or which they are made smaller from."""
    return [FOCAL * factor, 0, 320 * factor + shift[0], 0, FOCAL * factor, 240 * factor + shift[1],
            0, 0, 1]


def region(x, y, width, height):
    """Return the field roi."""
    return {'roi': RegionOfInterest(x_offset=x, y_offset=y, width=width, height=height)}


# one camera, said in the ways of the drivers
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


def camera(message, **options):
    """Return camera and faults for images of 640x480."""
    return camera_from_calibration(calibration_from_info(message), 640, 480, **options)


@pytest.mark.parametrize('name', SAME)
def test_every_way_of_saying_it_is_the_same_camera(name):
    found, faults = camera(SAME[name])
    assert not faults and (found.width, found.height) == (640, 480)
    assert np.allclose(found.matrix.ravel(), K, atol=1e-6)


@pytest.mark.parametrize('fault, message', [
    (fault, message) for fault, messages in DOUBTED.items() for message in messages])
def test_a_good_k_is_kept(fault, message):
    """Whatever is wrong beside it has a name, and a text with what was done."""
    found, faults = camera(message)
    assert list(faults) == [fault] and len(faults[fault]) < 500
    assert np.allclose(found.matrix.ravel(), K, atol=1.0)


def test_a_lens_with_12_or_14_numbers_is_that_of_8():
    """OAK-D W; and the same under the name plumb_bob, as OpenCV counts them."""
    points = np.array([[1.2, 0.5, 1.0], [-0.7, -0.6, 1.0]])
    wanted = Camera(np.reshape(K, (3, 3)), 640, 480, np.array(WIDE[:8]),
                    'rational_polynomial').project(points)
    for count, model in ((8, 'rational_polynomial'), (12, 'rational_polynomial'),
                         (14, 'rational_polynomial'), (14, 'plumb_bob'), (8, 'Plumb Bob')):
        found, faults = camera(info(d=WIDE[:count], model=model))
        assert not faults and np.allclose(found.project(points), wanted, atol=1e-9)


@pytest.mark.parametrize('model', ['equidistant', 'fisheye', 'Kannala Brandt4', 'KANNALA_BRANDT'])
def test_names_of_a_fisheye(model):
    found, faults = camera(info(d=[0.1, -0.02, 0.003, -0.001, 0.0], model=model))
    assert not faults and found.model == 'equidistant'
    assert np.array_equal(found.distortion, [0.1, -0.02, 0.003, -0.001])


def test_rectified_images_go_by_p():
    """K and D are those of the raw image; where P is empty K is the better guess."""
    p = [500.0, 0, 330, -40, 0, 500, 250, 0, 0, 0, 1, 0]
    raw = info(d=[0.3, -0.1, 0, 0, 0], p=p)
    found, faults = camera(raw, rectified=True)
    assert not faults and not found.distortion.any()
    assert np.array_equal(found.matrix, [[500, 0, 330], [0, 500, 250], [0, 0, 1]])
    assert camera(raw)[0].distortion.any()
    raw.p = [0.0] * 12
    found, faults = camera(raw, rectified=True)
    assert np.allclose(found.matrix.ravel(), K) and not found.distortion.any()


@pytest.mark.parametrize('value', [float('nan'), -1.0, float('inf')])
def test_what_is_no_camera_gives_way_to_what_is_one(value):
    """K and P are both sent: one of them that was filled with nonsense does not cost the other."""
    p = [FOCAL, 0, 320, 0, 0, FOCAL, 240, 0, 0, 0, 1, 0]
    found, faults = camera(info([value] * 9, p=p))
    assert list(faults) == ['camera_info_invalid'] and np.allclose(found.matrix.ravel(), K)
    found, faults = camera(info(d=[0.3, -0.1, 0, 0, 0], p=[value] * 12), rectified=True)
    assert list(faults) == ['camera_info_invalid'] and np.allclose(found.matrix.ravel(), K)
    assert not found.distortion.any()
    with pytest.raises(InputError, match='camera matrix K'):
        camera(info([value] * 9, p=[value] * 12))


@pytest.mark.parametrize('topic, rectified', [
    ('/zed/zed_node/rgb/image_rect_color', True), ('/zed/zed_node/rgb/color/rect/image', True),
    ('/left/image_rect', True), ('/cam/image_rect/compressed', True),
    ('/camera/infra1/image_rect_raw', True), ('/camera/image_rectified', True),
    ('/camera/color/image_raw', False), ('/oak/rgb/image_raw', False), ('/image', False),
    ('/camera/image_unrectified', False), ('/direct/image', False), ('/rectangle/image', False)])
def test_topics_that_say_that_they_are_rectified(topic, rectified):
    assert is_rectified_topic(topic) is rectified


def send(client, message, stamp_ns):
    """Send an image after its camera_info until it is processed; return body and stamp."""
    message.header.frame_id = FRAME
    for _ in range(10):
        client.infos.publish(message)
        stamp_ns += 33_000_000
        image = image_from_rgb(GREY, stamp_ns, FRAME)
        # what is published first does not always come first
        if wait_for(lambda: client.heard.camera_info_is(message), 1.0):
            client.images.publish(image)
            if wait_for(lambda wanted=stamp_ns: wanted in client.processed(), 0.5):
                return bodies_from_cloud(client.clouds[-1])[0], stamp_ns
    raise AssertionError(f'not processed; {client.diagnostics}')


class Heard:
    """What has arrived at the node."""

    def __init__(self, node):
        """Look into the node."""
        self._node = node

    def camera_info_is(self, message) -> bool:
        """Whether the newest camera_info is this one."""
        return str(self._node.activation.processor.decoder.camera_info) == str(message)


def test_over_dds_a_person_is_where_they_are():
    """The driver changes its way of saying it: the person stays where they are."""
    with running(overrides=[ANOTHER_LENS]) as (node, client):
        client.heard, stamp_ns = Heard(node), T0
        for name, message in SAME.items():
            body, stamp_ns = send(client, message, stamp_ns)
            assert np.allclose(body.root_m, [0.2, 0, 3], atol=0.05), name
        assert wait_for(lambda: 'niki_pose: pose' in client.diagnostics)
        values = diagnostic_values(client.diagnostics['niki_pose: pose'])
        assert values['camera_source'] == 'camera_info'
        assert not [name for name in client.diagnostics if 'camera_info' in name]
        for fault, messages in DOUBTED.items():
            for message in messages:
                body, stamp_ns = send(client, message, stamp_ns)
                assert np.allclose(body.root_m, [0.2, 0, 3], atol=0.05), message
            assert wait_for(lambda wanted=fault: f'niki_pose: {wanted}' in client.diagnostics)


@pytest.mark.parametrize('name, setting', [('/image', 'rectified'),
                                           ('/cam/left/image_rect', 'auto')])
def test_over_dds_rectified_images_by_name_or_by_setting(name, setting):
    """K and D are those of the raw image, and P is right."""
    p = [FOCAL, 0, 320, 0, 0, FOCAL, 240, 0, 0, 0, 1, 0]
    message = info([2 * FOCAL, 0, 310, 0, 2 * FOCAL, 230, 0, 0, 1], d=[-0.3, 0.1, 0, 0, 0], p=p)
    overrides = [Parameter('camera.images', value=setting), ANOTHER_LENS]
    arguments = ['--ros-args', '-r', f'image:={name}']
    with running(overrides=overrides, cli_args=arguments) as (node, client):
        client.heard, client.images = Heard(node), client.create_publisher(Image, name, 5)
        assert wait_for(lambda: client.images.get_subscription_count() > 0)
        body, _ = send(client, message, T0)
        assert np.allclose(body.root_m, [0.2, 0, 3], atol=0.05)
