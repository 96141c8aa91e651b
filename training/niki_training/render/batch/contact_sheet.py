"""Picture of the first crops of a renderer with their skeletons, to be looked at."""

import cv2
from niki_ros.body.skeleton import PARENTS_29
import numpy as np

from niki_training.render.batch.crop_shards import images_of
from niki_training.render.batch.renderer import BatchRenderer, SIZE_PX

VISIBLE_RGB, HIDDEN_RGB, ABSENT_RGB = (60, 255, 60), (255, 50, 50), (70, 120, 255)
_FAR_PX = 4000  # within the range of OpenCV's lines
_BATCH_CROPS = 16


def contact_sheet(renderer: BatchRenderer, columns: int = 8, rows: int = 6) -> np.ndarray:
    """
    Return the first crops side by side, (H, W, 3) uint8 RGB.

    Bones to visible joints are green, to others red; a crop without its person has a blue frame.
    """
    cells: list[np.ndarray] = []
    while len(cells) < columns * rows:
        batch = renderer.batch(np.arange(len(cells), len(cells) + _BATCH_CROPS))
        truth = {name: batch[name].cpu().numpy() for name in ('uv', 'visible', 'present')}
        cells += [_cell(image, uv, visible, present) for image, uv, visible, present in zip(
            images_of(batch), truth['uv'], truth['visible'], truth['present'])]
    return np.vstack([np.hstack(cells[row * columns:(row + 1) * columns]) for row in range(rows)])


def _cell(image, uv, visible, present) -> np.ndarray:
    image = np.ascontiguousarray(image)
    if not present:
        return cv2.rectangle(image, (1, 1), (SIZE_PX - 2, SIZE_PX - 2), ABSENT_RGB, 3)
    at = np.clip((uv + 0.5) * SIZE_PX, -_FAR_PX, _FAR_PX).round().astype(int)
    for joint in range(1, len(at)):
        colour = VISIBLE_RGB if visible[joint] else HIDDEN_RGB
        cv2.line(image, at[PARENTS_29[joint]].tolist(), at[joint].tolist(), colour, 1, cv2.LINE_AA)
    return image
