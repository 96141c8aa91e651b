"""Rectangles that hide parts of a person for stretches of a clip, and a video that shows it."""

from __future__ import annotations

from typing import List, Optional

from niki_ros.body.skeleton import BODY_24, JOINT
import numpy as np

GREY = 96
_MARGIN = 0.04  # of the person's height


def _both(*kinds) -> np.ndarray:
    return np.array([JOINT[f'{side}_{kind}'] for side in ('left', 'right') for kind in kinds])


PARTS = {
    'legs': _both('knee', 'ankle', 'foot', 'big_toe'),
    'left_arm': np.array([JOINT[f'left_{kind}'] for kind in (
        'elbow', 'wrist', 'hand', 'middle_finger')]),
    'lower_half': _both('hip', 'knee', 'ankle', 'foot', 'big_toe'),
}
"""What a rectangle is put over: joints, indices into JOINTS_29."""


class Rectangles:
    """
    One rectangle for every stretch, which stands still as furniture does.

    :ivar boxes: per frame x0, y0, x1, y1 or None.
    :ivar hides: per frame (24,) True for joints of the body behind the rectangle.
    """

    def __init__(self, joints, clean, hide_s: float, clear_s: float):
        """
        Plan the stretches: ``clear_s`` clear, ``hide_s`` hidden, and so on.

        :param clean: what the front end sees, ``main(index)`` and ``seen`` per frame.
        """
        frames = len(clean.seen)
        self.boxes: List[Optional[np.ndarray]] = [None] * frames
        self.hides = [np.zeros(len(BODY_24), dtype=bool)] * frames
        hide, clear = (max(1, round(s * clean.rate_hz)) for s in (hide_s, clear_s))
        for begin in range(clear, frames, hide + clear):
            end = min(begin + hide, frames)
            people = [clean.main(index) for index in range(begin, end)]
            points = [one.keypoints_px[joints] for one in people if one is not None]
            if points:
                box = self._box(np.concatenate(points), people)
                self._put(begin, end, box, people)

    @staticmethod
    def _box(points, people):
        """Return the box around ``points`` with a margin."""
        size = max(float(one.box_px[3] - one.box_px[1]) for one in people if one is not None)
        return np.concatenate([np.nanmin(points, axis=0) - _MARGIN * size,
                               np.nanmax(points, axis=0) + _MARGIN * size])

    def _put(self, begin, end, box, people):
        for index, one in zip(range(begin, end), people):
            self.boxes[index] = box
            if one is not None:
                points = one.keypoints_px[:len(BODY_24)]
                self.hides[index] = ((points > box[:2]) & (points < box[2:])).all(axis=1)

    def on(self, image_rgb, index: int):
        """Return the image of frame ``index`` with its rectangle."""
        box = self.boxes[index]
        if box is None:
            return image_rgb
        out = np.array(image_rgb)
        height, width = out.shape[:2]
        x0, y0, x1, y1 = np.clip(box, 0, [width, height, width, height]).astype(int)
        out[y0:y1, x0:x1] = GREY
        return out

    def painted(self) -> List[int]:
        """Return the frames in which something is hidden."""
        return [index for index, hidden in enumerate(self.hides) if hidden.any()]

    def returns(self):
        """Yield the first frame after each stretch, and the joints (24,) that come back."""
        for index in range(1, len(self.boxes)):
            if self.boxes[index] is None and self.boxes[index - 1] is not None:
                yield index, self.hides[index - 1]


def write_overlay(path, clip, config, paint, clean, dark) -> None:
    """Write both runs side by side: the clean clip on the left, the painted one on the right."""
    from niki_ros.files.atomic_write import atomic_write
    from niki_ros.files.video_writer import VideoWriter
    from niki_ros.images.overlay import draw_overlay
    from niki_ros.scene.camera import Camera
    with clip.open() as source, atomic_write(path) as part:
        width, height = source.width, source.height
        camera = clip.camera(width, height) or Camera.from_fov(
            width, height, config.camera.fov_deg)
        with VideoWriter(part, source.rate_hz, 2 * width, height) as video:
            for frame in source:
                left = draw_overlay(frame.image_rgb, clean[frame.index], camera)
                right = draw_overlay(
                    paint.on(frame.image_rgb, frame.index), dark[frame.index], camera)
                video.write(np.concatenate([left, right], axis=1))
