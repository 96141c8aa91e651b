"""QoS profiles of the topics, by the settings; ``qos_overrides.`` parameters win over them."""

from typing import Callable

from niki_ros.ros.settings import QosConfig

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks  # type: ignore
from rclpy.qos import DurabilityPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

TF_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
STATIC_TF_QOS = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE,
                           durability=DurabilityPolicy.TRANSIENT_LOCAL)
LATCHED_QOS = QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE,
                         durability=DurabilityPolicy.TRANSIENT_LOCAL)


def overridable() -> QoSOverridingOptions:
    """Return the option by which ``qos_overrides./TOPIC.subscription.depth`` etc. take effect."""
    return QoSOverridingOptions([QoSPolicyKind.DEPTH, QoSPolicyKind.DURABILITY,
                                 QoSPolicyKind.HISTORY, QoSPolicyKind.RELIABILITY])


def image_qos(config: QosConfig) -> QoSProfile:
    """Return the profile of subscriptions to images, depth and detections."""
    return _profile(config.image_depth, config.image_reliability)


def info_qos(config: QosConfig) -> QoSProfile:
    """Return the profile of the subscription to camera_info."""
    return _profile(1, config.info_reliability, config.info_durability)


def output_qos(config: QosConfig, depth: int = 0) -> QoSProfile:
    """Return the profile of the published topics; depth 0 = that of the settings."""
    return _profile(depth or config.output_depth, config.output_reliability,
                    config.output_durability)


def on_incompatible_qos(act: Callable[[str], None]) -> SubscriptionEventCallbacks:
    """Return event callbacks that call ``act`` with the policy that a publisher does not offer."""
    def incompatible(event):
        act(QoSPolicyKind(event.last_policy_kind).name.lower())
    return SubscriptionEventCallbacks(incompatible_qos=incompatible, use_default_callbacks=False)


def _profile(depth: int, reliability: str, durability: str = 'volatile') -> QoSProfile:
    # a new profile each time: overrides change the profile in place
    return QoSProfile(depth=depth, reliability=ReliabilityPolicy[reliability.upper()],
                      durability=DurabilityPolicy[durability.upper()])
