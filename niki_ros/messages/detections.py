"""Boxes of people in vision_msgs/Detection2DArray."""

from typing import Dict, Iterable, Optional, Tuple

from niki_ros.messages.stamps import ns_from_stamp
import numpy as np

_MAX_OFFSET_NS = 500_000_000
# far beyond any image; products of larger coordinates leave the range of doubles
_MAX_COORDINATE_PX = 1e7
# messages without an accepted detection before the first warning; twice as many before the next
_FIRST_WARNING_COUNT = 10
_MAX_LISTED_CLASSES = 5


class LatestDetections:
    """
    The boxes of the newest vision_msgs/Detection2DArray, for the image with its stamp.

    Methods return faults: name → text. The arguments are those of :func:`boxes_from_detections`.
    """

    def __init__(self, accepted: Iterable[str], min_score: float):
        self._accepted, self._min_score = tuple(accepted), min_score
        # one tuple, so that the threads of messages and of images never see a mixture
        self._latest: Optional[Tuple[int, str, np.ndarray]] = None
        self._refused_count = 0
        self._next_warning_count = _FIRST_WARNING_COUNT

    def put(self, message) -> Dict[str, str]:
        """Replace the previous message."""
        boxes, invalid_count = boxes_from_detections(message, self._accepted, self._min_score)
        header = message.header
        self._latest = ns_from_stamp(header.stamp), header.frame_id.lstrip('/'), boxes
        faults = {}
        if invalid_count:
            faults['detections_invalid'] = (
                f'{invalid_count} of {len(message.detections)} boxes have no area, or coordinates '
                'outside of any image')
        if len(boxes):
            # the classes are right: from now on refused detections are objects, not people
            self._refused_count = self._next_warning_count = 0
        elif self._next_warning_count and message.detections and not invalid_count:
            self._refused_count += 1
            if self._refused_count >= self._next_warning_count:
                self._next_warning_count *= 2
                faults['detections_refused'] = self._refusal_text(message)
        return faults

    def take(self, stamp_ns: int, image_frame: str) -> Tuple[Optional[np.ndarray], Dict[str, str]]:
        """
        Return the boxes (n, 4) x0, y0, x1, y1 in pixels for an image once, None without a message.

        :param image_frame: ``frame_id`` of the image; empty = not compared.
        """
        latest, self._latest = self._latest, None
        if latest is None:
            return None, {}
        boxes_ns, frame, boxes = latest
        offset_ns = stamp_ns - boxes_ns
        if abs(offset_ns) > _MAX_OFFSET_NS:
            when = ('have no stamp' if boxes_ns == 0 else
                    f'are stamped {abs(offset_ns) * 1e-9:.1f} s '
                    f'{"before" if offset_ns > 0 else "after"} the image that is processed')
            return None, {'detections_apart': f'the detections {when}, and are not used; at most '
                                              f'{_MAX_OFFSET_NS * 1e-9:g} s are allowed'}
        if frame and image_frame and frame != image_frame:
            return boxes, {'detections_frame_differs': (
                f'the detections are in {frame!r} and the images in {image_frame!r}; boxes of '
                'another camera do not fit these images')}
        return boxes, {}

    def _refusal_text(self, message) -> str:
        hypotheses = [_class_and_score(result) for detection in message.detections
                      for result in detection.results]
        names = list(dict.fromkeys(repr(name) for name, _ in hypotheses))
        hidden_count = len(names) - _MAX_LISTED_CLASSES
        more = f' and {hidden_count} more' if hidden_count > 0 else ''
        best = max((score for _, score in hypotheses), default=float('nan'))
        return (f'no detection of {self._refused_count} messages is accepted as a person: the '
                f'classes are {", ".join(names[:_MAX_LISTED_CLASSES])}{more}, the best score is '
                f'{best:.2f}; detection_classes is {", ".join(self._accepted)}, '
                f'observer.min_score is {self._min_score:g}')


def boxes_from_detections(message, accepted: Iterable[str],
                          min_score: float) -> Tuple[np.ndarray, int]:
    """
    Return the boxes (n, 4) x0, y0, x1, y1 of people in pixels, and the count of invalid boxes.

    A detection is a person when one of its hypotheses is accepted, or when it has none.

    :param message: a vision_msgs/Detection2DArray.
    :param accepted: class ids and names, upper or lower case; a hypothesis without a class is
        accepted too. :param min_score: smallest score of an accepted hypothesis.
    """
    classes = {'', *(name.strip().lower() for name in accepted)}
    boxes, invalid_count = [], 0
    for detection in message.detections:
        hypotheses = [_class_and_score(result) for result in detection.results]
        if hypotheses and not any(name in classes and score >= min_score
                                  for name, score in hypotheses):
            continue
        # vision_msgs 4 (Humble and newer) has center.position, older versions have center
        bbox = detection.bbox
        center = getattr(bbox.center, 'position', bbox.center)
        half_size = np.array([bbox.size_x, bbox.size_y]) / 2
        center_px = np.array([center.x, center.y])
        box = np.concatenate([center_px - half_size, center_px + half_size])
        if (np.abs(box) < _MAX_COORDINATE_PX).all() and (half_size > 0).all():
            boxes.append(box)
        else:
            invalid_count += 1
    return np.array(boxes).reshape(-1, 4), invalid_count


def _class_and_score(result) -> Tuple[str, float]:
    """Return class and score of a hypothesis; older versions have them in the result itself."""
    hypothesis = getattr(result, 'hypothesis', result)
    name = getattr(hypothesis, 'class_id', getattr(hypothesis, 'id', ''))
    return str(name).strip().lower(), float(hypothesis.score)
