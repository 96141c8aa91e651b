"""One list of everybody, as REP-155 has it, out of the lists of several nodes."""

from __future__ import annotations

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

_LOOK_S = 0.2
_LOG_PERIOD_S = 5.0
_LISTS_QOS = QoSProfile(depth=10)
# hears publishers of either kind
_ANY_QOS = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)


class _List(NamedTuple):
    header: Any
    ids: List[str]
    heard_s: float


class IdLists:
    """The last list of every topic."""

    def __init__(self):
        """Nobody is there."""
        self._lists: Dict[str, _List] = {}

    def put(self, topic: str, message, now_s: float):
        """Take what came on a topic."""
        self._lists[topic] = _List(message.header, list(message.ids), now_s)

    def drop_older(self, than_s: float) -> Dict[str, List[str]]:
        """Forget the lists that came before; return those that were not empty."""
        old = {topic: one.ids for topic, one in self._lists.items() if one.heard_s < than_s}
        for topic in old:
            del self._lists[topic]
        return {topic: ids for topic, ids in old.items() if ids}

    def everybody(self) -> List[str]:
        """Return every id once, in the order of topics."""
        return list(dict.fromkeys(
            one for topic in sorted(self._lists) for one in self._lists[topic].ids))

    def newest_header(self) -> Any:
        """Return the header with the latest stamp, None where there is no list."""
        return max((one.header for one in self._lists.values()), default=None,
                   key=lambda header: (header.stamp.sec, header.stamp.nanosec))

    def twice(self) -> Dict[str, Tuple[str, ...]]:
        """Return id → topics of those that several lists have: the nodes' ids are not apart."""
        topics: Dict[str, List[str]] = {}
        for topic in sorted(self._lists):
            for one in self._lists[topic].ids:
                topics.setdefault(one, []).append(topic)
        return {one: tuple(found) for one, found in topics.items() if len(found) > 1}


class HumansMerger(ProcessNode, Node):
    """Publishes the union of all lists on /humans/bodies/tracked whenever one of them comes."""

    def __init__(self, **options):
        """
        Look for lists, and go on looking.

        :raises ConfigError: without hri_msgs.
        """
        super().__init__('humans_merger', **options)
        self.config = MergerConfig()
        NodeParameters(self, self.config)
        try:
            self._kind = hri_message('IdsList')
        except ImportError as error:
            raise ConfigError(f'hri_msgs is not installed ({error}): sudo apt install '
                              'ros-$ROS_DISTRO-hri-msgs') from error
        self._lists, self._last = IdLists(), None
        self._output = self.create_publisher(self._kind, TRACKED_TOPIC, _LISTS_QOS)
        self._inputs: Dict[str, Any] = {}
        # not the node's own clock: with use_sim_time that stands still where a bag is paused
        self._timer = self.create_timer(_LOOK_S, self._look,
                                        clock=Clock(clock_type=ClockType.STEADY_TIME))
        self._look()

    def close(self):
        """Nobody is tracked once this ends."""
        if self._last is not None:
            self._output.publish(self._kind(header=self._last))

    def _look(self):
        """Subscribe to lists that are new; drop those that do not come any more."""
        wanted = type_name(self._kind)
        for topic, kinds in self.get_topic_names_and_types():
            if topic not in self._inputs and wanted in kinds and self._is_input(topic):
                self._inputs[topic] = self.create_subscription(
                    self._kind, topic,
                    lambda message, topic=topic: self._heard(topic, message), _ANY_QOS)
                self.get_logger().info(f'reading {topic}')
        gone = self._lists.drop_older(time.monotonic() - self.config.silent_s)
        for topic, ids in gone.items():
            self.get_logger().warning(f'nothing on {topic} for {self.config.silent_s:g} s: '
                                      f'{", ".join(ids)} counted as gone')
        if gone:
            self._publish()

    def _is_input(self, topic: str) -> bool:
        return topic != self._output.topic_name and any(
            fnmatchcase(topic, pattern) for pattern in self.config.inputs)

    def _heard(self, topic: str, message):
        self._lists.put(topic, message, time.monotonic())
        for one, topics in self._lists.twice().items():
            self.get_logger().warning(
                f'{one} is on {" and ".join(topics)}: give each node its own id_prefix',
                throttle_duration_sec=_LOG_PERIOD_S)
        self._publish()

    def _publish(self):
        """Publish everybody, with the newest header."""
        self._last = self._lists.newest_header() or self._last
        self._output.publish(self._kind(header=self._last, ids=self._lists.everybody()))


def main(args=None) -> int:
    """Run the node."""
    return run_node(HumansMerger, args, 'humans_merger')


if __name__ == '__main__':
    sys.exit(main())
