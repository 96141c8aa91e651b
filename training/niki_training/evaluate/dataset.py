"""
``niki-evaluate dataset``: the benchmarks of papers, for those who hold the data.

Images → front end → pipeline, as the node runs it, and the scores that each benchmark prescribes
(``niki_training/protocols``), with published figures beside them.
"""

from __future__ import annotations

import json
from pathlib import Path
import sys
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional

from niki_ros.common.errors import InputError
from niki_ros.models.model_folder import graphs_of
import numpy as np

from niki_training.common.arguments import positive_int
from niki_training.evaluate.protocols import agora, h36m, predict, threedoh, threedpw
from niki_training.evaluate.protocols.mesh import GENDERS, Meshes
from niki_training.evaluate.protocols.published import PUBLISHED
from niki_training.evaluate.protocols.scores import Errors, errors_of, summary
from niki_training.evaluate.protocols.truth import Sequence
from niki_training.files.outputs import check_arguments, write_text

HELP = 'the pipeline on a benchmark of the papers, with the scores that it prescribes'
COLUMNS = ('mpjpe_mm', 'pa_mpjpe_mm', 'pve_mm', 'acceleration_mm_frame2', 'found_percent', 'f1',
           'nmje_mm', 'nmve_mm')
_FALLBACK = 'smpl24'


class Benchmark(NamedTuple):
    """How one benchmark is read and scored."""

    read: Callable[..., Iterator[Sequence]]
    joint_set: str
    boxes: str
    genders: tuple = ('neutral',)
    detection: bool = False


BENCHMARKS: Dict[str, Benchmark] = {
    '3dpw': Benchmark(lambda a: threedpw.sequences(a.folder), 'lsp14', 'truth', GENDERS),
    '3dpw-occ': Benchmark(lambda a: threedpw.occluded(a.folder), 'lsp14', 'truth', GENDERS),
    '3dpw-xocc': Benchmark(lambda a: threedpw.cut_and_covered(a.folder, a.seed), 'lsp14', 'truth',
                           GENDERS),
    'agora': Benchmark(lambda a: agora.sequences(a.folder), 'smpl24', 'detector', detection=True),
    '3doh': Benchmark(lambda a: threedoh.sequences(a.folder), 'lsp14', 'truth'),
    'h36m': Benchmark(lambda a: h36m.sequences(a.folder, a.protocol), 'lsp14', 'truth')}


def add_arguments(parser) -> None:
    """Add the options of this verb."""
    parser.add_argument('benchmark', choices=tuple(BENCHMARKS))
    parser.add_argument('folder', type=Path, help='the data set as it is unpacked')
    parser.add_argument('--out', type=Path, required=True, help='a folder for predictions, '
                        'results.json and results.md; the same command goes on where it ended')
    parser.add_argument('--smpl', type=Path, help="folder of your SMPL files (3DPW's truth needs "
                        'all three genders), or the neutral one; from smpl.is.tue.mpg.de')
    parser.add_argument('--regressor', type=Path, metavar='J_regressor_h36m.npy',
                        help="from the data of SPIN's fetch_data.sh, or HybrIK's model_files")
    parser.add_argument('--solver', default='niki-temporal')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--boxes', choices=('truth', 'detector'), help='who tells where people '
                        'are: the truth, as the papers do (not on agora), or our detector')
    parser.add_argument('--joints', type=int, choices=(14, 17), default=14, help='h36m: how many')
    parser.add_argument('--protocol', type=int, choices=(1, 2), default=2,
                        help='h36m: 1 = all cameras, 2 = the frontal one (2)')
    parser.add_argument('--body-vertices', type=Path, metavar='body_verts_smpl.npy',
                        help="agora: the vertices that count, from agora_evaluation's utils")
    parser.add_argument('--every', type=positive_int, default=1, help='take every n-th image (1)')
    parser.add_argument('--limit', type=positive_int, help='at most so many sequences')
    parser.add_argument('--seed', type=int, default=0, help='3dpw-xocc: of its occluders')
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args) -> int:
    """Run what is missing, score everything, print and write the tables."""
    from niki_ros.cli.arguments import parse_settings
    benchmark = BENCHMARKS[args.benchmark]
    settings = parse_settings(args.set)
    boxes = args.boxes or benchmark.boxes
    _check_out(args)
    joint_set, meshes = _joints(args, benchmark)
    vertices = _body_vertices(args.body_vertices)
    sequences = [one for _, one in zip(range(args.limit or sys.maxsize), benchmark.read(args))]
    _check_sequences(sequences)
    graphs = graphs_of(predict.settings_for(args.solver, settings, boxes, True))
    facts = {'benchmark': args.benchmark, 'solver': args.solver, 'settings': settings,
             'graphs': [[role, folder.manifest['sha256'][:16]] for role, folder in graphs],
             'boxes': boxes, 'every': args.every,
             'protocol': args.protocol if args.benchmark == 'h36m' else None,
             'seed': args.seed if args.benchmark == '3dpw-xocc' else None}
    predict.begin(args.out, facts)
    errors, whole = _run(args, sequences, settings, boxes, joint_set, meshes, vertices)
    if not errors:
        return 130
    result = {**facts, 'joint_set': joint_set, 'sequences_of': len(sequences), 'whole': whole,
              'all': summary(list(errors.values()), benchmark.detection),
              'sequences': {n: summary([e], benchmark.detection) for n, e in errors.items()},
              'published': [one._asdict() for one in PUBLISHED[args.benchmark]],
              'notes': _notes(args, benchmark, joint_set, meshes, whole)}
    write_text(args.out / 'results.json', json.dumps(result, indent=1) + '\n')
    write_text(args.out / 'results.md', table(result))
    print(json.dumps(result) if args.json else table(result), end='' if not args.json else '\n')
    return 0 if whole else 130


def _run(args, sequences, settings, boxes, joint_set, meshes, vertices):
    """Return the errors by sequence, and whether all could be run before an interrupt."""
    errors: Dict[str, Errors] = {}
    folder = args.out / 'predictions'
    folder.mkdir(exist_ok=True)
    for number, sequence in enumerate(sequences, 1):
        print(f'{number} of {len(sequences)}: {sequence.name}', file=sys.stderr, flush=True)
        try:
            found = predict.run(
                sequence, folder,
                lambda video: predict.settings_for(args.solver, settings, boxes, video),
                boxes, args.every)
            errors[sequence.name] = errors_of(_thinned(sequence, args.every), _thin(
                found, args.every), joint_set, meshes, vertices)
        except KeyboardInterrupt:
            print(f'interrupted in {sequence.name}; the same command goes on there',
                  file=sys.stderr)
            return errors, False
    return errors, True


def _thinned(sequence: Sequence, every: int) -> Sequence:
    """Return the sequence of the images that were run: those in a row are in a row again."""
    return sequence._replace(frames=sequence.frames[::every])


def _thin(found: predict.Predictions, every: int) -> predict.Predictions:
    return predict.Predictions(found, row=found['row'][::every],
                               strangers=found['strangers'][::every])


def _joints(args, benchmark: Benchmark):
    """Return the joint set that can be scored with the files at hand, and the meshes."""
    joint_set = benchmark.joint_set
    if args.benchmark == 'h36m' and args.joints == 17:
        joint_set = 'h36m17'
    if args.smpl is None:
        if args.regressor is not None:
            raise InputError('--regressor takes joints from a mesh: give --smpl too')
        return _FALLBACK, None
    meshes = Meshes(args.smpl, args.regressor, benchmark.genders)
    return (_FALLBACK if meshes.regressor is None else joint_set), meshes


def _body_vertices(path: Optional[Path]) -> Optional[np.ndarray]:
    """Read indices of vertices."""
    if path is None:
        return None
    try:
        found = np.load(path, allow_pickle=False)
        if found.ndim != 1 or found.dtype.kind not in 'iu':
            raise ValueError(f'{found.dtype} of shape {found.shape}')
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f'{path}: not the indices of vertices ({error})') from error
    return found


def _check_out(args) -> None:
    """Refuse to write where the data are."""
    if args.out.is_dir():
        check_arguments(args, {'--out': args.out / predict.RUN})
    out, folder = args.out.resolve(), args.folder.resolve()
    if out == folder or folder.is_dir() and folder in out.parents:
        raise InputError(f'--out {args.out} is in the data set {args.folder}; give a folder of '
                         'its own')


def _check_sequences(sequences: List[Sequence]) -> None:
    """Refuse what cannot be run to its end before hours are spent on the first part of it."""
    if not sequences:
        raise InputError('there is no sequence in the data set')
    files = set()
    for sequence in sequences:
        if predict.file_name(sequence) in files:
            raise InputError(f'two sequences are called {sequence.name}, and would be taken for '
                             "one: give the folder of one of them, such as AGORA's of SMPL "
                             'without SMPL-X')
        files.add(predict.file_name(sequence))
        for frame in sequence.frames:
            if not frame.file.is_file():
                raise InputError(f'{frame.file}: no such picture; unpack the images of the data '
                                 'set there')


def _notes(args, benchmark, joint_set, meshes, whole: bool) -> List[str]:
    """Return what a reader of the figures has to know."""
    notes = []
    if joint_set == _FALLBACK != benchmark.joint_set:
        notes.append("not the benchmark's joints but SMPL's 24 about the middle of the hips: for "
                     f'{benchmark.joint_set} give '
                     + ('--smpl and ' if meshes is None else '') + '--regressor')
    if meshes is None:
        notes.append('no mesh, so no PVE: give --smpl')
    if args.benchmark == '3dpw-xocc':
        notes.append("the occluders have the sizes of the paper's released code, but are not the "
                     "paper's own, whose images are not published")
    if args.benchmark == 'agora' and meshes is not None and args.body_vertices is None:
        notes.append('PVE over all vertices: give --body-vertices for those of the body')
    if args.boxes == 'detector' or benchmark.boxes == 'detector':
        notes.append('people are found by our detector; means are over those who were found')
    if args.every > 1 or args.limit or not whole:
        notes.append('a part of the benchmark only')
    return notes


def table(result: dict) -> str:
    """Return the table in Markdown."""
    columns = [c for c in COLUMNS if result['all'].get(c) is not None
               or any(c in one['figures'] for one in result['published'])]
    rows = [('this pipeline, ' + result['solver'], result['all'])]
    rows += [(one['method'], one['figures']) for one in result['published']]
    lines = [f'{result["benchmark"]}, {result["joint_set"]}, {result["all"]["people"]} people in '
             f'{len(result["sequences"])} of {result["sequences_of"]} sequences', '',
             '| | ' + ' | '.join(columns) + ' |', '|---' * (len(columns) + 1) + '|']
    lines += [f'| {name} | ' + ' | '.join(_number(row.get(c)) for c in columns) + ' |'
              for name, row in rows]
    lines += ['', *(f'- {note}' for note in result['notes']),
              *(f'- {one["method"]}: {one["source"]}' for one in result['published'])]
    if not result['published']:
        lines.append('- no published figure could be read in a source at hand')
    return '\n'.join(lines) + '\n'


def _number(value) -> str:
    return '' if value is None else f'{value:.3g}' if abs(value) < 1 else f'{value:.1f}'
