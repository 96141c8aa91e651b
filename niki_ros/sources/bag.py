"""Frames out of a bag, as the node would take them; no ROS needed."""

from __future__ import annotations

from collections import Counter
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
import shlex
from typing import Dict, Generator, Iterator, List, Optional

from niki_ros.common.errors import BackendError, InputError, SourceError
from niki_ros.common.settings import CameraConfig, TrackingConfig
from niki_ros.messages.depth import depth_from_image, DepthSynchronizer
from niki_ros.messages.frame_decoder import FrameDecoder, RejectedFrame
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.scene.stamp_order import StampOrder
from niki_ros.sources.bag_files import bag_files, lacks_description, parts_to_open, ROS_1
from niki_ros.sources.source import DEFAULT_RATE_HZ, Frame, FrameSource

_KINDS = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
_INFO = 'sensor_msgs/msg/CameraInfo'
# pictures that are of no camera, or of no use without their picture
_NOT_SEEN = ('overlay', 'depth')
# transports of image_transport that are below the topic somebody names
_BELOW = ('/compressed', '/compressedDepth')
# images that wait for their depth at most
_WAITING = 2
_RECOVER = {'.mcap': 'mcap recover {0} -o whole.mcap', '.db3': 'sqlite3 {0} .recover | sqlite3 '
            'whole.db3', ROS_1: 'rosbag reindex {0}'}


class BagSource(FrameSource):
    """
    Images of one topic with the camera_info beside them; stamps are those of the messages.

    What is wrong with a message is counted under the name that the node gives it, the rest read.

    :param image_topic: None = the only one of a camera.
    :param info_topic: None = the one beside the images, or the only one.
    :param fov_deg: for the text of a warning: what is assumed where there is no calibration;
        None = nobody asks for the calibration.
    :param depth_topic: depth registered to the images; None = the distance comes from size.
    :param images: the setting ``camera.images``.
    :param late_s: as ``tracking.late_s``; late images are left out.
    :ivar skipped: how often an image was left out, by the name of the fault.
    :ivar texts: for every fault what was wrong the first time.
    """

    def __init__(self, path, max_frames: Optional[int] = None, image_topic: Optional[str] = None,
                 info_topic: Optional[str] = None, fov_deg: Optional[float] = 60.0,
                 depth_topic: Optional[str] = None, late_s: float = TrackingConfig.late_s,
                 images: str = CameraConfig.images):
        """Choose the topics and read the first good image."""
        self._path, self._parts = Path(path), parts_to_open(path)
        if len(self._parts) == 1:
            self._path, = self._parts
        self._undescribed = lacks_description(path)
        self._fov_deg, self._late_s, self._images_are = fov_deg, late_s, images
        self.skipped: Counter = Counter()
        self.warned: Counter = Counter()
        self.texts: Dict[str, str] = {}
        with self._open() as bag:
            self.image_topic = _image_topic(bag, self._path, image_topic)
            self.info_topic = _info_topic(bag, self._path, self.image_topic, info_topic)
            count = sum(one.msgcount for one in bag.connections
                        if one.topic == self.image_topic)
            rate_hz = (count - 1) * 1e9 / max(bag.duration - 1, 1)
            self.depth_topic = _depth_topic(bag, self._path, depth_topic)
            self._first_info = next(self._messages(bag, [self.info_topic]), (None, None))[1]
        self._max_frames = None
        with closing(iter(self)) as frames:
            first = next(frames, None)
        if first is None:
            raise SourceError(f'{self._path} holds no image that can be read on '
                              f'{self.image_topic}: {self._told() or "the topic is empty"}')
        rate_hz = rate_hz if 0.1 < rate_hz < 1000 else DEFAULT_RATE_HZ
        super().__init__(str(path), rate_hz, count, first.image_rgb, False, max_frames)

    def __iter__(self) -> Generator[Frame, None, None]:
        """Yield what can be read, in the order of the bag, and count the rest."""
        self.skipped, self.warned, self.texts = Counter(), Counter(), {}
        for index, frame in enumerate(self._frames()):
            yield replace(frame, index=index)
            if index + 1 == self._max_frames:
                return

    def _frames(self) -> Iterator[Frame]:
        """Yield images, each with the depth that belongs to it, which may come just after."""
        decoder = FrameDecoder(self._fov_deg or 0.0, self._warn, self.info_topic or 'camera_info',
                               StampOrder(TrackingConfig(late_s=self._late_s)), self._images_are,
                               self.image_topic)
        decoder.set_camera_info(self._first_info)
        depth, newest_ns = DepthSynchronizer(), 0
        waiting: List[Frame] = []
        with self._open() as bag:
            topics = [self.image_topic, self.info_topic, self.depth_topic]
            for topic, message in self._messages(bag, topics):
                if topic == self.info_topic:
                    decoder.set_camera_info(message)
                elif topic == self.image_topic:
                    waiting += self._read(decoder, message)
                else:
                    depth.put(message)
                    newest_ns = max(newest_ns, ns_from_stamp(message.header.stamp))
                while waiting and (not self.depth_topic or len(waiting) > _WAITING
                                   or newest_ns >= waiting[0].stamp_ns):
                    yield self._with_depth(waiting.pop(0), depth)
            yield from (self._with_depth(frame, depth) for frame in waiting)

    def _read(self, decoder: FrameDecoder, message) -> List[Frame]:
        """Return the frame of an image, or none and count why."""
        try:
            stamp_ns, image_rgb, notes = decoder.decode(message)
        except RejectedFrame as error:
            self._skip(error.fault, str(error))
            return []
        decoder.mark_processed(stamp_ns)
        for name, text in notes.items():
            self._warn(name, text)
        height, width = image_rgb.shape[:2]
        camera = decoder.calibrated_camera(width, height) if self._fov_deg else None
        return [Frame(image_rgb, stamp_ns, 0, camera)]

    def _with_depth(self, frame: Frame, depth: DepthSynchronizer) -> Frame:
        """Return the frame with its depth, where there is one."""
        message = depth.match(frame.stamp_ns) if self.depth_topic else None
        if message is None:
            return frame
        try:
            return replace(frame, depth_m=depth_from_image(message))
        except InputError as error:
            self._warn('depth_invalid', str(error))
            return frame

    def remarks(self) -> List[str]:
        """Return which topics were read, and what was wrong."""
        depth = f', depth of {self.depth_topic}' if self.depth_topic else ''
        return [f'images of {self.image_topic}, calibration of {self.info_topic or "nowhere"}'
                f'{depth}',
                *([f'{self.name} has no whole metadata.yaml, its files were read without it; to '
                   f'make one: ros2 bag reindex {self.name}'] if self._undescribed else []),
                *([told] if (told := self._told()) else [])]

    def _told(self) -> str:
        """Return every fault with its count and its first text."""
        return '\n'.join(
            f'{what} {count}: {name} ({self.texts[name]})'
            for what, counter in (('skipped', self.skipped), ('warned', self.warned))
            for name, count in sorted(counter.items()))

    def _skip(self, fault: str, text: str):
        self.skipped[fault] += 1
        self.texts.setdefault(fault, text)

    def _warn(self, fault: str, text: str):
        self.warned[fault] += 1
        self.texts.setdefault(fault, text)

    @contextmanager
    def _open(self):
        """Hand out the opened bag; what rosbags makes of a damaged one becomes a SourceError."""
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import get_typestore, Stores
        except ImportError as error:
            raise BackendError(f'a bag is read by rosbags ({error}): pip install rosbags'
                               ) from error
        try:
            bag = AnyReader(self._parts, default_typestore=get_typestore(Stores.ROS2_JAZZY))
            bag.open()
        except Exception as error:  # what its parsers, sqlite3 and zstd raise comes through
            raise SourceError(f'{self._path} cannot be read as a bag: {error}; '
                              f'{self._how_to_mend()}') from error
        try:
            yield bag
        finally:
            bag.close()

    def _how_to_mend(self) -> str:
        """Return what gets the rest out of a file whose end is missing."""
        files = [one for one in bag_files(self._path) if one.suffix in _RECOVER]
        return ('copy it again; where its recorder was killed, what is in it comes out with: '
                + _RECOVER[files[0].suffix].format(shlex.quote(str(files[0])))
                if files else f'check it with: ros2 bag info {self._path}')

    def _messages(self, bag, topics) -> Iterator[tuple]:
        """Yield (topic, message) of the topics; one that cannot be parsed is counted."""
        wanted = [one for one in bag.connections if one.topic in topics]
        raw = bag.messages(wanted) if wanted else iter(())
        while True:
            try:
                connection, _, data = next(raw)
            except StopIteration:
                return
            except Exception as error:
                raise SourceError(f'{self._path} breaks off: {type(error).__name__}: {error}; '
                                  'copy it again, or read only its good part with --max-frames'
                                  ) from error
            try:
                message = bag.deserialize(data, connection.msgtype)
            except Exception as error:  # whatever its parser makes of bytes that are no message
                (self._skip if connection.topic == self.image_topic else self._warn)(
                    'message_unreadable', f'{connection.topic}: {type(error).__name__}: {error}')
                continue
            yield connection.topic, _Info1(message) if hasattr(message, 'K') else message


class _Info1:
    """A sensor_msgs/CameraInfo of ROS 1, whose matrices have names of capital letters."""

    def __init__(self, message):
        """Keep the message."""
        self._message = message

    def __getattr__(self, name: str):
        return getattr(self._message, name.upper() if name in ('d', 'k', 'r', 'p') else name)


def _image_topic(bag, path, wanted: Optional[str]) -> str:
    """Return the topic to read, or say which there are."""
    topics = sorted({one.topic for one in bag.connections if one.msgtype in _KINDS})
    if wanted is not None:
        found = [_named(topics, wanted, f'images in {path}')]
    else:
        found = [one for one in topics if not any(word in one.lower() for word in _NOT_SEEN)]
        # of the same pictures twice take those that the node reads unless it is told otherwise
        found = [one for one in found if one.removesuffix('/compressed') == one
                 or one.removesuffix('/compressed') not in found]
    if len(found) != 1:
        raise SourceError(f'topics of images in {path}: {", ".join(topics) or "none"}; '
                          + ('choose one with --image-topic' if topics else
                             'record one of sensor_msgs/Image or CompressedImage'))
    return found[0]


def _info_topic(bag, path, image_topic: str, wanted: Optional[str]) -> Optional[str]:
    """Return the topic of the calibration: the named one, that beside the images, or the only."""
    topics = sorted({one.topic for one in bag.connections if one.msgtype == _INFO})
    if wanted is not None:
        return _named(topics, wanted, f'camera_info in {path}')
    # image_transport: the calibration lies beside the images, whatever carries them
    folder = image_topic.removesuffix('/compressed').rpartition('/')[0]
    if f'{folder}/camera_info' in topics:
        return f'{folder}/camera_info'
    return topics[0] if len(topics) == 1 else None


def _depth_topic(bag, path, wanted: Optional[str]) -> Optional[str]:
    """Return the topic of the depth that was asked for."""
    topics = sorted({one.topic for one in bag.connections if one.msgtype in _KINDS})
    return None if wanted is None else _named(topics, wanted, f'images in {path}')


def _named(topics: List[str], wanted: str, what: str) -> str:
    """Return the topic of that name, with or without its first slash, or what is below it."""
    for below in ('', *_BELOW):
        for topic in topics:
            if topic.lstrip('/') == wanted.lstrip('/') + below:
                return topic
    raise SourceError(f'topics of {what}: {", ".join(topics) or "none"}; {wanted} is not among '
                      'them')
