"""Reader of the messages of a bag by rosbags; no ROS is needed."""

from __future__ import annotations

import shlex
from types import SimpleNamespace
from typing import Any, Callable, Iterable, Iterator, List, Optional, Tuple

from niki_ros.common.errors import BackendError, SourceError
from niki_ros.sources.bag_files import bag_files, paths_for_rosbags, ROS_1

IMAGE_TYPES = ('sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage')
CAMERA_INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
# suffix → command that recovers the messages of a bag whose recorder was killed
_RECOVERY_COMMANDS = {
    '.mcap': 'mcap recover {0} -o whole.mcap',
    '.db3': 'sqlite3 {0} .recover | sqlite3 whole.db3',
    ROS_1: 'rosbag reindex {0}',
}


class BagReader:
    """
    An open bag of ROS 2 (sqlite3, MCAP) or ROS 1; a context manager.

    :ivar path: the folder or the only file of the bag.
    :raises SourceError: when it cannot be opened, with a command that repairs it.
    :raises BackendError: when rosbags is not installed.
    """

    def __init__(self, path):
        paths = paths_for_rosbags(path)
        self.path = paths[0] if len(paths) == 1 else path
        try:
            from rosbags.highlevel import AnyReader
            from rosbags.typesys import get_typestore, Stores
        except ImportError as error:
            raise BackendError(f'rosbags, which reads bags, is not installed ({error}): '
                               'pip install rosbags') from error
        try:
            self._reader = AnyReader(paths, default_typestore=get_typestore(Stores.ROS2_JAZZY))
            self._reader.open()
        except Exception as error:  # rosbags passes on errors of its parsers, sqlite3 and zstd
            raise SourceError(f'{self.path} cannot be read as a bag: {error}; {self._remedy()}'
                              ) from error

    def __enter__(self) -> BagReader:
        return self

    def __exit__(self, *_):
        self._reader.close()

    @property
    def duration_ns(self) -> int:
        """Time between the first and the last message of all topics."""
        return self._reader.duration - 1

    def topics(self, *types: str) -> List[str]:
        """Return the topics with one of the message types, sorted."""
        return sorted({one.topic for one in self._reader.connections if one.msgtype in types})

    def message_count(self, topic: str) -> int:
        """Return the number of messages on a topic."""
        return sum(one.msgcount for one in self._reader.connections if one.topic == topic)

    def messages(self, topics: Iterable[Optional[str]],
                 on_unreadable: Callable[[str, str], Any]) -> Iterator[Tuple[str, Any]]:
        """Yield topic and message as recorded; ``on_unreadable`` gets topic and error text."""
        wanted = [one for one in self._reader.connections if one.topic in topics]
        raw = self._reader.messages(wanted) if wanted else iter(())
        while True:
            try:
                connection, _, data = next(raw)
            except StopIteration:
                return
            except Exception as error:  # as for opening
                raise SourceError(f'{self.path} breaks off: {type(error).__name__}: {error}; '
                                  'copy it again, or read only its good part with --max-frames'
                                  ) from error
            try:
                message = self._reader.deserialize(data, connection.msgtype)
            except Exception as error:  # any error of a parser on arbitrary bytes
                on_unreadable(connection.topic, f'{type(error).__name__}: {error}')
                continue
            if connection.msgtype == CAMERA_INFO_TYPE:
                message = _with_ros_2_names(message)
            yield connection.topic, message

    def first_message(self, topic: Optional[str]):
        """Return the first readable message on a topic; None when there is none."""
        return next(self.messages([topic], lambda *_: None), (None, None))[1]

    def _remedy(self) -> str:
        files = [one for one in bag_files(self.path) if one.suffix in _RECOVERY_COMMANDS]
        if not files:
            return f'check it with: ros2 bag info {self.path}'
        command = _RECOVERY_COMMANDS[files[0].suffix].format(shlex.quote(str(files[0])))
        return ('copy it again; where its recorder was killed, its messages are recovered with: '
                f'{command}')


def _with_ros_2_names(info) -> SimpleNamespace:
    """Return a CameraInfo with the field names of ROS 2; those of ROS 1 have capital letters."""
    return SimpleNamespace(**{name.lower(): value for name, value in vars(info).items()})
