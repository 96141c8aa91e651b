"""Choice of the topics of a bag: images, their camera_info, depth."""

from typing import List, Optional

from niki_ros.common.errors import SourceError
from niki_ros.sources.bag_reader import BagReader, CAMERA_INFO_TYPE, IMAGE_TYPES

_NO_CAMERA_WORDS = ('overlay', 'depth')  # in topics whose images are not those of a camera
_TRANSPORT_SUFFIXES = ('/compressed', '/compressedDepth')  # of image_transport


def camera_image_topics(bag: BagReader) -> List[str]:
    """Return the image topics of cameras; of a raw and a compressed one, the raw one."""
    found = [topic for topic in bag.topics(*IMAGE_TYPES)
             if not any(word in topic.lower() for word in _NO_CAMERA_WORDS)]
    return [topic for topic in found if not topic.endswith('/compressed')
            or topic.removesuffix('/compressed') not in found]


def choose_image_topic(bag: BagReader, name: Optional[str] = None) -> str:
    """Return the image topic with this name; None = the only one of a camera."""
    if name is not None:
        return _find_topic(bag, name, 'images', *IMAGE_TYPES)
    found = camera_image_topics(bag)
    if len(found) != 1:
        topics = bag.topics(*IMAGE_TYPES)
        raise SourceError(f'topics of images in {bag.path}: {", ".join(topics) or "none"}; '
                          + ('choose one with --image-topic' if topics else
                             'record one of sensor_msgs/Image or CompressedImage'))
    return found[0]


def choose_info_topic(bag: BagReader, image_topic: str, name: Optional[str] = None
                      ) -> Optional[str]:
    """Return the camera_info topic with this name; None = next to the images, or the only one."""
    if name is not None:
        return _find_topic(bag, name, 'camera_info', CAMERA_INFO_TYPE)
    topics = bag.topics(CAMERA_INFO_TYPE)
    namespace = image_topic.removesuffix('/compressed').rpartition('/')[0]
    if f'{namespace}/camera_info' in topics:
        return f'{namespace}/camera_info'
    return topics[0] if len(topics) == 1 else None


def _find_topic(bag: BagReader, name: str, content: str, *types: str) -> str:
    """Return the topic with a name, with or without its first slash and the transport."""
    topics = bag.topics(*types)
    for suffix in ('', *_TRANSPORT_SUFFIXES):
        for topic in topics:
            if topic.lstrip('/') == name.lstrip('/') + suffix:
                return topic
    raise SourceError(f'topics of {content} in {bag.path}: {", ".join(topics) or "none"}; {name} '
                      'is not among them')
