"""Shards of clips with their images: tar files in the layout of WebDataset."""

from dataclasses import dataclass
import io
from pathlib import Path
import tarfile
from typing import Iterator

import cv2
from niki_ros.common.errors import InputError
from niki_ros.files.atomic_write import atomic_write
import numpy as np

from niki_training.files.archives import reason

_JPEG_QUALITY = 95  # of the stored images; the compression by the simulated camera comes before it


@dataclass
class StoredFrame:
    """One stored frame."""

    image_rgb: np.ndarray  # (H, W, 3) uint8
    mask: np.ndarray  # (H, W) bool, pixels of the main person
    keypoints_px: np.ndarray  # (29, 2) true joints in the image


def write_image_shard(path: Path, clips) -> None:
    """
    Write clips as one tar file, under another name until it is whole.

    ``NNNNNN.npz`` is the ground truth of clip N, ``NNNNNN-TTT.jpg`` and ``.mask.png`` its frames.

    :param clips: iterable of (number, iterable of frames with ``image_rgb`` and ``identity``,
        function that returns the ground truth as a dictionary after the last frame).
    """
    quality = [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY]
    with atomic_write(path) as part, tarfile.open(part, 'w') as tar:
        for number, frames, truth in clips:
            for t, frame in enumerate(frames):
                key = f'{number:06d}-{t:03d}'
                image = cv2.cvtColor(frame.image_rgb, cv2.COLOR_RGB2BGR)
                mask = (frame.identity == 1).astype(np.uint8) * 255
                _add(tar, f'{key}.jpg', cv2.imencode('.jpg', image, quality)[1])
                _add(tar, f'{key}.mask.png', cv2.imencode('.png', mask)[1])
            buffer = io.BytesIO()
            np.savez(buffer, **truth())
            _add(tar, f'{number:06d}.npz', buffer.getbuffer())


def _add(tar, name: str, data) -> None:
    """Add one file without time and owner: the same clips make the same archive."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def read_image_shard(path: Path) -> Iterator:
    """Yield the ground truth (dictionary of arrays) and an iterator of the frames of each clip."""
    try:
        with tarfile.open(path) as tar:
            names = sorted(tar.getnames())
            for name in (n for n in names if n.endswith('.npz')):
                with np.load(io.BytesIO(_content(tar, name)), allow_pickle=False) as z:
                    truth = {key: z[key] for key in z.files}
                keys = [n[:-4] for n in names if n.startswith(f'{name[:-4]}-')
                        and n.endswith('.jpg')]
                yield truth, _frames(tar, keys, truth['keypoints_px'])
    except (OSError, tarfile.TarError, ValueError, KeyError) as error:
        raise InputError(f'{path}: not a shard with images ({reason(error)}); niki-data '
                         'render writes them without --observe') from error


def _content(tar, name: str) -> bytes:
    return tar.extractfile(name).read()


def _frames(tar, keys, keypoints_px) -> Iterator[StoredFrame]:
    for t, key in enumerate(keys):
        image, mask = (cv2.imdecode(np.frombuffer(_content(tar, key + suffix), np.uint8), flag)
                       for suffix, flag in (('.jpg', cv2.IMREAD_COLOR),
                                            ('.mask.png', cv2.IMREAD_GRAYSCALE)))
        yield StoredFrame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), mask > 0, keypoints_px[t])
