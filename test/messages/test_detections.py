"""Boxes of people in Detection2DArray, by class, score and stamp."""

from types import SimpleNamespace as Record

from niki_ros.messages.detections import boxes_from_detections, LatestDetections
from niki_ros.ros.settings import NodeConfig
import pytest

PEOPLE = NodeConfig().detection_classes


def detection(x, y, w, h, label=None, old=False, score=0.9):
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
    latest = LatestDetections(PEOPLE, 0.5)
    assert latest.take(9 * 10**9, 'eye') == (None, {})
    latest.put(detected(8_800_000_000, PERSON))
    boxes, faults = latest.take(9 * 10**9, 'eye')
    assert len(boxes) == 1 and not faults
    assert latest.take(9 * 10**9, 'eye') == (None, {}), 'once'
    for stamp_ns, words in ((8_300_000_000, '0.7 s before'), (9_900_000_000, '0.9 s after'),
                            (0, 'have no stamp')):
        latest.put(detected(stamp_ns, PERSON))
        boxes, faults = latest.take(9 * 10**9, 'eye')
        assert boxes is None and words in faults['detections_apart']


def test_detections_of_another_frame_are_told():
    latest = LatestDetections(PEOPLE, 0.5)
    for frame, image_frame, told in (('other', 'eye', True), ('/eye', 'eye', False),
                                     ('', 'eye', False), ('other', '', False)):
        latest.put(detected(10**9, PERSON, frame=frame))
        boxes, faults = latest.take(10**9, image_frame)
        assert len(boxes) == 1 and bool(faults) == told


def test_a_detector_with_other_words_is_told_until_one_is_a_person():
    latest, pedestrian = LatestDetections(PEOPLE, 0.5), detection(9.0, 9.0, 2.0, 2.0, 'pedestrian')
    told = [latest.put(detected(10**9, pedestrian)) for _ in range(30)]
    texts = [one['detections_refused'] for one in told if one]
    assert len(texts) == 2 and "'pedestrian'" in texts[0] and 'person, 0' in texts[0]
    latest.put(detected(10**9, PERSON))
    assert not any(latest.put(detected(10**9, pedestrian)) for _ in range(100))


def test_boxes_that_are_none_are_counted():
    odd = [detection(1.0, 1.0, *size, 'person')
           for size in ((0.0, 5.0), (-3.0, 5.0), (1e300, 9.0))]
    faults = LatestDetections(PEOPLE, 0.5).put(detected(10**9, PERSON, *odd))
    assert faults['detections_invalid'].startswith('3 of 4 boxes')


