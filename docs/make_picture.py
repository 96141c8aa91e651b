#!/usr/bin/env python3
"""Make the README's picture: ``python docs/make_picture.py VIDEO FRAME x0 y0 x1 y1 OUT.jpg``."""

from __future__ import annotations

from pathlib import Path
import sys

import cv2
from niki_ros import load_pipeline
from niki_ros.images.overlay import draw_overlay
from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.sources.open import open_source

WIDTH_PX = 960


def main(video, frame_number, box, out):
    """Run the pipeline up to a frame, draw, crop to ``box`` and scale."""
    pipeline = load_pipeline()
    with open_source(video, max_frames=frame_number + 1) as source:
        for frame in source:
            bodies = pipeline.process(frame.image_rgb, None, frame.stamp_ns)
    camera = pipeline.assumed_camera(frame.image_rgb)
    pipeline.close()
    x0, y0, x1, y1 = box
    image = draw_overlay(frame.image_rgb, bodies, camera)[y0:y1, x0:x1]
    size = (WIDTH_PX, round(WIDTH_PX * (y1 - y0) / (x1 - x0)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    Path(out).write_bytes(jpeg_from_rgb(image, quality=85))


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), [int(word) for word in sys.argv[3:7]], sys.argv[7])
