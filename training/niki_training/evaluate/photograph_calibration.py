"""
Compare what the pipeline expects of its joints with annotated joints of photographs.

Photographs tell positions across the line of sight only. The confidence is the probability that a
joint is within 150 mm of its true place about the pelvis, in space, so that the share of joints
that are within 150 mm in the image should be at least as large. Sigma of lifted joints is the mean
over three coordinates, of which depth has the largest errors, so that errors across should be at
most as large.
"""

from niki_ros.body.body import Body
from niki_ros.body.confidence import CONFIDENT_WITHIN_M
from niki_ros.body.observation import HIDDEN_SIGMA, JointObservation, SIGMA_UNIT_M
from niki_ros.scene.camera import Camera
import numpy as np

from niki_training.evaluate.landmark_measurements import AnnotatedPerson
from niki_training.evaluate.metrics import calibration
from niki_training.evaluate.plots import new_figure, save_figure
from niki_training.evaluate.video_truth import LIMB_JOINTS

_HIPS = slice(0, 2)  # of the limb joints
_LIMBS = slice(2, None)  # the others, whose errors about the hips are compared
_SIGMA_EDGES_MM = (0, 20, 30, 40, 55, 75, 100, 200)
_SEEN = 2  # label of an annotated joint that is visible; 1 is hidden
_MIN_JOINTS = 20  # a row with fewer joints has no score


class PhotographCalibration:
    """Collects the limb joints of people whose hips are annotated; ``len`` = their number."""

    def __init__(self):
        self._rows: list[np.ndarray] = []  # (joints, 5) of each person

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, body: Body, lifted: JointObservation, person: AnnotatedPerson,
            camera: Camera) -> None:
        """
        Add one person.

        :param body: published. :param lifted: the observation that it was solved from.
        :param camera: of the photograph.
        """
        labels = person.limbs
        if (labels[_HIPS, 2] == 0).any():
            return
        known = labels[_LIMBS, 2] > 0
        sigma_m = SIGMA_UNIT_M * np.asarray(lifted.sigma_200mm)[LIMB_JOINTS]
        lifted_m = np.asarray(lifted.joints_m)[LIMB_JOINTS] + body.root_m
        rows = np.stack([body.confidence[LIMB_JOINTS][_LIMBS],
                         off_across_m(body.joints_m[LIMB_JOINTS], labels, camera),
                         labels[_LIMBS, 2], sigma_m[_LIMBS],
                         off_across_m(lifted_m, labels, camera)], axis=1)[known]
        self._rows.append(rows[np.isfinite(rows).all(1)])

    def report(self) -> dict:
        """Return the number of people and joints, rows of confidence, and rows of sigma."""
        rows = np.concatenate(self._rows) if self._rows else np.zeros((0, 5))
        confidence, off_m, label, sigma_m, lifted_off_m = rows.T
        groups = {'all': label >= 0, 'seen': label == _SEEN, 'hidden': label != _SEEN}
        return {'people': len(self), 'joints': len(rows),
                'confidence': {name: _confidence_rows(confidence[group], off_m[group])
                               for name, group in groups.items()},
                'sigma': _sigma_rows(sigma_m, lifted_off_m)}


def off_across_m(joints_m, labels, camera: Camera) -> np.ndarray:
    """
    Return the errors (10,) of limbs across the line of sight about the middle of the hips, metres.

    :param joints_m: (12, 3) in the camera's optical frame.
    :param labels: (12, 3) x, y, pixels, and visibility.
    """
    off_px = camera.project(joints_m) - labels[:, :2]
    off_px = off_px[_LIMBS] - off_px[_HIPS].mean(0)
    focal_px = np.array([camera.matrix[0, 0], camera.matrix[1, 1]])
    return np.linalg.norm(off_px / focal_px, axis=1) * joints_m[_LIMBS, 2]


def _confidence_rows(confidence, off_m) -> list[dict]:
    """Return mean confidence and the share within 150 mm in the image, of each tenth."""
    if not len(confidence):
        return []
    table = calibration(confidence, off_m < CONFIDENT_WITHIN_M)
    counts = np.round(np.array(table['share']) * len(confidence)).astype(int)
    return [{'expected': expected, 'found': found, 'joints': int(count)}
            for expected, found, count in zip(table['claimed'], table['true'], counts)
            if count >= _MIN_JOINTS]


def _sigma_rows(sigma_m, off_m) -> list[dict]:
    """Return sigma and the error of one coordinate across, median and mean, of bins of sigma."""
    sigma_mm, rows = 1e3 * sigma_m, []
    seen = sigma_m < HIDDEN_SIGMA * SIGMA_UNIT_M
    for low, high in zip(_SIGMA_EDGES_MM, _SIGMA_EDGES_MM[1:]):
        inside = (sigma_mm >= low) & (sigma_mm < high) & seen
        if inside.sum() >= _MIN_JOINTS:
            square_mm2 = np.square(1e3 * off_m[inside]) / 2
            rows.append({'expected_mm': float(sigma_mm[inside].mean()),
                         'found_mm': float(np.sqrt(square_mm2.mean())),
                         'median_mm': float(np.sqrt(np.median(square_mm2))),
                         'joints': int(inside.sum())})
    return rows


def text(report: dict) -> str:
    """Return the report of :class:`PhotographCalibration` as lines."""
    lines = [f'{report["joints"]} limb joints of {report["people"]} people whose hips are '
             'annotated', 'confidence, share within 150 mm in the image, joints:']
    for name, rows in report['confidence'].items():
        lines.append(f'  {name:7s}' + '  '.join(
            f'{row["expected"]:.2f} {row["found"]:.2f} {row["joints"]}' for row in rows))
    lines.append('sigma, error across of one coordinate, its median, mm, joints:')
    lines += [f'  {row["expected_mm"]:6.0f} {row["found_mm"]:6.0f} {row["median_mm"]:6.0f} '
              f'{row["joints"]:6d}' for row in report['sigma']]
    return '\n'.join(lines)


def draw(report: dict, path) -> None:
    """Draw confidence and sigma against what the annotations tell."""
    figure = new_figure(figsize=(11, 5), layout='constrained')
    left, right = figure.subplots(1, 2)
    for name, rows in report['confidence'].items():
        left.plot([row['expected'] for row in rows], [row['found'] for row in rows], 'o-',
                  label=name)
    left.plot([0, 1], [0, 1], 'k:')
    left.set(xlabel='confidence', ylabel='share within 150 mm in the image',
             title=f'limb joints of {report["people"]} people in photographs')
    left.legend()
    for key, label in (('found_mm', 'root mean square'), ('median_mm', 'median')):
        right.plot([row['expected_mm'] for row in report['sigma']],
                   [row[key] for row in report['sigma']], 'o-', label=label)
    limit_mm = max((row['expected_mm'] for row in report['sigma']), default=100.0)
    right.plot([0, limit_mm], [0, limit_mm], 'k:')
    right.set(xlabel='sigma of lifted joints, mm', ylabel='error across, one coordinate, mm')
    right.legend()
    save_figure(figure, path)
