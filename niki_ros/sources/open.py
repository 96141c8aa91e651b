"""Opening of a source by its path or address: the kinds of sources, and which files they read."""

import os
from pathlib import Path
import re
from typing import Callable, List, NamedTuple, Optional
from urllib.parse import urlsplit
from urllib.request import url2pathname

from niki_ros.common.errors import SourceError
from niki_ros.files.file_kinds import is_image
from niki_ros.sources.bag import BagSource
from niki_ros.sources.bag_files import bag_files, is_bag
from niki_ros.sources.frame_source import FrameSource, SourceOptions
from niki_ros.sources.image_folder import image_files, ImageFolder
from niki_ros.sources.stream import is_stream, open_stream
from niki_ros.sources.video_file import VideoFile
from niki_ros.sources.webcam import is_webcam, Webcam


class SourceKind(NamedTuple):
    """A kind of source; the text is a path, an address, a camera or a pipeline."""

    matches: Callable[[str], bool]  # whether a text names a source of this kind
    open: Callable[[str, SourceOptions], FrameSource]  # noqa: A003
    files: Callable[[Path], List[Path]] = lambda path: [path]  # that the source reads


# the first that matches counts
KINDS = (
    SourceKind(is_stream, open_stream),
    SourceKind(is_webcam, Webcam),
    SourceKind(is_bag, BagSource, bag_files),
    SourceKind(os.path.isdir, ImageFolder, image_files),
    SourceKind(lambda path: is_image(Path(path)), ImageFolder),
    SourceKind(os.path.isfile, VideoFile),
)


def open_source(spec, **options) -> FrameSource:
    """
    Open a video, an image or a folder of images, a bag, a camera or an address.

    :param spec: path or file:// address, camera ('0', '/dev/video0', '/dev/v4l/by-id/…'), address
        ('rtsp://…') or GStreamer pipeline.
    :param options: fields of :class:`SourceOptions`, such as ``max_frames`` or ``image_topic``.
    :raises SourceError: with the source and the remedy.
    """
    known, path = SourceOptions(**options), _local_path(str(spec))
    kind = _kind_of(path)
    if kind is None:
        raise _no_source_error(str(spec), path)
    if kind.open is not BagSource:
        _check_no_topic(spec, known)
    return kind.open(path, known)


def source_files(spec) -> List[Path]:
    """Return the files that :func:`open_source` reads; they may not exist."""
    path = _local_path(str(spec))
    kind = _kind_of(path)
    return kind.files(Path(path)) if kind else [Path(path)]


def _kind_of(path: str) -> Optional[SourceKind]:
    return next((kind for kind in KINDS if path and kind.matches(path)), None)


def _check_no_topic(spec, options: SourceOptions):
    """Raise a SourceError for an option that only applies to bags."""
    for name in ('image_topic', 'info_topic', 'depth_topic'):
        topic = getattr(options, name)
        if topic is not None:
            raise SourceError(f'{spec} is no bag and has no topic {topic}: leave out {name} '
                              f'(--{name.replace("_", "-")})')


def _local_path(spec: str) -> str:
    """Return a path without file:// and ~; other texts are unchanged."""
    if spec.startswith('file://'):
        spec = url2pathname(urlsplit(spec).path)
    return os.path.expanduser(spec)


def _no_source_error(spec: str, local_path: str) -> SourceError:
    path = Path(local_path)
    if spec and path.exists():
        content = 'a pipe' if path.is_fifo() else 'a device, but not a camera'
        return SourceError(f'{spec} is {content}; give a file, a folder, or a camera '
                           '(ls /dev/video*)')
    if path.is_symlink():
        return SourceError(f'{spec} is a link to {os.path.realpath(path)}, which does not exist')
    if spec == '-':
        return SourceError('a video cannot be read from a pipe; write it to a file first')
    topic = ('; topics are read by the node: ros2 launch niki_ros pose.launch.py '
             f'image:={spec}' if re.fullmatch(r'(/[A-Za-z]\w*){2,}', spec) else '')
    return SourceError(f'{spec!r} does not exist; give a video file, a folder of images, a bag, a '
                       f'camera such as 0 or /dev/video0, or an address such as rtsp://…{topic}')
