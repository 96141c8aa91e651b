"""Where images come from: topics by the rules of image_transport, and what is on them instead."""

from __future__ import annotations

from typing import Dict, List, Tuple

from sensor_msgs.msg import CompressedImage, Image

# transports of image_transport, each below the topic of the raw images
_TRANSPORTS = ('compressed', 'compressedDepth', 'ffmpeg', 'theora', 'zstd', 'foxglove')
_MOST_NAMES = 5
_COMPRESSED = ('/compressed', '/compressedDepth')


def image_topic(node, transport: str) -> Tuple[str, type]:
    """Return topic and type of the images: below the remapped image, as image_transport has it."""
    remapped = node.resolve_topic_name('image')
    # the remap names it itself: there is nothing below it, and nothing raw on it
    if remapped.endswith(_COMPRESSED):
        return 'image', CompressedImage
    if transport != 'compressed':
        return 'image', Image
    name = 'image/compressed'
    if node.resolve_topic_name(name) != node.resolve_topic_name(name, only_expand=True):
        return name, CompressedImage
    return f'{remapped}/compressed', CompressedImage


def depth_topic(node) -> Tuple[str, type]:
    """Return topic and type of the depth: compressed where its name says so."""
    compressed = node.resolve_topic_name('depth').endswith(_COMPRESSED)
    return 'depth', CompressedImage if compressed else Image


def type_name(kind: type) -> str:
    """Return the name of a type of messages, as the graph and bags have it."""
    return f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'


def others_who_publish(node, topic: str) -> List[str]:
    """Return the full names of the other nodes that publish on a topic, in order."""
    own = node.get_fully_qualified_name()
    return sorted(set(_nodes_of(node.get_publishers_info_by_topic(topic))) - {own})


def who_doubles(node, topic: str) -> Dict[str, str]:
    """
    Return by name who publishes the same bodies a second time, as far as the graph shows it.

    :param topic: one of the bodies, empty while nothing is published.
    """
    own = node.get_fully_qualified_name()
    same = node.get_node_names_and_namespaces().count((node.get_name(), node.get_namespace()))
    if same > 1:
        return {'name_shared': f'there are {same} nodes of the name {own}: all that they publish '
                               'comes as often, and services answer for one of them'}
    others = others_who_publish(node, topic) if topic else []
    if others:
        return {'outputs_shared': f'{" and ".join(others)} publish on {topic} too: bodies come '
                                  'twice, and their frames jump'}
    return {}


def elsewhere(node, topic: str, *kinds: type) -> str:
    """
    Return words that name the topics of these types that others publish; '' where there are none.

    :param topic: full name of the one that is read; nothing is said where it has a publisher.
    """
    if node.count_publishers(topic):
        return ''
    wanted = {type_name(kind) for kind in kinds}
    own = {name for name, _ in node.get_publisher_names_and_types_by_node(
        node.get_name(), node.get_namespace())}
    there = [name for name, types in node.get_topic_names_and_types()
             if wanted & set(types) and name not in own and node.count_publishers(name)]
    more = f' and {len(there) - _MOST_NAMES} more' if len(there) > _MOST_NAMES else ''
    return f'; there is {", ".join(sorted(there)[:_MOST_NAMES])}{more}' if there else ''


def what_is_there_instead(node, topic: str, kind: type) -> Dict[str, str]:
    """
    Return by name why nothing can arrive on a topic, as far as the graph shows it.

    :param topic: full name. :param kind: type of the messages that are read.
    """
    wanted = type_name(kind)
    types = {one.topic_type for one in node.get_publishers_info_by_topic(topic)}
    if types and wanted not in types:
        return {'topic_type_differs': f'{topic} carries {", ".join(sorted(types))}, and '
                                      f'{wanted} is read'}
    senders = node.get_publishers_info_by_topic(topic)
    if kind in (Image, CompressedImage) and len(senders) > 1:
        return {'publishers_several': f'{topic} has {len(senders)} publishers: '
                                      f'{", ".join(_nodes_of(senders))}; their images are taken '
                                      "for one camera's"}
    above, _, transport = topic.rpartition('/')
    if not types and transport in _TRANSPORTS and node.count_publishers(above):
        return {'transport_differs': f'no publisher on {topic}, but there is {above}, which is '
                                     'raw'}
    if not types:
        there = [f'{topic}/{name}' for name in _TRANSPORTS
                 if node.count_publishers(f'{topic}/{name}')]
        if there:
            return {'transport_differs': f'no publisher on {topic}, but there is '
                                         f'{" and ".join(there)}'}
    return {}


def _nodes_of(endpoints) -> List[str]:
    """Return the full names of the nodes of endpoints, in order; some are not known at once."""
    return sorted(f'{one.node_namespace.rstrip("/")}/{one.node_name}' for one in endpoints
                  if 'NODE_NAME_UNKNOWN' not in one.node_name)
