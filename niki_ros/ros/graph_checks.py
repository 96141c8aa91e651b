"""Checks of the ROS graph: wrong or missing publishers and duplicate nodes, as faults by name."""

from typing import Dict, List

from niki_ros.ros.topics import type_name
from sensor_msgs.msg import CompressedImage, Image

# transports of image_transport; their topics are below that of the raw images
_TRANSPORTS = ('compressed', 'compressedDepth', 'ffmpeg', 'theora', 'zstd', 'foxglove')
_MAX_LISTED_TOPICS = 5


def other_publishers(node, topic: str) -> List[str]:
    """Return the sorted full names of the other nodes that publish on a topic."""
    own = node.get_fully_qualified_name()
    return sorted(set(_node_names(node.get_publishers_info_by_topic(topic))) - {own})


def duplicate_node_faults(node, topic: str) -> Dict[str, str]:
    """Return name → text of the fault of a shared node name or, if given, a shared ``topic``."""
    own = node.get_fully_qualified_name()
    count = node.get_node_names_and_namespaces().count((node.get_name(), node.get_namespace()))
    if count > 1:
        return {'name_shared': f'there are {count} nodes of the name {own}: every message is '
                               'published by each of them, and only one of them answers services'}
    others = other_publishers(node, topic) if topic else []
    if others:
        return {'outputs_shared': f'{" and ".join(others)} publish on {topic} too: bodies arrive '
                                  'twice, and their frames jump'}
    return {}


def alternatives_text(node, topic: str, *kinds: type) -> str:
    """Return a text about other topics with these types, '' if ``topic`` has a publisher."""
    if node.count_publishers(topic):
        return ''
    wanted = {type_name(kind) for kind in kinds}
    own = {name for name, _ in node.get_publisher_names_and_types_by_node(
        node.get_name(), node.get_namespace())}
    found = sorted(name for name, types in node.get_topic_names_and_types()
                   if wanted & set(types) and name not in own and node.count_publishers(name))
    hidden_count = len(found) - _MAX_LISTED_TOPICS
    more = f' and {hidden_count} more' if hidden_count > 0 else ''
    return f'; published instead: {", ".join(found[:_MAX_LISTED_TOPICS])}{more}' if found else ''


def subscription_faults(node, topic: str, kind: type) -> Dict[str, str]:
    """Return name → text of the fault that keeps messages of ``kind`` from arriving on a topic."""
    publishers = node.get_publishers_info_by_topic(topic)
    types = {one.topic_type for one in publishers}
    if types and type_name(kind) not in types:
        return {'topic_type_differs': f'{topic} has messages of type {", ".join(sorted(types))}; '
                                      f'the node expects {type_name(kind)}'}
    if kind in (Image, CompressedImage) and len(publishers) > 1:
        return {'publishers_several': f'{topic} has {len(publishers)} publishers: '
                                      f'{", ".join(_node_names(publishers))}; their images are '
                                      'processed as those of one camera'}
    if types:
        return {}
    raw_topic, _, transport = topic.rpartition('/')
    if transport in _TRANSPORTS and node.count_publishers(raw_topic):
        return {'transport_differs': f'no publisher on {topic}, but on {raw_topic}, which is raw'}
    found = [f'{topic}/{name}' for name in _TRANSPORTS if node.count_publishers(f'{topic}/{name}')]
    if found:
        return {'transport_differs': f'no publisher on {topic}, but on {" and ".join(found)}'}
    return {}


def _node_names(endpoints) -> List[str]:
    """Return the sorted full names of the nodes of endpoints; some are not known at first."""
    return sorted(f'{one.node_namespace.rstrip("/")}/{one.node_name}' for one in endpoints
                  if 'NODE_NAME_UNKNOWN' not in one.node_name)
