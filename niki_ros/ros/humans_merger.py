"""The node ``humans_merger``: merges the REP-155 lists of people of several nodes into one."""

from fnmatch import fnmatchcase
import sys
import time
from typing import Any, Dict, List, NamedTuple, Tuple

from niki_ros.common.errors import ConfigError
from niki_ros.ros.parameters import NodeParameters
from niki_ros.ros.process import ProcessNode, run_node
from niki_ros.ros.ros4hri import hri_message, TRACKED_TOPIC
from niki_ros.ros.settings import MergerConfig
from niki_ros.ros.topics import type_name
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy

_DISCOVERY_PERIOD_S = 0.2
_LOG_PERIOD_S = 5.0
_OUTPUT_QOS = QoSProfile(depth=10)
# compatible with reliable and best-effort publishers
_INPUT_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class _IdList(NamedTuple):
    header: Any
    ids: List[str]
    arrival_s: float


class IdLists:
    """The newest list of ids of each topic."""

    def __init__(self):
        self._lists: Dict[str, _IdList] = {}

    def put(self, topic: str, message, now_s: float) -> None:
        """Replace the list of a topic."""
        self._lists[topic] = _IdList(message.header, list(message.ids), now_s)

    def drop_older(self, than_s: float) -> Dict[str, List[str]]:
        """Remove lists that arrived before a time; return topic → ids of non-empty ones."""
        old = {topic: one.ids for topic, one in self._lists.items() if one.arrival_s < than_s}
        for topic in old:
            del self._lists[topic]
        return {topic: ids for topic, ids in old.items() if ids}

    def merged(self) -> List[str]:
        """Return every id once, in the order of the topics."""
        return list(dict.fromkeys(
            one for topic in sorted(self._lists) for one in self._lists[topic].ids))

    def newest_header(self) -> Any:
        """Return the header with the latest stamp, None without lists."""
        return max((one.header for one in self._lists.values()), default=None,
                   key=lambda header: (header.stamp.sec, header.stamp.nanosec))

    def duplicates(self) -> Dict[str, Tuple[str, ...]]:
        """Return id → topics of the ids in several lists, whose nodes need an ``id_prefix``."""
        topics: Dict[str, List[str]] = {}
        for topic in sorted(self._lists):
            for one in self._lists[topic].ids:
                topics.setdefault(one, []).append(topic)
        return {one: tuple(found) for one, found in topics.items() if len(found) > 1}


class HumansMerger(ProcessNode, Node):
    """Publishes the merged list on /humans/bodies/tracked after every list that arrives."""

    def __init__(self, **options):
        super().__init__('humans_merger', **options)
        self.config = MergerConfig()
        NodeParameters(self, self.config)
        try:
            self._type = hri_message('IdsList')
        except ImportError as error:
            raise ConfigError(f'hri_msgs is not installed ({error}): sudo apt install '
                              'ros-$ROS_DISTRO-hri-msgs') from error
        self._lists, self._last_header = IdLists(), None
        self._output = self.create_publisher(self._type, TRACKED_TOPIC, _OUTPUT_QOS)
        self._inputs: Dict[str, Any] = {}
        # not the clock of the node, which stands still with use_sim_time while a bag is paused
        self.create_timer(_DISCOVERY_PERIOD_S, self._on_timer,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._on_timer()

    @property
    def input_topics(self) -> List[str]:
        """Return the topics of the subscriptions."""
        return list(self._inputs)

    def close(self) -> None:
        """Publish an empty list."""
        if self._last_header is not None:
            self._output.publish(self._type(header=self._last_header))

    def _on_timer(self) -> None:
        """Subscribe to new topics; drop the lists of silent ones."""
        wanted = type_name(self._type)
        for topic, types in self.get_topic_names_and_types():
            if topic not in self._inputs and wanted in types and self._is_input(topic):
                self._inputs[topic] = self.create_subscription(
                    self._type, topic,
                    lambda message, topic=topic: self._on_list(topic, message), _INPUT_QOS)
                self.get_logger().info(f'reading {topic}')
        dropped = self._lists.drop_older(time.monotonic() - self.config.silent_s)
        for topic, ids in dropped.items():
            self.get_logger().warning(f'no list on {topic} for {self.config.silent_s:g} s: '
                                      f'{", ".join(ids)} removed')
        if dropped:
            self._publish()

    def _is_input(self, topic: str) -> bool:
        return topic != self._output.topic_name and any(
            fnmatchcase(topic, pattern) for pattern in self.config.inputs)

    def _on_list(self, topic: str, message) -> None:
        self._lists.put(topic, message, time.monotonic())
        for one, topics in self._lists.duplicates().items():
            self.get_logger().warning(
                f'{one} is on {" and ".join(topics)}: give each node an id_prefix of its own',
                throttle_duration_sec=_LOG_PERIOD_S)
        self._publish()

    def _publish(self) -> None:
        self._last_header = self._lists.newest_header() or self._last_header
        self._output.publish(self._type(header=self._last_header, ids=self._lists.merged()))


def main(args=None) -> int:
    return run_node(HumansMerger, args, 'humans_merger')


if __name__ == '__main__':
    sys.exit(main())
