"""
Crops of calibrated video with measured joints, for the evaluation of a network alone.

Every network sees the same crops: as the landmark network follows the person (``followed``), by
the measured joints (``exact``), and the followed ones with a rendered person who walks past in
front (``passer-by``).
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Optional

from niki_ros.images.pixels import jpeg_from_rgb, rgb_from_jpeg, rgb_of_view
from niki_ros.models.model_store import find_model
from niki_ros.observers.landmark_network import LandmarkNetwork
from niki_ros.observers.view_network import MARGIN, SIZE_PX
from niki_ros.scene.person_view import PersonView, view_of_body
from niki_ros.sources.open import open_source
import numpy as np
from tqdm import tqdm

from niki_training.evaluate.video_truth import LIMBS, read_trial, TrialClip
from niki_training.look.jpeg_crops import JpegCrops

KINDS = ('followed', 'exact', 'passer-by')
_QUALITY = 95
_HIPS = [LIMBS.index('left_hip'), LIMBS.index('right_hip')]
_SHOULDERS = [LIMBS.index('left_shoulder'), LIMBS.index('right_shoulder')]


@dataclass(frozen=True)
class VideoCropNumbers:
    """Numbers of :func:`cut_video`."""

    frame_step: int = 4  # neighbours in time look alike
    box_margin_ratio: float = 0.1  # of the first box around the limbs
    first_looks: int = 3  # of the landmark network in the first frame
    reach_ratio: float = 1.1  # hands, feet and head are farther away than the limb joints


@dataclass(frozen=True)
class VideoCrops(JpegCrops):
    """N crops of 256 px; axes are those of the views."""

    kind: np.ndarray  # (N,) of ``KINDS``
    camera: np.ndarray  # (N,) number of the camera
    limbs_m: np.ndarray  # (N, 12, 3) measured joints in the order of ``LIMBS``, metres
    uv: np.ndarray  # (N, 12, 2) the same in the crop, sides from its centre
    is_covered: np.ndarray  # (N, 12) bool, behind the passer-by

    def crops(self) -> np.ndarray:
        """Return the crops (N, 256, 256, 3) uint8 RGB."""
        return np.stack([rgb_from_jpeg(data) for data in self.jpeg])

    def thinned(self, every: int, kinds=KINDS) -> 'VideoCrops':
        """Return every n-th crop of these kinds, n = ``every``."""
        keep = np.flatnonzero(np.isin(self.kind, kinds))[::every]
        return self.rows(keep)


def read_video_crops(path: Path, motion: Optional[Path] = None) -> VideoCrops:
    """
    Return crops of a Pose2Sim folder, or of a file of :meth:`VideoCrops.write`.

    :param motion: of the passer-by in videos of a folder; None = crops without one.
    """
    if Path(path).is_dir():
        return cut_video(path, motion)
    return VideoCrops.read(path, 'crops of video', 'niki-evaluate look --keep writes one')


def cut_video(folder: Path, motion: Optional[Path] = None,
              numbers: VideoCropNumbers = VideoCropNumbers()) -> VideoCrops:
    """Cut the crops of all cameras of a trial."""
    rows = []
    for number, clip in enumerate(tqdm(read_trial(folder), desc='cameras', disable=None)):
        rows += [{'camera': number, **row} for row in _clip_rows(clip, motion, numbers)]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return VideoCrops(columns.pop('jpeg'), **{
        name: np.array(column) for name, column in columns.items()})


def _clip_rows(clip: TrialClip, motion, numbers: VideoCropNumbers) -> Iterator[dict]:
    """Yield the rows of one camera."""
    network = LandmarkNetwork(find_model('landmarks-full').path, threads=1)
    view = None
    with open_source(str(clip.video)) as source:
        size = source.width, source.height
        camera = clip.calibrated.camera.resized(*size)
        passer_by = _passer_by(clip, motion, size) if motion else None
        for index, (frame, limbs_m) in enumerate(zip(source, clip.limbs_m)):
            if view is None:
                view = _first_view(network, frame.image_rgb, limbs_m, camera, numbers)
            if index % numbers.frame_step == 0:
                views = {'followed': view, 'exact': exact_view(limbs_m, numbers.reach_ratio)}
                for kind, one in views.items():
                    yield _row(kind, frame.image_rgb, one, limbs_m, camera)
                if passer_by is not None:
                    painted = passer_by.paint(frame.image_rgb, index)
                    yield {**_row('passer-by', painted, view, limbs_m, camera),
                           'is_covered': passer_by.covers[index].copy()}
            view = network.estimate(frame.image_rgb, camera, [view])[0].next_crop
    network.close()
    if passer_by is not None:
        passer_by.close()


def _passer_by(clip: TrialClip, motion: Path, size):
    from niki_training.evaluate.passer_by import PasserBy
    from niki_training.render.motion import load_rooted_motion
    return PasserBy(load_rooted_motion(motion), clip.calibrated, clip.limbs_m, size)


def _first_view(network, image_rgb, limbs_m, camera, numbers) -> PersonView:
    """Return the view in which following begins, from a box around the measured joints."""
    pixels = camera.project(limbs_m)
    low, high = pixels.min(0), pixels.max(0)
    edge = numbers.box_margin_ratio * (high - low).max()
    view = network.crop_of(np.concatenate([low - edge, high + edge]), camera)
    for _ in range(numbers.first_looks):
        view = network.estimate(image_rgb, camera, [view])[0].next_crop
    return view


def exact_view(limbs_m, reach_ratio: float) -> PersonView:
    """
    Return the view of a person by limb joints (12, 3), camera axes, metres.

    :param reach_ratio: reach of the body over that of the limb joints.
    """
    middle_m = limbs_m[_HIPS].mean(0)
    upright = PersonView.towards(middle_m, 1.0).camera_from_upright
    in_view = limbs_m @ upright
    flat = in_view[:, :2] / in_view[:, 2:]
    up = flat[_SHOULDERS].mean(0)
    reach = reach_ratio * np.linalg.norm(flat, axis=1).max()
    top = up / max(np.linalg.norm(up), 1e-6) * reach
    return view_of_body(middle_m, upright @ np.append(top, 1.0), MARGIN, 0.0)


def _row(kind: str, image_rgb, view: PersonView, limbs_m, camera) -> dict:
    """Return one row of :class:`VideoCrops` without its camera."""
    in_view = limbs_m @ view.camera_from_view
    crop = rgb_of_view(image_rgb, view, SIZE_PX, camera)
    return {'jpeg': jpeg_from_rgb(crop, _QUALITY), 'kind': kind,
            'limbs_m': in_view.astype(np.float32),
            'uv': (in_view[:, :2] / in_view[:, 2:] / view.width).astype(np.float32),
            'is_covered': np.zeros(len(LIMBS), dtype=bool)}
