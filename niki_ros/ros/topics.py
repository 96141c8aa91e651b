"""Names and types of the topics that the node subscribes to, by the rules of image_transport."""

from typing import Tuple

from sensor_msgs.msg import CompressedImage, Image

_COMPRESSED_SUFFIXES = ('/compressed', '/compressedDepth')


def image_topic(node, transport: str) -> Tuple[str, type]:
    """Return topic and type of the images: as in image_transport, below the remapped ``image``."""
    remapped = node.resolve_topic_name('image')
    # a remap to a compressed topic: it has neither raw images nor topics below it
    if remapped.endswith(_COMPRESSED_SUFFIXES):
        return 'image', CompressedImage
    if transport != 'compressed':
        return 'image', Image
    name = 'image/compressed'
    if node.resolve_topic_name(name) != node.resolve_topic_name(name, only_expand=True):
        return name, CompressedImage
    return f'{remapped}/compressed', CompressedImage


def depth_topic(node) -> Tuple[str, type]:
    """Return topic and type of the depth images: compressed if the remapped name says so."""
    compressed = node.resolve_topic_name('depth').endswith(_COMPRESSED_SUFFIXES)
    return 'depth', CompressedImage if compressed else Image


def type_name(kind: type) -> str:
    """Return the name of a message type as in the graph and in bags."""
    return f'{kind.__module__.partition(".")[0]}/msg/{kind.__name__}'
