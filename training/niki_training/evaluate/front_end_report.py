"""
Report the errors of a front end on rendered people with exact ground truth.

Errors are root-aligned (pelvis on pelvis). Along = in the direction of the ray from the camera to
the joint, across = at right angles to it, per coordinate.
"""

from pathlib import Path

from niki_ros.body.observation import SIGMA_UNIT_M
from niki_ros.body.skeleton import JOINTS_29
import numpy as np

from niki_training.evaluate.plots import new_figure, save_figure
from niki_training.files.outputs import check_arguments, write_text
from niki_training.front_end.observe import UNCORRECTED_JOINTS, with_recomputed_observations
from niki_training.render.shards import read_shards

_SIGMA_EDGES = (0.0, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 0.999, 1.01)
_HIDDEN_EDGES_PERCENT = (0, 1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100.1)


def add_arguments(parser) -> None:
    parser.add_argument('folder', type=Path, help='folder with shards of pairs')
    parser.add_argument('--split', default='train')
    parser.add_argument('--out', type=Path, help='write the Markdown here instead of printing it')
    parser.add_argument('--plot', type=Path, help='draw the tables (.png)')


def main(args) -> int:
    check_arguments(args, {'--out': args.out, '--plot': args.plot})
    errors = FrontEndErrors(with_recomputed_observations(read_shards(args.folder, args.split)))
    text = markdown(errors)
    if args.out:
        write_text(args.out, text + '\n')
    else:
        print(text)
    if args.plot:
        draw(errors, args.plot)
    return 0


class FrontEndErrors:
    """
    Errors (n, 29), millimetres, of the n frames of ``shards`` with an observation.

    ``uncorrected`` is the total before the correction of average errors, ``image_px`` the error in
    the image; ``visible`` and ``sigma`` are (n, 29), ``hidden_percent`` (n,). ``all_found`` and
    ``all_hidden_percent`` (clips, frames) are of all frames.
    """

    def __init__(self, shards: dict):
        found = shards['obs_found']
        joints = shards['joints_m'][found].astype(np.float64)
        seen = shards['obs_joints_m'][found].astype(np.float64)
        off = 1e3 * ((seen - seen[:, :1]) - (joints - joints[:, :1]))
        ray = joints / np.linalg.norm(joints, axis=-1, keepdims=True)
        along = np.einsum('nja,nja->nj', off, ray)
        self.along = along
        self.total = np.linalg.norm(off, axis=-1)
        own = shards.get(UNCORRECTED_JOINTS, shards['obs_joints_m'])[found].astype(np.float64)
        self.uncorrected = 1e3 * np.linalg.norm(own - own[:, :1] - joints + joints[:, :1], axis=-1)
        self.across = np.sqrt(np.maximum(self.total**2 - along**2, 0.0) / 2)
        self.visible = shards['visible'][found]
        self.sigma = shards['obs_sigma'][found].astype(np.float64)
        self.hidden_percent = shards['hidden_percent'][found]
        self.image_px = np.linalg.norm(
            shards['obs_keypoints_px'][found] - shards['keypoints_px'][found], axis=-1)
        self.all_found, self.all_hidden_percent = found, shards['hidden_percent']
        self.clips = len(found)
        self.subjects = len(set(shards['subject'].tolist()))


def joint_rows(errors: FrontEndErrors) -> list:
    """Return (joint, mean, median, bias along, RMS along, across, visible, hidden, px, own)."""
    rows = []
    for joint, name in enumerate(JOINTS_29):
        see, total = errors.visible[:, joint], errors.total[:, joint]
        rows.append((
            name, total.mean(), np.median(total), errors.along[:, joint].mean(),
            _rms(errors.along[:, joint]), _rms(errors.across[:, joint]), _mean(total[see]),
            _mean(total[~see]), np.nanmedian(errors.image_px[:, joint]),
            errors.uncorrected[:, joint].mean()))
    return rows


def hidden_rows(errors: FrontEndErrors) -> list:
    """Return (from, to, frames, found %, mean error, mean of visible, of hidden joints)."""
    rows = []
    for low, high in zip(_HIDDEN_EDGES_PERCENT, _HIDDEN_EDGES_PERCENT[1:]):
        every = (errors.all_hidden_percent >= low) & (errors.all_hidden_percent < high)
        if not every.any():
            continue
        here = (errors.hidden_percent >= low) & (errors.hidden_percent < high)
        total, see = errors.total[here][:, :24], errors.visible[here][:, :24]
        rows.append((low, min(high, 100), int(every.sum()),
                     100 * errors.all_found[every].mean(), _mean(total), _mean(total[see]),
                     _mean(total[~see])))
    return rows


def sigma_rows(errors: FrontEndErrors) -> list:
    """Return (mean sigma as mm, RMS error per coordinate, median-based, share %) in bins."""
    rows = []
    sigma, total = errors.sigma[:, 1:], errors.total[:, 1:]
    for low, high in zip(_SIGMA_EDGES, _SIGMA_EDGES[1:]):
        here = (sigma >= low) & (sigma < high)
        if here.sum() < 100:
            continue
        # the median length of a three-dimensional Gaussian vector is 1.538 of its sigma
        rows.append((1e3 * SIGMA_UNIT_M * sigma[here].mean(), _rms(total[here]) / np.sqrt(3),
                     np.median(total[here]) / 1.538, 100 * here.mean()))
    return rows


def _rms(values) -> float:
    return float(np.sqrt(np.mean(np.square(values))))


def _mean(values) -> float:
    return float(values.mean()) if values.size else float('nan')


def _table(head, rows, pattern: str) -> list:
    """Return a Markdown table; ``pattern`` formats one row."""
    lines = ['| ' + ' | '.join(head) + ' |', '|---' * len(head) + '|']
    return lines + ['| ' + pattern.format(*row).replace('nan', '') + ' |' for row in rows]


def markdown(errors: FrontEndErrors) -> str:
    found, clear = errors.all_found, errors.all_hidden_percent < 1
    lines = [
        '# Errors of the front end on rendered people', '',
        f'{errors.clips} clips, {errors.subjects} subjects, {found.size} frames, '
        f'{100 * found.mean():.1f} % with the person found; of the {int(clear.sum())} frames '
        f'with nothing hidden {100 * found[clear].mean():.1f} %. '
        f'{100 * (errors.all_hidden_percent >= 10).mean():.0f} % of the frames have a tenth or '
        'more of the body hidden. Millimetres, root-aligned, after the correction of average '
        'errors; "uncorrected" is the mean before it.', '',
        '## By joint', '']
    lines += _table(
        ('joint', 'mean', 'median', 'bias along', 'RMS along', 'RMS across', 'visible', 'hidden',
         'median px', 'uncorrected'), joint_rows(errors),
        '{} | {:.0f} | {:.0f} | {:+.0f} | {:.0f} | {:.0f} | {:.0f} | {:.0f} | {:.1f} | {:.0f}')
    lines += ['', '## By percent of the body hidden', '']
    lines += _table(
        ('% hidden', 'frames', 'found %', 'mean', 'visible joints', 'hidden joints'),
        hidden_rows(errors), '{:.0f}–{:.0f} | {} | {:.1f} | {:.0f} | {:.0f} | {:.0f}')
    lines += ['', '## Measured errors against sigma', '']
    lines += _table(
        ('sigma, mm per coordinate', 'RMS', 'by the median', 'share of joints %'),
        sigma_rows(errors), '{:.0f} | {:.0f} | {:.0f} | {:.1f}')
    return '\n'.join(lines)


def draw(errors: FrontEndErrors, path: Path) -> None:
    figure = new_figure(figsize=(15, 4.6), layout='constrained')
    joints, hidden, sigma = figure.subplots(1, 3, width_ratios=(1.6, 1, 1))
    rows = joint_rows(errors)
    at = np.arange(len(rows))
    joints.bar(at - 0.2, [r[4] for r in rows], 0.4, label='along the ray')
    joints.bar(at + 0.2, [r[5] for r in rows], 0.4, label='across')
    joints.set_xticks(at, [r[0] for r in rows], rotation=90)
    joints.set_ylabel('RMS error per coordinate, mm')
    joints.legend()
    rows = hidden_rows(errors)
    middle = [(r[0] + r[1]) / 2 for r in rows]
    for column, label in ((4, 'all joints'), (5, 'visible'), (6, 'hidden')):
        hidden.plot(middle, [r[column] for r in rows], 'o-', label=label)
    hidden.set(xlabel='% of the silhouette hidden', ylabel='mean error, mm')
    hidden.legend()
    found = hidden.twinx()
    found.plot(middle, [r[3] for r in rows], 'k:')
    found.set_ylabel('found, % (dotted)')
    rows = sigma_rows(errors)
    sigma.plot([r[0] for r in rows], [r[1] for r in rows], 'o-', label='RMS')
    sigma.plot([r[0] for r in rows], [r[2] for r in rows], 'o-', label='by the median')
    sigma.plot([0, 200], [0, 200], 'k:')
    sigma.set(xlabel='sigma, mm per coordinate', ylabel='measured, mm')
    sigma.legend()
    save_figure(figure, path, dpi=100)
