"""Subscriptions of the node with the QoS of the settings; incompatible publishers are a fault."""

from typing import Callable, Set

from niki_ros.ros.faults import FaultLog
from niki_ros.ros.graph_checks import subscription_faults
from niki_ros.ros.qos import on_incompatible_qos, overridable
from niki_ros.ros.settings import QosConfig
from rclpy.qos import QoSProfile


class Subscriptions:
    """Creates subscriptions, reports what prevents their messages, and destroys them together."""

    def __init__(self, node, config: QosConfig, faults: FaultLog):
        self._node, self._config, self._faults = node, config, faults
        self._subscriptions: list = []
        # full names of topics with an incompatible publisher and no message since
        self._incompatible: Set[str] = set()

    def add(self, kind: type, topic: str, callback: Callable,
            profile: Callable[[QosConfig], QoSProfile]) -> None:
        """Subscribe with ``callback(message)``."""
        self.add_with_info(kind, topic, lambda message, _: callback(message), profile)

    def add_with_info(self, kind: type, topic: str, callback: Callable,
                      profile: Callable[[QosConfig], QoSProfile]) -> None:
        """Subscribe with ``callback(message, message_info)``."""
        name = self._node.resolve_topic_name(topic)

        def on_incompatible(policy: str):
            self._incompatible.add(name)
            self._faults.hold('qos_incompatible', f'{name}: a publisher offers less {policy} than '
                              'the subscription requests, so its messages do not arrive')

        def on_message(message, info):
            if name in self._incompatible:
                self._incompatible.remove(name)
                if not self._incompatible:
                    self._faults.release('qos_incompatible')
            callback(message, info)
        self._subscriptions.append(self._node.create_subscription(
            kind, topic, on_message, profile(self._config),
            event_callbacks=on_incompatible_qos(on_incompatible),
            qos_overriding_options=overridable()))

    def check(self) -> None:
        """Report topics without a publisher of the right type and transport, or with several."""
        for subscription in self._subscriptions:
            self._faults.warn_all(subscription_faults(
                self._node, subscription.topic_name, subscription.msg_type))

    def destroy(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
