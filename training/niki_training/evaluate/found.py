"""
Count the annotated people in photographs who get a body, and bodies without a person.

The pipeline sees each photograph for a second, moved by a pixel from image to image. A person is
found if the median distance of the visible limb joints in the image, from the shoulders to the
ankles, is below 0.15 of the longer side of the person's box. One body counts for one person.
Confidence and sigma of those who are found are compared with the annotations.
"""

import json
from pathlib import Path

import cv2
from niki_ros.body.keypoints import JOINT_OF_KEYPOINT
from niki_ros.common.setting import apply_settings
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.load_pipeline import load_pipeline
from niki_ros.scene.camera import Camera
import numpy as np
from tqdm import tqdm

from niki_training.evaluate import photograph_calibration
from niki_training.evaluate.landmark_measurements import annotated_people, NUMBERS
from niki_training.evaluate.photograph_calibration import PhotographCalibration
from niki_training.evaluate.stage_errors import frame_of
from niki_training.files.outputs import check_arguments
from niki_training.render.panorama import Panorama, read_panoramas

MAX_PEOPLE = 16
MAX_OFF_RATIO = 0.15
SIZE_EDGES_PX = (0, 60, 120, 240, 100_000)
_MIN_KEYPOINTS = 8
_IMAGES, _PERIOD_NS, _PAUSE_NS = 16, 66_666_667, 100 * 10**9
_HEADINGS_DEG, _VIEW_PX, _VIEW_FOV_DEG = (0, 90, 180, 270), (640, 480), 70.0


def add_arguments(parser) -> None:
    parser.add_argument('photographs', type=Path,
                        help='folder with images/ and persons.npz (coco_people)')
    parser.add_argument('--panoramas', type=Path, metavar='DIR',
                        help='folder of equirectangular pictures; four views of each count')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--plot', type=Path,
                        help='draw confidence and sigma against the annotations (.png)')


def main(args) -> int:
    from niki_ros.cli.arguments import parse_settings
    check_arguments(args, {'--plot': args.plot})
    viewer = StillViewer(parse_settings(args.set))
    report = people_found(viewer, args.photographs)
    if args.panoramas:
        report['panoramas'] = bodies_in_panoramas(viewer, args.panoramas)
    viewer.close()
    if args.plot:
        photograph_calibration.draw(report['calibration'], args.plot)
    if args.json:
        print(json.dumps(report))
        return 0
    for row in report['sizes']:
        print(f'{row["from_px"]:5d} px and more: {row["found"]:4d} of {row["people"]:4d}')
    print(f'all: {report["found"]} of {report["people"]} people have a body; '
          f'{report["other_bodies"]} more bodies')
    print(photograph_calibration.text(report['calibration']))
    if args.panoramas:
        seen = report['panoramas']
        print(f'panoramas: bodies in {len(seen["with_bodies"])} of {seen["views"]} views '
              f'{", ".join(seen["with_bodies"])}')
    return 0


class StillViewer:
    """Runs the pipeline on single pictures, each for a second."""

    def __init__(self, settings: dict):
        config = apply_settings(PipelineConfig(),
                                {'observer.max_people': MAX_PEOPLE, **settings})
        self._pipeline, self._stamp_ns = load_pipeline(config), 0

    def bodies(self, image_rgb: np.ndarray, fov_deg: float) -> list:
        """
        Return the bodies in the last image, as ``camera`` sees them.

        The pause before the first image makes it a new stream.
        """
        self.camera = Camera.from_fov(image_rgb.shape[1], image_rgb.shape[0], fov_deg)
        self._stamp_ns += _PAUSE_NS
        for index in range(_IMAGES):
            self._stamp_ns += _PERIOD_NS
            bodies = self._pipeline.process(np.roll(image_rgb, index % 2, axis=1), self.camera,
                                            self._stamp_ns)
        return bodies

    def lifted(self, body):
        """Return the observation that one of the last bodies was solved from."""
        return frame_of(self._pipeline, body).latest_observation

    def close(self) -> None:
        self._pipeline.close()


def people_found(viewer: StillViewer, folder: Path) -> dict:
    """Return the numbers of annotated people who have a body, in all and by size."""
    people = [one for one in annotated_people(folder)
              if (one.keypoints[:, 2] > 0).sum() >= _MIN_KEYPOINTS]
    files = sorted({one.file for one in people})
    sizes_px, found, others, calibration = [], [], 0, PhotographCalibration()
    for file in tqdm(files, disable=None, unit='photograph'):
        here = sorted((one for one in people if one.file == file), key=lambda p: -_side_px(p))
        bodies = viewer.bodies(here[0].image_rgb(), NUMBERS.fov_deg)
        for person in here:
            off = [_off_ratio(body, person) for body in bodies]
            is_found = bool(off) and min(off) < MAX_OFF_RATIO
            if is_found:
                body = bodies.pop(int(np.argmin(off)))
                calibration.add(body, viewer.lifted(body), person, viewer.camera)
            sizes_px.append(_side_px(person))
            found.append(is_found)
        others += len(bodies)
    rows = []
    for low, high in zip(SIZE_EDGES_PX, SIZE_EDGES_PX[1:]):
        within = [yes for size, yes in zip(sizes_px, found) if low <= size < high]
        rows.append({'from_px': low, 'people': len(within), 'found': sum(within)})
    return {'people': len(found), 'found': sum(found), 'other_bodies': others, 'sizes': rows,
            'calibration': calibration.report()}


def bodies_in_panoramas(viewer: StillViewer, folder: Path) -> dict:
    """Return the number of views, and those with bodies: number of the picture and heading."""
    views, names = 0, []
    for number, panorama in enumerate(tqdm(read_panoramas(folder), disable=None,
                                           unit='panorama')):
        for heading_deg in _HEADINGS_DEG:
            views += 1
            if viewer.bodies(view_of(panorama, heading_deg), _VIEW_FOV_DEG):
                names.append(f'{number}@{heading_deg}')
    return {'views': views, 'with_bodies': names}


def view_of(panorama: Panorama, heading_deg: float) -> np.ndarray:
    """Return the image (480, 640, 3) uint8 of a level camera in a panorama."""
    width, height = _VIEW_PX
    matrix = Camera.from_fov(width, height, _VIEW_FOV_DEG).matrix
    column, row = np.meshgrid(np.arange(width), np.arange(height))
    # world axes: y up, and the camera looks along -z
    ray = np.stack([(column - matrix[0, 2]) / matrix[0, 0], (matrix[1, 2] - row) / matrix[1, 1],
                    np.full(column.shape, -1.0)], axis=-1)
    column, row = panorama.turned(np.radians(heading_deg)).position(ray)
    # between pixels, unlike Panorama.colours: a view is larger than its part of the picture
    return cv2.remap(panorama.picture_rgb, (column - 0.5).astype(np.float32),
                     (row - 0.5).astype(np.float32), cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_WRAP)


def _side_px(person) -> float:
    return float((person.box_px[2:] - person.box_px[:2]).max())


def _off_ratio(body, person) -> float:
    """Return the median distance of visible limb joints over the size of the person."""
    labels = person.limbs
    off_px = np.linalg.norm(body.keypoints_px[JOINT_OF_KEYPOINT[:len(labels)]] - labels[:, :2],
                            axis=-1)
    off_px = off_px[(labels[:, 2] == 2) & np.isfinite(off_px)]
    return float(np.median(off_px)) / _side_px(person) if len(off_px) else np.inf
