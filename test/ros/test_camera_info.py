"""CameraInfo over DDS: the person stays in place however a driver describes the camera."""

from camera_infos import DOUBTED, FOCAL, info, SAME
from niki_ros.demo.listener import bodies_from_cloud
from niki_ros.ros.conversions import image_from_rgb
import numpy as np
import pytest
from ros_fixtures import FRAME, GREY, running, T0, wait_for
from sensor_msgs.msg import CameraInfo, Image, RegionOfInterest

# what is assumed where camera_info is of no use must not be right by chance
ANOTHER_LENS = {'camera.fov_deg': 100.0}


def message_of(fields) -> CameraInfo:
    return CameraInfo(**{**vars(fields), 'roi': RegionOfInterest(**vars(fields.roi))})


def send(client, message, stamp_ns):
    message.header.frame_id = FRAME
    for _ in range(10):
        client.infos.publish(message)
        stamp_ns += 33_000_000
        image = image_from_rgb(GREY, stamp_ns, FRAME)
        # what is published first does not always come first
        if wait_for(lambda: client.heard.camera_info_is(message), 1.0):
            client.images.publish(image)
            if client.answered(stamp_ns):
                return bodies_from_cloud(client.clouds[-1])[0], stamp_ns
    raise AssertionError(f'not processed; {client.diagnostics}')


class Heard:
    def __init__(self, node):
        self._node = node

    def camera_info_is(self, message) -> bool:
        return str(self._node.activation.processor.decoder.camera_info) == str(message)


def test_over_dds_a_person_is_where_they_are():
    with running(overrides=ANOTHER_LENS) as (node, client):
        client.heard, stamp_ns = Heard(node), T0
        for name, fields in list(SAME.items())[::4]:
            body, stamp_ns = send(client, message_of(fields), stamp_ns)
            assert np.allclose(body.root_m, [0.2, 0, 3], atol=0.05), name
        assert wait_for(lambda: client.values()['camera_source'] == 'camera_info')
        assert not [name for name in client.diagnostics if 'camera_info' in name]
        for fault, messages in DOUBTED.items():
            for fields in messages[:2]:
                body, stamp_ns = send(client, message_of(fields), stamp_ns)
                assert np.allclose(body.root_m, [0.2, 0, 3], atol=0.05), fields
            client.row(fault)


@pytest.mark.parametrize('name, setting', [('/image', 'rectified'),
                                           ('/cam/left/image_rect', 'auto')])
def test_over_dds_rectified_images_by_name_or_by_setting(name, setting):
    """K and D are those of the raw image, and P is right."""
    p = [FOCAL, 0, 320, 0, 0, FOCAL, 240, 0, 0, 0, 1, 0]
    fields = info([2 * FOCAL, 0, 310, 0, 2 * FOCAL, 230, 0, 0, 1], d=[-0.3, 0.1, 0, 0, 0], p=p)
    overrides = {'camera.images': setting, **ANOTHER_LENS}
    arguments = ['--ros-args', '-r', f'image:={name}']
    with running(overrides=overrides, cli_args=arguments) as (node, client):
        client.heard, client.images = Heard(node), client.create_publisher(Image, name, 5)
        assert wait_for(lambda: client.images.get_subscription_count() > 0)
        body, _ = send(client, message_of(fields), T0)
        assert np.allclose(body.root_m, [0.2, 0, 3], atol=0.05)
