"""Rectangles that hide parts of a person for stretches of a clip, and a video of their effect."""

from typing import Iterator

from niki_ros.body.skeleton import BODY_24, JOINT
import numpy as np

GREY = 96
_MARGIN_RATIO = 0.04  # of the rectangle around the joints, over the height of the person


def _both_sides(*kinds) -> np.ndarray:
    return np.array([JOINT[f'{side}_{kind}'] for side in ('left', 'right') for kind in kinds])


# part of the body → joints under the rectangle, indices into JOINTS_29
PARTS = {
    'legs': _both_sides('knee', 'ankle', 'foot', 'big_toe'),
    'left_arm': np.array([JOINT[f'left_{kind}'] for kind in (
        'elbow', 'wrist', 'hand', 'middle_finger')]),
    'lower_half': _both_sides('hip', 'knee', 'ankle', 'foot', 'big_toe')}


class RectangleOccluder:
    """
    One rectangle for every stretch of a clip; like furniture, it does not move.

    It hides a part of the person who is seen in most images.

    :param joints: indices into JOINTS_29 of the joints to hide.
    :param recording: :class:`~niki_training.evaluate.occlude.ClipRecording` without rectangles.
    :param hide_s: length of each stretch. :param clear_s: time before each stretch.
    :ivar boxes_px: per frame x0, y0, x1, y1 or None.
    :ivar hidden: per frame (24,) True for joints behind the rectangle.
    :ivar keypoints_px: per frame with a rectangle (29, 2) of the person, by index.
    """

    def __init__(self, joints, recording, hide_s: float, clear_s: float):
        count = len(recording.observations)
        self.boxes_px: list[np.ndarray | None] = [None] * count
        self.hidden = [np.zeros(len(BODY_24), dtype=bool)] * count
        self.keypoints_px: dict[int, np.ndarray] = {}
        hide, clear = (max(1, round(s * recording.rate_hz)) for s in (hide_s, clear_s))
        for begin in range(clear, count, hide + clear):
            frames = range(begin, min(begin + hide, count))
            people = [recording.main_person(index) for index in frames]
            seen = [person for person in people if person is not None]
            if seen:
                self._place(frames, people, _box_around(joints, seen))

    def _place(self, frames, people, box_px) -> None:
        for index, person in zip(frames, people):
            self.boxes_px[index] = box_px
            if person is not None:
                self.keypoints_px[index] = person.keypoints_px
                points_px = person.keypoints_px[:len(BODY_24)]
                self.hidden[index] = ((points_px > box_px[:2])
                                      & (points_px < box_px[2:])).all(axis=1)

    def paint(self, image_rgb, index: int) -> np.ndarray:
        """Return frame ``index`` (H, W, 3) with its rectangle."""
        box_px = self.boxes_px[index]
        if box_px is None:
            return image_rgb
        out = np.array(image_rgb)
        height, width = out.shape[:2]
        x0, y0, x1, y1 = np.clip(box_px, 0, [width, height, width, height]).astype(int)
        out[y0:y1, x0:x1] = GREY
        return out

    def painted_count(self) -> int:
        """Return the number of frames with a rectangle."""
        return sum(box_px is not None for box_px in self.boxes_px)

    def hiding_frames(self) -> list[int]:
        """Return the frames in which a joint is hidden."""
        return [index for index, hidden in enumerate(self.hidden) if hidden.any()]

    def reappearances(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield the first frame after each stretch, and (24,) True for joints that reappear."""
        for index in range(1, len(self.boxes_px)):
            if self.boxes_px[index] is None and self.boxes_px[index - 1] is not None:
                yield index, self.hidden[index - 1]


def _box_around(joints, people) -> np.ndarray:
    """Return the box x0, y0, x1, y1 around some joints of one person's observations."""
    points_px = np.concatenate([person.keypoints_px[joints] for person in people])
    margin_px = _MARGIN_RATIO * max(float(one.box_px[3] - one.box_px[1]) for one in people)
    return np.concatenate([np.nanmin(points_px, axis=0) - margin_px,
                           np.nanmax(points_px, axis=0) + margin_px])


def write_comparison(path, clip, config, occluder: RectangleOccluder, clear, occluded) -> None:
    """Write a video of the bodies of each clear image (left) and each occluded one (right)."""
    from niki_ros.files.atomic_write import atomic_write
    from niki_ros.files.video_writer import VideoWriter
    from niki_ros.images.overlay import draw_overlay
    from niki_ros.scene.camera import Camera
    with clip.open() as source, atomic_write(path) as part:
        size = width, height = source.width, source.height
        camera = clip.camera(*size) or Camera.from_fov(*size, config.camera.fov_deg)
        with VideoWriter(part, source.rate_hz, 2 * width, height) as video:
            for frame in source:
                left = draw_overlay(frame.image_rgb, clear[frame.index], camera)
                right = draw_overlay(
                    occluder.paint(frame.image_rgb, frame.index), occluded[frame.index], camera)
                video.write(np.concatenate([left, right], axis=1))
