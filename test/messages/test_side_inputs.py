"""Depth, boxes and frames as messages have them, without ROS."""

import threading
import time
from types import SimpleNamespace as Record

from niki_ros.common.errors import InputError
from niki_ros.common.settings import NodeConfig
from niki_ros.messages.side_inputs import (
    boxes_from_detections,
    depth_from_image,
    FrameTree,
    NearestDepth,
    NewestBoxes,
)
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

MS = 1_000_000
PEOPLE = NodeConfig().detection_classes


def image(stamp_ns=0, encoding='16UC1', values=((1000, 0), (2000, 3000)), big=False, pad=0):
    """Return what has the fields of a sensor_msgs/Image."""
    kind = {'32FC1': 'f4'}.get(encoding, 'u2')
    array = np.asarray(values, dtype=('>' if big else '<') + kind)
    lines = [row.tobytes() + b'\0' * pad for row in array]
    return Record(header=Record(stamp=Record(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)),
                  width=array.shape[1], height=array.shape[0], encoding=encoding,
                  is_bigendian=int(big), step=len(lines[0]), data=b''.join(lines))


@pytest.mark.parametrize('big', [False, True])
@pytest.mark.parametrize('pad', [0, 6])
def test_depth_of_both_encodings(big, pad):
    found = depth_from_image(image(big=big, pad=pad))
    assert found.dtype == np.uint16 and found.tolist() == [[1000, 0], [2000, 3000]]
    found = depth_from_image(image(encoding='32FC1', values=[[1.5, np.nan]], big=big, pad=pad))
    assert found.dtype == np.float32 and found[0, 0] == 1.5 and np.isnan(found[0, 1])


def test_what_is_no_depth_is_refused():
    message = image()
    message.encoding = 'rgb8'
    with pytest.raises(InputError, match='rgb8'):
        depth_from_image(message)
    message = image()
    message.data = message.data[:3]
    with pytest.raises(InputError):
        depth_from_image(message)


def test_the_nearest_depth_within_half_a_frame():
    near = NearestDepth()
    assert near.of(5 * MS) is None
    for k in range(5):
        near.put(image(k * 33 * MS + 4 * MS))
    assert near.of(99 * MS).header.stamp.nanosec == 103 * MS
    assert near.of(130 * MS).header.stamp.nanosec == 136 * MS
    assert near.of(20 * MS) is None, 'that one is gone'
    assert near.of(900 * MS) is None, 'the stream has stopped'


def test_depth_that_comes_just_after_the_image_is_waited_for():
    near = NearestDepth()
    for k in range(3):
        near.put(image(k * 33 * MS))
    later = threading.Timer(0.003, lambda: near.put(image(99 * MS)))
    later.start()
    assert near.of(99 * MS).header.stamp.nanosec == 99 * MS
    later.join()
    start = time.monotonic()
    assert near.of(132 * MS) is None
    assert time.monotonic() - start < 1.0, 'but not for long'


def detection(x, y, w, h, label=None, old=False, score=0.9):
    """Return what has the fields of a vision_msgs/Detection2D."""
    center = Record(x=x, y=y) if old else Record(position=Record(x=x, y=y))
    results = [] if label is None else [Record(hypothesis=Record(class_id=label, score=score))]
    return Record(bbox=Record(center=center, size_x=w, size_y=h), results=results)


def test_boxes_of_people():
    message = Record(detections=[
        detection(50.0, 100.0, 20.0, 60.0, 'person'), detection(9.0, 9.0, 2.0, 2.0, 'chair'),
        detection(10.0, 10.0, 4.0, 8.0, old=True), detection(1.0, 1.0, 0.0, 5.0),
        detection(float('nan'), 1.0, 3.0, 5.0), detection(30.0, 30.0, 2.0, 2.0, '0')])
    boxes, odd = boxes_from_detections(message, PEOPLE, 0.5)
    assert boxes.tolist() == [[40, 70, 60, 130], [8, 6, 12, 14], [29, 29, 31, 31]] and odd == 2
    assert boxes_from_detections(Record(detections=[]), PEOPLE, 0.5)[0].shape == (0, 4)


@pytest.mark.parametrize('label, score, accepted, taken', [
    ('56', 0.9, PEOPLE, False), ('0', 0.9, PEOPLE, True), ('0', 0.01, PEOPLE, False),
    ('Person', 0.5, PEOPLE, True), ('person', 0.49, PEOPLE, False), ('', 0.9, PEOPLE, True),
    ('', 0.1, PEOPLE, False), ('0', 0.9, ('person',), False), ('1', 0.9, ('1',), True),
    ('person', float('nan'), PEOPLE, False), ('pedestrian', 0.9, (' Pedestrian',), True)])
def test_class_and_score_of_a_detection(label, score, accepted, taken):
    """A chair is class 56 of COCO, and no detector is sure at 0.01."""
    message = Record(detections=[detection(50.0, 100.0, 20.0, 60.0, label, score=score)])
    assert len(boxes_from_detections(message, accepted, 0.5)[0]) == taken


def test_any_hypothesis_of_a_detection_may_count():
    one = detection(50.0, 100.0, 20.0, 60.0, '56', score=0.9)
    one.results.append(Record(hypothesis=Record(class_id='0', score=0.6)))
    assert len(boxes_from_detections(Record(detections=[one]), PEOPLE, 0.5)[0]) == 1
    one.results[1].hypothesis.score = 0.4
    assert len(boxes_from_detections(Record(detections=[one]), PEOPLE, 0.5)[0]) == 0


def detected(stamp_ns, *found, frame='eye'):
    stamp = Record(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return Record(header=Record(stamp=stamp, frame_id=frame), detections=list(found))


PERSON = detection(50.0, 100.0, 20.0, 60.0, 'person')


def test_boxes_belong_to_one_image_and_those_of_others_are_told():
    newest = NewestBoxes(PEOPLE, 0.5)
    assert newest.of(9 * 10**9, 'eye') == (None, {})
    newest.put(detected(8_800_000_000, PERSON))
    boxes, faults = newest.of(9 * 10**9, 'eye')
    assert len(boxes) == 1 and not faults
    assert newest.of(9 * 10**9, 'eye') == (None, {}), 'once'
    for stamp_ns, words in ((8_300_000_000, '0.7 s before'), (9_900_000_000, '0.9 s after'),
                            (0, 'have no stamp')):
        newest.put(detected(stamp_ns, PERSON))
        boxes, faults = newest.of(9 * 10**9, 'eye')
        assert boxes is None and words in faults['detections_apart']


def test_detections_of_another_frame_are_told():
    newest = NewestBoxes(PEOPLE, 0.5)
    for frame, image_frame, told in (('other', 'eye', True), ('/eye', 'eye', False),
                                     ('', 'eye', False), ('other', '', False)):
        newest.put(detected(10**9, PERSON, frame=frame))
        boxes, faults = newest.of(10**9, image_frame)
        assert len(boxes) == 1 and bool(faults) == told


def test_a_detector_with_other_words_is_told_until_one_is_a_person():
    newest, pedestrian = NewestBoxes(PEOPLE, 0.5), detection(9.0, 9.0, 2.0, 2.0, 'pedestrian')
    told = [newest.put(detected(10**9, pedestrian)) for _ in range(30)]
    texts = [one['detections_refused'] for one in told if one]
    assert len(texts) == 2 and "'pedestrian'" in texts[0] and 'person, 0' in texts[0]
    newest.put(detected(10**9, PERSON))
    assert not any(newest.put(detected(10**9, pedestrian)) for _ in range(100))


def test_boxes_that_are_none_are_counted():
    odd = [detection(1.0, 1.0, *size, 'person')
           for size in ((0.0, 5.0), (-3.0, 5.0), (1e300, 9.0))]
    faults = NewestBoxes(PEOPLE, 0.5).put(detected(10**9, PERSON, *odd))
    assert faults['detections_invalid'].startswith('3 of 4 boxes')


def transform(parent, child, shift, rotvec=(0, 0, 0)):
    """Return what has the fields of a geometry_msgs/TransformStamped."""
    x, y, z, w = Rotation.from_rotvec(rotvec).as_quat()
    return Record(header=Record(frame_id=parent), child_frame_id=child, transform=Record(
        translation=Record(x=shift[0], y=shift[1], z=shift[2]),
        rotation=Record(x=x, y=y, z=z, w=w)))


def test_frames_across_a_tree():
    """Against 4x4 matrices."""
    rng, tree = np.random.default_rng(0), FrameTree()
    edges = [('base', 'mast'), ('mast', '/camera'), ('base', 'footprint')]
    poses = {}
    for parent, child in edges:
        shift, turn = rng.normal(size=3), rng.normal(size=3)
        tree.put(Record(transforms=[transform(parent, child, shift, turn)]))
        poses[child.lstrip('/')] = np.block([
            [Rotation.from_rotvec(turn).as_matrix(), shift[:, None]],
            [np.zeros((1, 3)), np.ones((1, 1))]])
    expected = np.linalg.inv(poses['mast'] @ poses['camera']) @ poses['footprint']
    rotmat, shift = tree.lookup('camera', 'footprint')
    np.testing.assert_allclose(rotmat, expected[:3, :3], atol=1e-12)
    np.testing.assert_allclose(shift, expected[:3, 3], atol=1e-12)


def test_frames_that_are_not_connected_are_named():
    tree = FrameTree()
    tree.put(Record(transforms=[transform('map', 'base', (0, 0, 0))]))
    with pytest.raises(InputError, match="'camera'"):
        tree.lookup('camera', 'base')
    tree.put(Record(transforms=[transform('base', 'map', (0, 0, 0))]))
    with pytest.raises(InputError, match='circle'):
        tree.lookup('base', 'map')
