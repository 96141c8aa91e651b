"""Serialized transforms are those of rclpy."""

from builtin_interfaces.msg import Time
from geometry_msgs.msg import TransformStamped
from niki_ros.ros.body_frames import BodyFrames, first_stamp_ns, TransformSerializer
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

RNG = np.random.default_rng(0)


def message(pairs, stamp, numbers):
    found = TFMessage()
    for (child, parent), row in zip(pairs, numbers.tolist()):
        one = TransformStamped(header=Header(stamp=stamp, frame_id=parent), child_frame_id=child)
        translation, rotation = one.transform.translation, one.transform.rotation
        translation.x, translation.y, translation.z = row[:3]
        rotation.x, rotation.y, rotation.z, rotation.w = row[3:]
        found.transforms.append(one)
    return found


@pytest.mark.parametrize('names', [
    ['a'], ['ab', 'abc', 'abcd', 'abcde', 'abcdef', 'abcdefg', 'abcdefgh'], ['körper_1', '人'],
    [f'body_{i}_left_hand' for i in range(150)]])
def test_message_is_that_of_rclpy(names):
    pairs = [(name, f'parent_of_{name}'[:number % 9 + 1]) for number, name in enumerate(names)]
    serializer = TransformSerializer()
    for stamp in (Time(sec=1_700_000_000, nanosec=999_999_999), Time(), Time(sec=-1, nanosec=5)):
        numbers = RNG.normal(size=(len(pairs), 7))
        data = serializer.serialize(pairs, stamp, numbers)
        expected = message(pairs, stamp, numbers)
        # the bytes between the values are not defined
        assert len(data) == len(serialize_message(expected))
        assert deserialize_message(data, TFMessage) == expected
        assert first_stamp_ns(data) == stamp.sec * 10**9 + stamp.nanosec


def test_other_frames_get_another_layout():
    serializer, stamp = TransformSerializer(), Time(sec=3)
    for pairs in ([('a', 'b')], [('a', 'b'), ('long_name', 'camera')], [('x', 'b')]):
        numbers = RNG.normal(size=(len(pairs), 7))
        found = deserialize_message(serializer.serialize(pairs, stamp, numbers), TFMessage)
        assert found == message(pairs, stamp, numbers)


def test_roots_come_before_links_and_share_their_place():
    frames = BodyFrames(['body_p1', 'niki/body_p1'], [[('knee', 'body_p1')], [('hip', 'knee')]])
    links = [(RNG.normal(size=(1, 3)), RNG.normal(size=(1, 4))) for _ in range(2)]
    root = np.arange(3.0), np.array([0.0, 0.6, 0.0, 0.8])
    pairs, numbers = frames.pairs('camera', True), frames.numbers(*root, links)
    assert pairs == [('body_p1', 'camera'), ('niki/body_p1', 'body_p1'), ('knee', 'body_p1'),
                     ('hip', 'knee')]
    assert numbers.tolist()[:2] == [[0, 1, 2, 0, 0.6, 0, 0.8], [0, 0, 0, 0, 0, 0, 1]]
    np.testing.assert_array_equal(numbers[2:, :3], [links[0][0][0], links[1][0][0]])
    assert len(frames.pairs('camera', False)) == len(frames.numbers(*root, [])) == 2
