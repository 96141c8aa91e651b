"""What comes beside the image: depth paired by stamp, boxes of a detector, a tree of frames."""

from __future__ import annotations

import threading
from typing import Dict, Iterable, List, Optional, Tuple

from niki_ros.common.errors import InputError
from niki_ros.messages.encodings import encoding_of
from niki_ros.messages.frame_decoder import ns_from_stamp
from niki_ros.messages.image_decoding import rows
import numpy as np
from scipy.spatial.transform import Rotation

_DEPTH_TYPES = {'16UC1': np.uint16, 'mono16': np.uint16, '32FC1': np.float32}
# depth images that are kept: the one that fits can be the newest or the one before
_KEPT = 3
_MAX_APART_NS, _FIRST_APART_NS = 50_000_000, 17_000_000
_MAX_WAIT_S = 0.02
_MAX_CHAIN = 64
_BOXES_APART_NS = 500_000_000
# far beyond any image; products of larger ones leave the range of doubles
_MAX_PX = 1e7
# messages with detections, none of them accepted, after which that is said; then at twice as many
_FIRST_REFUSED = 10
_MOST_NAMES = 5


def depth_from_image(message) -> np.ndarray:
    """
    Return the depth (H, W) of either kind of message: uint16 millimetres or float32 metres.

    :raises InputError: for an encoding that is no depth, or a message that contradicts itself.
    """
    if not hasattr(message, 'encoding'):
        from niki_ros.messages.compressed_depth import depth_from_compressed
        return depth_from_compressed(message)
    encoding = encoding_of(message.encoding)
    if encoding not in _DEPTH_TYPES:
        raise InputError(f'depth encoding {message.encoding[:50]!r} is not supported; expected '
                         f'one of {", ".join(_DEPTH_TYPES)}')
    if not message.width or not message.height:
        raise InputError(f'the depth image is {message.width}x{message.height}')
    return rows(message, 1, _DEPTH_TYPES[encoding])[..., 0]


class NearestDepth:
    """
    The newest few depth messages, and the one that belongs to an image.

    One belongs that is nearer than half the time between two. Where none has come yet that could,
    it is waited for, at most ``_MAX_WAIT_S``: cameras send depth just after colour.
    """

    def __init__(self):
        """No depth has come."""
        self._came = threading.Condition()
        self._kept: List[Tuple[int, object]] = []

    def put(self, message) -> None:
        """Take a message; the oldest one goes."""
        with self._came:
            self._kept = [*self._kept, (ns_from_stamp(message.header.stamp), message)][-_KEPT:]
            self._came.notify_all()

    def of(self, stamp_ns: int):
        """Return the message that belongs to an image, or None."""
        with self._came:
            if not self._kept:
                return None
            limit = self._apart_ns()
            # a stream that has stopped, or has jumped, is not waited for
            coming = 0 < stamp_ns - self._kept[-1][0] <= 4 * limit
            if coming and stamp_ns - self._kept[-1][0] > limit:
                self._came.wait_for(lambda: self._kept[-1][0] >= stamp_ns - limit, _MAX_WAIT_S)
            near = min(self._kept, key=lambda one: abs(one[0] - stamp_ns))
            return near[1] if abs(near[0] - stamp_ns) <= limit else None

    def _apart_ns(self) -> int:
        """Return half the time between two depth images."""
        stamps = sorted(stamp for stamp, _ in self._kept)
        gaps = [b - a for a, b in zip(stamps, stamps[1:]) if b > a]
        return min(min(gaps) // 2 + 1, _MAX_APART_NS) if gaps else _FIRST_APART_NS


class NewestBoxes:
    """
    The boxes of people in the newest vision_msgs/Detection2DArray, for the image they belong to.

    What is left out is told: methods return name → text of faults.

    :param accepted: class ids and names, in any case; a hypothesis without an id is taken.
    :param min_score: of such a hypothesis.
    """

    def __init__(self, accepted: Iterable[str], min_score: float):
        """No detections have come."""
        self._accepted, self._min_score = tuple(accepted), min_score
        # one object, so that the thread of messages and that of images never see halves
        self._newest: Optional[Tuple[int, str, np.ndarray]] = None
        self._refused = 0
        self._tell_at = _FIRST_REFUSED

    def put(self, message) -> Dict[str, str]:
        """Take a message in the place of the last one."""
        boxes, odd = boxes_from_detections(message, self._accepted, self._min_score)
        header = message.header
        frame = getattr(header, 'frame_id', '').lstrip('/')
        self._newest = ns_from_stamp(header.stamp), frame, boxes
        faults = {}
        if odd:
            faults['detections_invalid'] = (f'{odd} of {len(message.detections)} boxes have no '
                                            'area, or numbers that no image has')
        if len(boxes):
            self._refused = self._tell_at = 0  # the words are right: other things are not people
        elif self._tell_at and message.detections and not odd:
            self._refused += 1
            if self._refused >= self._tell_at:
                self._tell_at *= 2
                faults['detections_refused'] = self._why_refused(message)
        return faults

    def of(self, stamp_ns: int, image_frame: str) -> Tuple[Optional[np.ndarray], Dict[str, str]]:
        """
        Return the boxes of this image or of one shortly before, once, or None.

        :param image_frame: of the image's header, empty where it is not to be compared.
        """
        newest, self._newest = self._newest, None
        if newest is None:
            return None, {}
        boxes_ns, frame, boxes = newest
        apart_ns = stamp_ns - boxes_ns
        if abs(apart_ns) > _BOXES_APART_NS:
            when = ('have no stamp' if boxes_ns == 0 else
                    f'are stamped {abs(apart_ns) * 1e-9:.1f} s '
                    f'{"before" if apart_ns > 0 else "after"} the image that is processed')
            return None, {'detections_apart': f'the detections {when}, and are not used; at most '
                                              f'{_BOXES_APART_NS * 1e-9:g} s are allowed'}
        if frame and image_frame and frame != image_frame:
            return boxes, {'detections_frame_differs': f'the detections are in {frame!r}, and the '
                                                       f'images in {image_frame!r}: if they are '
                                                       "another camera's, they find nobody here"}
        return boxes, {}

    def _why_refused(self, message) -> str:
        said = [_class_and_score(result) for one in message.detections for result in one.results]
        names = list(dict.fromkeys(repr(name) for name, _ in said))
        more = f' and {len(names) - _MOST_NAMES} more' if len(names) > _MOST_NAMES else ''
        best = max((score for _, score in said), default=float('nan'))
        return (f'none of the detections in {self._refused} messages is taken for a person: they '
                f'are {", ".join(names[:_MOST_NAMES])}{more}, the best score is {best:.2f}; '
                f'detection_classes is {", ".join(self._accepted)}, observer.min_score '
                f'{self._min_score:g}')


def boxes_from_detections(message, accepted: Iterable[str],
                          min_score: float) -> Tuple[np.ndarray, int]:
    """
    Return (n, 4) x0, y0, x1, y1, pixels, of a vision_msgs/Detection2DArray, and how many are none.

    A detection counts where one of its hypotheses does, or where it has none at all.

    :param accepted: class ids and names, in any case; a hypothesis without an id is taken.
    :param min_score: of such a hypothesis.
    """
    wanted = {'', *(name.strip().lower() for name in accepted)}
    boxes, odd = [], 0
    for one in message.detections:
        said = [_class_and_score(result) for result in one.results]
        if said and not any(name in wanted and score >= min_score for name, score in said):
            continue
        # vision_msgs 4 (Humble and newer) has center.position, older ones have center
        center = getattr(one.bbox.center, 'position', one.bbox.center)
        half = np.array([one.bbox.size_x, one.bbox.size_y]) / 2
        at = np.array([center.x, center.y])
        box = np.concatenate([at - half, at + half])
        if (np.abs(box) < _MAX_PX).all() and (half > 0).all():
            boxes.append(box)
        else:
            odd += 1
    return np.array(boxes).reshape(-1, 4), odd


def _class_and_score(result) -> Tuple[str, float]:
    """Return what a hypothesis says it is; older messages have it on the result itself."""
    hypothesis = getattr(result, 'hypothesis', result)
    name = getattr(hypothesis, 'class_id', getattr(hypothesis, 'id', ''))
    return str(name).strip().lower(), float(hypothesis.score)


class FrameTree:
    """Frames of TF and how to get from one to another; the newest transform counts."""

    def __init__(self):
        """Know no frame."""
        self._lock = threading.Lock()
        self._parents: Dict[str, Tuple[str, np.ndarray, np.ndarray]] = {}

    def put(self, message) -> None:
        """Take a tf2_msgs/TFMessage."""
        with self._lock:
            for one in message.transforms:
                turn, shift = one.transform.rotation, one.transform.translation
                self._parents[one.child_frame_id.lstrip('/')] = (
                    one.header.frame_id.lstrip('/'),
                    np.array([turn.x, turn.y, turn.z, turn.w]),
                    np.array([shift.x, shift.y, shift.z]))

    def lookup(self, target: str, source: str) -> Tuple[np.ndarray, np.ndarray]:
        """
        Return rotation (3, 3) and translation (3,) that take points of ``source`` to ``target``.

        :raises InputError: where the two are not connected, or a rotation is none.
        """
        with self._lock:
            ups = [self._to_root(frame) for frame in (target, source)]
        (root_a, turn_a, shift_a), (root_b, turn_b, shift_b) = ups
        if root_a != root_b:
            raise InputError(f'no transform from {source!r} to {target!r}: their trees end in '
                             f'{root_b!r} and {root_a!r}')
        return turn_a.T @ turn_b, turn_a.T @ (shift_b - shift_a)

    def _to_root(self, frame: str):
        """Return the root of the frame's tree, and rotation and translation to it."""
        turn, shift = np.eye(3), np.zeros(3)
        for _ in range(_MAX_CHAIN):
            if frame not in self._parents:
                return frame, turn, shift
            parent, quat_xyzw, offset = self._parents[frame]
            if not np.isfinite(quat_xyzw).all() or np.linalg.norm(quat_xyzw) < 1e-6:
                raise InputError(f'the rotation of {frame!r} in {parent!r} is {quat_xyzw}')
            step = Rotation.from_quat(quat_xyzw).as_matrix()
            turn, shift, frame = step @ turn, step @ shift + offset, parent
        raise InputError(f'the frames above {frame!r} go round in a circle')
