"""
Make ``niki_ros/models/check_images.npz``, the images by which engines are compared.

``niki-data render MOTION --split test --clips 24 --frames 2 --per-shard 24 --seed 7 --out FOLDER``
with ``cmu_smpl24_30fps_test.npz``, then
``python -m niki_training.render.check_images FOLDER/test-00000.tar check_images.npz``.
"""

from pathlib import Path
import sys

from niki_ros.images.pixels import jpeg_from_rgb, resized_rgb
import numpy as np

from niki_training.render.image_shards import read_image_shard

CLIPS = (2, 4, 5, 6, 8, 9, 11, 13, 14, 17, 18, 19, 20, 22)
"""Clips with a drawn background, without photographs of other origin."""
FRAME, JPEG_QUALITY, WIDTH_PX = 1, 60, 416


def main(source: str, target: str) -> None:
    jpegs, boxes = [], []
    for number, (_, frames) in enumerate(read_image_shard(Path(source))):
        if number in CLIPS:
            frame = list(frames)[FRAME]
            rows, columns = (np.flatnonzero(frame.mask.any(axis=axis)) for axis in (1, 0))
            height, width = frame.mask.shape
            scale = WIDTH_PX / width
            small = resized_rgb(frame.image_rgb, WIDTH_PX, round(height * scale))
            box = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
            boxes.append(box * scale)
            jpegs.append(np.frombuffer(jpeg_from_rgb(small, JPEG_QUALITY), np.uint8))
    np.savez(target, jpeg=np.concatenate(jpegs), jpeg_at=np.cumsum([0, *map(len, jpegs)]),
             boxes_px=np.asarray(boxes, np.float32))


if __name__ == '__main__':
    main(*sys.argv[1:])
