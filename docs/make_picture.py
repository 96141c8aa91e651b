#!/usr/bin/env python3
"""Image of the README: ``python docs/make_picture.py VIDEO FRAME x0 y0 x1 y1 OUT.jpg``."""

from collections import deque
from pathlib import Path
import sys

import cv2
from niki_ros import load_pipeline
from niki_ros.images.pixels import jpeg_from_rgb
from niki_ros.loading.process_source import process_source
from niki_ros.sources.open import open_source

WIDTH_PX = 960


def main(video, frame_number, box, out):
    """Draw the overlay of a frame, crop it to ``box`` x0, y0, x1, y1 and scale it."""
    pipeline = load_pipeline()
    with open_source(video, max_frames=frame_number + 1) as source:
        frame = deque(process_source(source, pipeline), maxlen=1).pop()
    pipeline.close()
    x0, y0, x1, y1 = box
    image = frame.overlay()[y0:y1, x0:x1]
    size = (WIDTH_PX, round(WIDTH_PX * (y1 - y0) / (x1 - x0)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    Path(out).write_bytes(jpeg_from_rgb(image, quality=85))


if __name__ == '__main__':
    main(sys.argv[1], int(sys.argv[2]), [int(word) for word in sys.argv[3:7]], sys.argv[7])
