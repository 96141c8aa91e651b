"""Clips with their images on disk: WebDataset shards, read by that library or by tarfile."""

from __future__ import annotations

from dataclasses import dataclass
import io
from pathlib import Path
import tarfile
from typing import Iterator

import cv2
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.files.archives import reason

QUALITY = 95
"""Of the stored JPEG, on top of what the clip's own camera does."""


@dataclass
class StoredFrame:
    """
    One frame as stored.

    :param image_rgb: (H, W, 3) uint8. :param mask: (H, W) bool, the main person's pixels.
    :param keypoints_px: (29, 2).
    """

    image_rgb: np.ndarray
    mask: np.ndarray
    keypoints_px: np.ndarray


def write_tar(path: Path, clips) -> None:
    """
    Write clips, under another name until the shard is whole.

    ``NNNNNN.npz`` is the truth of clip N, ``NNNNNN-TTT.jpg`` and ``.mask.png`` its frames.

    :param clips: yields (number, frames with ``image_rgb`` and ``identity``, function that
        returns the truth as a dictionary once the frames are drawn).
    """
    half = path.with_suffix('.part')
    with tarfile.open(half, 'w') as tar:
        for number, frames, truth in clips:
            for t, frame in enumerate(frames):
                key = f'{number:06d}-{t:03d}'
                _add(tar, f'{key}.jpg', cv2.imencode('.jpg', cv2.cvtColor(
                    frame.image_rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1])
                _add(tar, f'{key}.mask.png', cv2.imencode(
                    '.png', (frame.identity == 1).astype(np.uint8) * 255)[1])
            held = io.BytesIO()
            np.savez(held, **truth())
            _add(tar, f'{number:06d}.npz', held.getbuffer())
    half.replace(path)


def _add(tar, name: str, data) -> None:
    """Put one file into the archive; no times or owners, so that the same clips are the same."""
    info = tarfile.TarInfo(name)
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def read_tar(path: Path) -> Iterator:
    """Yield (truth, frames) of every clip of a shard, in order."""
    try:
        with tarfile.open(path) as tar:
            names = sorted(tar.getnames())
            for name in (n for n in names if n.endswith('.npz')):
                with np.load(io.BytesIO(_get(tar, name)), allow_pickle=False) as z:
                    truth = {key: z[key] for key in z.files}
                keys = [n[:-4] for n in names if n.startswith(f'{name[:-4]}-')
                        and n.endswith('.jpg')]
                yield truth, _frames(tar, keys, truth['keypoints_px'])
    except (OSError, tarfile.TarError, ValueError, KeyError) as error:
        raise InputError(f'{path}: not a shard with images ({reason(error)}); niki-data '
                         'render writes them without --observe') from error


def _get(tar, name: str) -> bytes:
    return tar.extractfile(name).read()


def _frames(tar, keys, keypoints_px) -> Iterator[StoredFrame]:
    """Yield the frames of one clip."""
    for t, key in enumerate(keys):
        image = cv2.imdecode(np.frombuffer(_get(tar, f'{key}.jpg'), np.uint8), cv2.IMREAD_COLOR)
        mask = cv2.imdecode(np.frombuffer(_get(tar, f'{key}.mask.png'), np.uint8),
                            cv2.IMREAD_GRAYSCALE)
        yield StoredFrame(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), mask > 0, keypoints_px[t])
