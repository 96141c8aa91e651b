"""
Score the pipeline on a benchmark of a paper, for users who hold its data.

Images go through front end and pipeline as in the node. The scores are those that the benchmark
prescribes; published scores are printed next to them. The same command resumes an interrupted run.
"""

import json
from pathlib import Path
import sys
from typing import Callable, Iterator, NamedTuple

from niki_ros.common.errors import InputError
from niki_ros.models.model_store import graphs_of
import numpy as np

from niki_training.common.arguments import positive_int
from niki_training.evaluate.datasets import agora, h36m, predictions, threedoh, threedpw
from niki_training.evaluate.datasets.annotations import Sequence
from niki_training.evaluate.datasets.published import PUBLISHED
from niki_training.evaluate.datasets.scores import score_sequence, SequenceErrors, summary
from niki_training.evaluate.datasets.smpl_mesh import GENDERS, Meshes
from niki_training.files.outputs import check_arguments, write_text

_COLUMNS = ('mpjpe_mm', 'pa_mpjpe_mm', 'pve_mm', 'acceleration_mm_frame2', 'found_percent', 'f1',
           'nmje_mm', 'nmve_mm')
_INTERRUPTED = 130  # exit code of a run that Ctrl-C has ended
_FALLBACK = 'smpl24'  # joint set without SMPL's files or the regressor


class Benchmark(NamedTuple):
    """Reader and rules of one benchmark."""

    read: Callable[..., Iterator[Sequence]]  # of the arguments of the command
    joint_set: str  # one of ``scores.JOINT_SETS``
    boxes: str  # ``truth`` or ``detector``
    genders: tuple = ('neutral',)  # of the meshes of the ground truth
    detection: bool = False  # F1 is scored too


class Scoring(NamedTuple):
    """Joint set, meshes, and vertices that count for PVE: arguments of :func:`score_sequence`."""

    joint_set: str
    meshes: Meshes | None
    vertices: np.ndarray | None


BENCHMARKS: dict[str, Benchmark] = {
    '3dpw': Benchmark(lambda a: threedpw.sequences(a.folder), 'lsp14', 'truth', GENDERS),
    '3dpw-occ': Benchmark(lambda a: threedpw.occluded(a.folder), 'lsp14', 'truth', GENDERS),
    '3dpw-xocc': Benchmark(lambda a: threedpw.cut_and_covered(a.folder, a.seed), 'lsp14', 'truth',
                           GENDERS),
    'agora': Benchmark(lambda a: agora.sequences(a.folder), 'smpl24', 'detector', detection=True),
    '3doh': Benchmark(lambda a: threedoh.sequences(a.folder), 'lsp14', 'truth'),
    'h36m': Benchmark(lambda a: h36m.sequences(a.folder, a.protocol), 'lsp14', 'truth')}


def add_arguments(parser) -> None:
    parser.add_argument('benchmark', choices=tuple(BENCHMARKS))
    parser.add_argument('folder', type=Path, help='the unpacked data set')
    parser.add_argument('--out', type=Path, required=True, help='folder of predictions, '
                        'results.json and results.md; a run that is there is resumed')
    parser.add_argument('--smpl', type=Path, help="folder of your SMPL files (3DPW's truth needs "
                        'all three genders), or the neutral one; from smpl.is.tue.mpg.de')
    parser.add_argument('--regressor', type=Path, metavar='J_regressor_h36m.npy',
                        help="from the data of SPIN's fetch_data.sh, or HybrIK's model_files")
    parser.add_argument('--solver', default='niki-temporal')
    parser.add_argument('--set', action='append', default=[], metavar='NAME=VALUE',
                        help='a setting of the pipeline, as in niki run')
    parser.add_argument('--boxes', choices=('truth', 'detector'), help='boxes of people: '
                        'annotated, as in the papers (but agora), or from the detector')
    parser.add_argument('--joints', type=int, choices=(14, 17), default=14,
                        help='h36m: number of joints (14)')
    parser.add_argument('--protocol', type=int, choices=(1, 2), default=2,
                        help='h36m: 1 = all cameras, 2 = the frontal one (2)')
    parser.add_argument('--body-vertices', type=Path, metavar='body_verts_smpl.npy',
                        help="agora: the vertices that count, from agora_evaluation's utils")
    parser.add_argument('--every', type=positive_int, default=1, help='take every n-th image (1)')
    parser.add_argument('--limit', type=positive_int, help='at most so many sequences')
    parser.add_argument('--seed', type=int, default=0, help='3dpw-xocc: of its occluders')
    parser.add_argument('--json', action='store_true', help='print one JSON object')


def main(args) -> int:
    from niki_ros.cli.arguments import parse_settings
    benchmark = BENCHMARKS[args.benchmark]
    settings = parse_settings(args.set)
    boxes = args.boxes or benchmark.boxes
    _check_out(args)
    scoring = Scoring(*_joints(args, benchmark), _body_vertices(args.body_vertices))
    sequences = [one for _, one in zip(range(args.limit or sys.maxsize), benchmark.read(args))]
    _check_sequences(sequences)
    graphs = graphs_of(predictions.pipeline_config(args.solver, settings, boxes, True))
    facts = {'benchmark': args.benchmark, 'solver': args.solver, 'settings': settings,
             'graphs': [[role, folder.manifest['sha256'][:16]] for role, folder in graphs],
             'boxes': boxes, 'every': args.every,
             'protocol': args.protocol if args.benchmark == 'h36m' else None,
             'seed': args.seed if args.benchmark == '3dpw-xocc' else None}
    predictions.start_run(args.out, facts)
    errors = _score(args, sequences, settings, boxes, scoring)
    if not errors:
        return _INTERRUPTED
    whole = len(errors) == len(sequences)
    result = {**facts, 'joint_set': scoring.joint_set, 'sequences_of': len(sequences),
              'whole': whole, 'all': summary(list(errors.values()), benchmark.detection),
              'sequences': {n: summary([e], benchmark.detection) for n, e in errors.items()},
              'published': [one._asdict() for one in PUBLISHED[args.benchmark]],
              'notes': _notes(args, benchmark, scoring, whole)}
    write_text(args.out / 'results.json', json.dumps(result, indent=1) + '\n')
    write_text(args.out / 'results.md', table(result))
    print(json.dumps(result) if args.json else table(result), end='' if not args.json else '\n')
    return 0 if whole else _INTERRUPTED


def _score(args, sequences: list[Sequence], settings: dict, boxes: str,
           scoring: Scoring) -> dict[str, SequenceErrors]:
    """Return the errors by sequence; after an interrupt those of the sequences before it."""
    errors: dict[str, SequenceErrors] = {}
    folder = args.out / 'predictions'
    folder.mkdir(exist_ok=True)
    for number, sequence in enumerate(sequences, 1):
        print(f'{number} of {len(sequences)}: {sequence.name}', file=sys.stderr, flush=True)
        try:
            found = predictions.predict(
                sequence, folder, lambda is_video: predictions.pipeline_config(
                    args.solver, settings, boxes, is_video), boxes, args.every)
            processed = sequence._replace(frames=sequence.frames[::args.every])
            errors[sequence.name] = score_sequence(processed, found.every(args.every), *scoring)
        except KeyboardInterrupt:
            print(f'interrupted in {sequence.name}; the same command resumes there',
                  file=sys.stderr)
            break
    return errors


def _joints(args, benchmark: Benchmark) -> tuple[str, Meshes | None]:
    """Return the joint set that the given files allow, and the meshes."""
    joint_set = benchmark.joint_set
    if args.benchmark == 'h36m' and args.joints == 17:
        joint_set = 'h36m17'
    if args.smpl is None:
        if args.regressor is not None:
            raise InputError('--regressor takes joints from a mesh: give --smpl too')
        return _FALLBACK, None
    meshes = Meshes(args.smpl, args.regressor, benchmark.genders)
    return (_FALLBACK if meshes.regressor is None else joint_set), meshes


def _body_vertices(path: Path | None) -> np.ndarray | None:
    """Return the indices (n,) of vertices in a file, or None."""
    if path is None:
        return None
    try:
        found = np.load(path, allow_pickle=False)
        if found.ndim != 1 or found.dtype.kind not in 'iu':
            raise ValueError(f'{found.dtype} of shape {found.shape}')
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f'{path}: no indices of vertices ({error})') from error
    return found


def _check_out(args) -> None:
    """Check that --out is not in the data set."""
    if args.out.is_dir():
        check_arguments(args, {'--out': args.out / predictions.RUN_FILE})
    out, folder = args.out.resolve(), args.folder.resolve()
    if out == folder or folder.is_dir() and folder in out.parents:
        raise InputError(f'--out {args.out} is in the data set {args.folder}; give a folder of '
                         'its own')


def _check_sequences(sequences: list[Sequence]) -> None:
    """Check names and files of all sequences before the first, long one is processed."""
    if not sequences:
        raise InputError('the data set has no sequence')
    files = set()
    for sequence in sequences:
        if predictions.file_name(sequence) in files:
            raise InputError(f'two sequences are called {sequence.name}; give the folder of one')
        files.add(predictions.file_name(sequence))
        for frame in sequence.frames:
            if not frame.file.is_file():
                raise InputError(f'{frame.file}: no such image; unpack the images there')


def _notes(args, benchmark: Benchmark, scoring: Scoring, whole: bool) -> list[str]:
    notes, meshes = [], scoring.meshes
    if scoring.joint_set == _FALLBACK != benchmark.joint_set:
        notes.append("SMPL's 24 joints about the middle of the hips, not the benchmark's: for "
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
        notes.append('people are found by the detector; means are over those who were found')
    if args.every > 1 or args.limit or not whole:
        notes.append('only a part of the benchmark')
    return notes


def table(result: dict) -> str:
    columns = [c for c in _COLUMNS if result['all'].get(c) is not None
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
        lines.append('- no published scores at hand')
    return '\n'.join(lines) + '\n'


def _number(value) -> str:
    return '' if value is None else f'{value:.3g}' if abs(value) < 1 else f'{value:.1f}'
