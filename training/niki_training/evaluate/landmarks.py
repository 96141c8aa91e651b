"""
Measure the errors of the landmark network, on which the lifter is trained.

Errors in the image are shares of the mean distance of a person's limbs from the middle of the
hips. They are measured on annotated photographs, as they are and with single joints painted over,
and on rendered people, where errors that last through a clip and those that flicker are apart. The
estimated depth is compared with that of rendered people and of calibrated video.
"""

import json
from pathlib import Path

from niki_ros.common.errors import ConfigError, InputError
import numpy as np
from tqdm import tqdm

from niki_training.evaluate import landmark_measurements as measurements
from niki_training.evaluate.plots import draw_landmark_errors

_SEEN_EDGES = (0.0, 0.5, 0.9, 1.01)  # bins of the visibility that the network reports


def add_arguments(parser) -> None:
    parser.add_argument('photographs', type=Path,
                        help='folder with images/ and persons.npz (coco_people)')
    parser.add_argument('--rendered', type=Path, metavar='PAIRS',
                        help='folder of niki-data render --observe')
    parser.add_argument('--video', type=Path, metavar='FOLDER',
                        help='calibrated video with measured joints (a Pose2Sim trial)')
    parser.add_argument('--model', default='full', choices=('lite', 'full', 'heavy'))
    parser.add_argument('--limit', type=int, help='number of people at most')
    parser.add_argument('--json', action='store_true', help='print one JSON object')
    parser.add_argument('--plot', type=Path, help='draw the report here (.png, .svg or .pdf)')


def main(args) -> int:
    report = measure(args)
    if args.plot:
        draw_landmark_errors(report, args.plot)
    if args.json:
        print(json.dumps(report))
        return 0
    print('\n\n'.join(_tables(report)))
    return 0


def measure(args) -> dict:
    """Return the report on photographs, and on rendered people and video where given."""
    people = measurements.annotated_people(args.photographs)[:args.limit]
    if not people:
        raise InputError(f'{args.photographs}: no person has six keypoints or more')
    network = measurements.load_network(args.model)
    rows, painted = [], []
    for person in tqdm(people, disable=None, unit='person'):
        look = measurements.settled_look(network, person)
        if look is None:
            continue
        rows += measurements.keypoint_errors(person, look)
        painted += measurements.painted_keypoint_errors(network, person, look)
    network.close()
    if not rows:
        raise ConfigError('the network finds no person in these photographs')
    report = {'model': args.model, 'people': len({row['person'] for row in rows}),
              'photographs': _by_joint(rows), 'painted': _by_joint(painted),
              'exchanged_percent': 100 * float(np.mean([row['exchanged'] for row in rows])),
              'by_size_px': _by_value(rows, 'size_px', (0, 32, 64, 128, 1e9)),
              'by_truncation': _by_value(rows, 'truncated', (0, 1, 2))}
    if args.rendered:
        report['rendered'], report['depth_rendered'] = measurements.rendered_errors(args.rendered)
    if args.video:
        report['depth_video'] = measurements.video_depth_slopes(args.video, args.model)
    return report


def _by_joint(rows) -> dict:
    """Return joint → label → scores of each bin of visibility."""
    out: dict = {}
    for name in dict.fromkeys(row['joint'] for row in rows):
        mine = [row for row in rows if row['joint'] == name]
        out[name] = {label: _in_bins([row for row in mine if row['label'] == label])
                     for label in dict.fromkeys(row['label'] for row in mine)}
    return out


def _in_bins(rows) -> dict:
    """Return count, share of all, median and 90th percentile of each bin of visibility."""
    seen = np.array([row['seen'] for row in rows])
    error = np.array([row['error'] for row in rows])
    out = {}
    for low, high in zip(_SEEN_EDGES, _SEEN_EDGES[1:]):
        inside = error[(seen >= low) & (seen < high)]
        out[f'{low:g}'] = {'count': len(inside), 'percent': 100 * len(inside) / len(rows),
                           'median': float(np.median(inside)) if len(inside) else None,
                           'p90': float(np.percentile(inside, 90)) if len(inside) else None}
    return out


def _by_value(rows, key: str, edges) -> dict:
    """Return the errors of joints that the annotators see, by bins of ``key``."""
    out = {}
    for low, high in zip(edges[:-1], edges[1:]):
        inside = [row['error'] for row in rows
                  if low <= row[key] < high and row['label'] == 'seen']
        if inside:
            out[f'{low:g}'] = {'count': len(inside), 'median': float(np.median(inside)),
                               'p90': float(np.percentile(inside, 90))}
    return out


def _tables(report):
    yield (f'{report["people"]} people, landmarks-{report["model"]}; left and right exchanged: '
           f'{report["exchanged_percent"]:.1f} % of limb joints')
    head = ' '.join(f'{"seen >= " + b:>22s}' for b in ('0', '0.5', '0.9'))
    for part in ('photographs', 'painted'):
        lines = [f'{part + ": median / p90 (share)":38s} {head}']
        for joint, labels in report[part].items():
            for label, bins in labels.items():
                cells = [f'{b["median"]:.3f} / {b["p90"]:.2f} ({b["percent"]:3.0f} %)'
                         if b['count'] else '-' for b in bins.values()]
                lines.append(f'{joint:24s} {label:13s} ' + ' '.join(f'{c:>22s}' for c in cells))
        yield '\n'.join(lines)
    for part in ('by_size_px', 'by_truncation'):
        yield f'{part}: ' + ', '.join(
            f'{name}: {row["median"]:.3f} / {row["p90"]:.2f} ({row["count"]})'
            for name, row in report[part].items())
    if 'rendered' in report:
        yield '\n'.join([f'{"rendered":24s} {"lasting":>9s} {"flickers":>9s}', *(
            f'{name:24s} {row["lasting"]:9.3f} {row["flickers"]:9.3f}'
            for name, row in report['rendered'].items())])
    for part in ('depth_rendered', 'depth_video'):
        if part in report:
            yield '\n'.join([f'{part:24s} {"slope":>9s} {"residual, mm":>13s}', *(
                f'{name:24s} {row["slope"]:9.2f} {row["residual_mm"]:13.0f}'
                for name, row in report[part].items())])
