"""Images in many encodings over DDS: the front end receives the same RGB image."""

from camera_images import compressed, DEEP, image, IMAGES, off, png, RGB, stretched_grey
from niki_ros.ros.conversions import stamp_from_ns
import pytest
from ros_fixtures import FRAME, running, T0, wait_for
from sensor_msgs.msg import CompressedImage, Image

OVER_DDS = ('bgr16 big', '32FC3 0 … 1', 'bayer_rggb16', 'nv21 padded')


def raw(fields):
    return Image(**vars(fields))


def packed(data, text):
    return CompressedImage(**vars(compressed(data, text)))


def observed_by(node) -> dict:
    """Return the pictures that the front end is given from now on, by their stamps."""
    pictures = {}
    observe = node.pipeline.observer.observe

    def noted(image_rgb, camera, stamp_ns, *others):
        pictures[stamp_ns] = image_rgb
        return observe(image_rgb, camera, stamp_ns, *others)
    node.pipeline.observer.observe = noted
    return pictures


def send(publisher, message, pictures, index):
    """Publish with growing stamps until one was given to the front end; return the picture."""
    for attempt in range(20):
        stamp_ns = T0 + index * 10**9 + attempt * 10**7
        message.header.stamp, message.header.frame_id = stamp_from_ns(stamp_ns), FRAME
        publisher.publish(message)
        if wait_for(lambda wanted=stamp_ns: wanted in pictures, 0.5):
            return pictures[stamp_ns]
    raise AssertionError(f'nothing was processed of {index}')


def test_over_dds_the_front_end_sees_the_picture():
    with running() as (node, client):
        pictures = observed_by(node)
        for index, name in enumerate(OVER_DDS):
            assert off(send(client.images, raw(IMAGES[name]), pictures, index)) <= 4, name
        assert 'values_stretched' not in client.diagnostics
        thermal = raw(image(DEEP['hundredths of a kelvin'], 'mono16'))
        assert stretched_grey(send(client.images, thermal, pictures, 1000)) <= 3
        status = client.row('values_stretched')
        assert status.level == b'\x00' and 'uint16 values 293' in status.message


@pytest.mark.parametrize('transport', ['compressed', 'raw'])
def test_over_dds_a_topic_that_is_compressed_already(transport):
    """The remap names …/compressed itself; what is no JPEG is told by the name of its format."""
    arguments = ['--ros-args', '-r', 'image:=/cam/image_raw/compressed']
    with running(overrides={'image_transport': transport}, cli_args=arguments) as (node, client):
        pictures = observed_by(node)
        publisher = client.create_publisher(CompressedImage, '/cam/image_raw/compressed', 5)
        assert wait_for(lambda: publisher.get_subscription_count() > 0)
        message = packed(png(RGB[..., ::-1]), 'rgb8; png compressed bgr8')
        assert off(send(publisher, message, pictures, 0)) == 0
        message = packed(b'\0\0\0\1\x67' + bytes(200), 'h264')
        message.header.stamp = stamp_from_ns(T0 + 10**10)
        assert wait_for(lambda: publisher.publish(message)
                        or 'image_format_unknown' in client.diagnostics)
        assert "'h264'" in client.diagnostics['image_format_unknown'].message
