"""Frames of the images in a bag, decoded like in the node."""

from collections import Counter
from contextlib import closing
from dataclasses import replace
from typing import Dict, Generator, Iterator, List

from niki_ros.common.errors import InputError, SourceError
from niki_ros.common.settings import TrackingConfig
from niki_ros.messages.depth import depth_from_image, DepthSynchronizer
from niki_ros.messages.frame_decoder import FrameDecoder, RejectedFrame
from niki_ros.messages.stamps import ns_from_stamp
from niki_ros.scene.stamp_order import StampOrder
from niki_ros.sources.bag_files import lacks_metadata
from niki_ros.sources.bag_reader import BagReader
from niki_ros.sources.bag_topics import choose_image_topic, choose_info_topic
from niki_ros.sources.frame_source import (
    DEFAULT_RATE_HZ,
    Frame,
    FrameSource,
    MAX_RATE_HZ,
    SourceOptions,
)

_MIN_RATE_HZ = 0.1
_MAX_WAITING_FRAMES = 2  # for their depth


class BagSource(FrameSource):
    """
    Images of one topic with their camera and depth; stamps are those of the messages.

    Faults of messages are counted by the names that the node gives them, and reading continues.

    :ivar skipped: name of the fault → number of images that were skipped for it.
    :ivar warned: name of the fault → number of images that were used in spite of it.
    """

    def __init__(self, path, options: SourceOptions):
        if options.loop or options.rate_hz is not None:
            raise SourceError(f'{path} is a bag with its own stamps; leave out rate and loop')
        self._path, self._options = path, options
        self._reset_faults()
        with BagReader(path) as bag:
            self.image_topic = choose_image_topic(bag, options.image_topic)
            self.info_topic = choose_info_topic(bag, self.image_topic, options.info_topic)
            self.depth_topic = (options.depth_topic
                                and choose_image_topic(bag, options.depth_topic))
            count = bag.message_count(self.image_topic)
            rate_hz = (count - 1) * 1e9 / max(bag.duration_ns, 1)
            self._first_info = bag.first_message(self.info_topic)
            bag_path = bag.path
        with closing(self._frames()) as frames:
            first = next(frames, None)
        if first is None:
            raise SourceError(f'{bag_path} holds no image that can be read on {self.image_topic}: '
                              f'{self._fault_summary() or "the topic is empty"}')
        super().__init__(str(path), rate_hz if _MIN_RATE_HZ < rate_hz < MAX_RATE_HZ
                         else DEFAULT_RATE_HZ, count, first.image_rgb, options)

    def __iter__(self) -> Generator[Frame, None, None]:
        """Yield the usable images; raise a SourceError where the bag is damaged."""
        self._reset_faults()
        for index, frame in enumerate(self._frames()):
            yield replace(frame, index=index)
            if index + 1 == self._options.max_frames:
                return

    def remarks(self) -> List[str]:
        """Return the topics that were read and the faults of their messages."""
        depth = f', depth of {self.depth_topic}' if self.depth_topic else ''
        lines = [f'images of {self.image_topic}, calibration of {self.info_topic or "nowhere"}'
                 f'{depth}']
        if lacks_metadata(self._path):
            lines.append(f'{self.name} has no complete metadata.yaml, its files were read without '
                         f'it; to create one: ros2 bag reindex {self.name}')
        return lines + ([faults] if (faults := self._fault_summary()) else [])

    def _frames(self) -> Generator[Frame, None, None]:
        """Yield images, each with its depth, which may be recorded just after it."""
        decoder = FrameDecoder(self._options.fov_deg or 0.0, self._warn,
                               self.info_topic or 'camera_info',
                               StampOrder(TrackingConfig(late_s=self._options.late_s)),
                               self._options.images, self.image_topic)
        decoder.set_camera_info(self._first_info)
        depth, newest_depth_ns = DepthSynchronizer(), 0
        waiting: List[Frame] = []
        with BagReader(self._path) as bag:
            topics = [self.image_topic, self.info_topic, self.depth_topic]
            for topic, message in bag.messages(topics, self._count_unreadable):
                if topic == self.info_topic:
                    decoder.set_camera_info(message)
                elif topic == self.image_topic:
                    waiting += self._decoded(decoder, message)
                else:
                    depth.put(message)
                    newest_depth_ns = max(newest_depth_ns, ns_from_stamp(message.header.stamp))
                while waiting and (not self.depth_topic or len(waiting) > _MAX_WAITING_FRAMES
                                   or newest_depth_ns >= waiting[0].stamp_ns):
                    yield self._with_depth(waiting.pop(0), depth)
            yield from (self._with_depth(frame, depth) for frame in waiting)

    def _decoded(self, decoder: FrameDecoder, message) -> Iterator[Frame]:
        """Yield one frame, or none where the message is rejected."""
        try:
            stamp_ns, image_rgb, notes = decoder.decode(message)
        except RejectedFrame as error:
            self._skip(error.fault, str(error))
            return
        decoder.mark_processed(stamp_ns)
        for name, text in notes.items():
            self._warn(name, text)
        reads_calibration = self._options.fov_deg is not None
        camera = (decoder.calibrated_camera(*image_rgb.shape[1::-1]) if reads_calibration
                  else None)
        yield Frame(image_rgb, stamp_ns, 0, camera)

    def _with_depth(self, frame: Frame, depth: DepthSynchronizer) -> Frame:
        message = depth.match(frame.stamp_ns) if self.depth_topic else None
        if message is None:
            return frame
        try:
            return replace(frame, depth_m=depth_from_image(message))
        except InputError as error:
            self._warn('depth_invalid', str(error))
            return frame

    def _reset_faults(self):
        self.skipped: Counter = Counter()
        self.warned: Counter = Counter()
        self._first_texts: Dict[str, str] = {}

    def _skip(self, fault: str, text: str):
        self.skipped[fault] += 1
        self._first_texts.setdefault(fault, text)

    def _warn(self, fault: str, text: str):
        self.warned[fault] += 1
        self._first_texts.setdefault(fault, text)

    def _count_unreadable(self, topic: str, text: str):
        count = self._skip if topic == self.image_topic else self._warn
        count('message_unreadable', f'{topic}: {text}')

    def _fault_summary(self) -> str:
        """Return a line for each fault: how often it occurred and its first text."""
        return '\n'.join(
            f'{effect} {count}: {name} ({self._first_texts[name]})'
            for effect, counts in (('skipped', self.skipped), ('warned', self.warned))
            for name, count in sorted(counts.items()))
