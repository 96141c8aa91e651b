"""The verb ``niki bench``: speed of solver, pipeline and node on this machine."""

import json
import subprocess
import sys

from niki_ros.cli.arguments import check_files, number_between, parse_settings
from niki_ros.common.errors import ModelError, SourceError

HELP = """Measure the speed of the solver for 1, 4, 16 and 64 people (the default), of the pipeline
with 1, 2, 4 and 8 people or on a video, or of the node from image stamp to TF over DDS."""
SECONDS = 2.0
_PLOTS = ('.png', '.pdf', '.svg')


def add_arguments(parser):
    """Declare the sub-verbs."""
    parser.set_defaults(bench_verb=_solver, solver=None, backend='onnxruntime', seconds=SECONDS,
                        json=False, plot=None, precision=None, video=None)
    verbs = parser.add_subparsers(metavar='solver|pipeline|node')
    solver = verbs.add_parser('solver', help='solver.solve for 1, 4, 16 and 64 people')
    solver.add_argument('--backend', choices=('onnxruntime', 'tensorrt'), default='onnxruntime')
    solver.add_argument('--precision', choices=('fp32', 'fp16'))
    solver.add_argument('--seconds', type=number_between(float, 0.01, 3600.0), default=SECONDS,
                        help='duration for each number of people (2)')
    solver.set_defaults(bench_verb=_solver)
    pipeline = verbs.add_parser('pipeline', help='1, 2, 4 and 8 people in a scene at 30 Hz, or '
                                'every frame of a video')
    pipeline.add_argument('--people', metavar='N', type=number_between(int, 1, 64), nargs='+',
                          help='numbers of people in the scene (1 2 4 8)')
    pipeline.add_argument('--set', metavar='NAME=VALUE', action='append', default=[],
                          help='any setting, such as observer.model=lite; may be repeated')
    pipeline.add_argument('--max-frames', metavar='N', type=number_between(int, 2, 2 ** 31 - 1))
    pipeline.set_defaults(bench_verb=_pipeline)
    node = verbs.add_parser('node', help='image stamp to TF over DDS; needs ROS 2')
    node.set_defaults(bench_verb=_node)
    for verb in (pipeline, node):
        verb.add_argument('video', nargs='?', metavar='VIDEO',
                          help='default: the scene; of node: the demo clip')
    for verb in (solver, pipeline, node):
        verb.add_argument('--solver', help='a solver that ships, or a model folder')
        verb.add_argument('--json', action='store_true', help='print one JSON object')
        verb.add_argument('--plot', metavar='PNG', help='draw the figures (needs matplotlib)')


def main(args) -> int:
    """Run the sub-verb and print its figures."""
    if args.plot:
        check_files({'--plot': args.plot}, args.video, None, {'solver': args.solver}, plot=_PLOTS)
    figures, lines, draw = args.bench_verb(args)
    print(json.dumps(figures) if args.json else '\n'.join(lines))
    if args.plot:
        _plot(args.plot, draw)
        print(f'{args.plot} written', file=sys.stderr)
    return 0


def _solver(args) -> tuple:
    from niki_ros import load_solver
    from niki_ros.benchmarks.speed import bench_solver
    name = args.solver or _first_shipped()
    options = {}
    if name != 'analytic':
        options = {'backend': args.backend}
        if args.precision:
            options['precision'] = args.precision
    solver = load_solver(name, **options)
    figures = bench_solver(solver, _weight_bytes(name, args.precision), args.seconds)
    return figures, _solver_lines(figures), lambda axes: _draw_solver(axes, figures)


def _solver_lines(figures: dict) -> list:
    lines = [f'{figures["solver"]} on {figures["backend"]} ({figures["device"]}, '
             f'{figures["precision"]}), {figures["memory_mb"]} MB']
    for row in figures['batches']:
        lines.append(f'  {row["batch"]:3} people: p50 {row["p50_ms"]:8.3f} ms   '
                     f'p99 {row["p99_ms"]:8.3f} ms   min {row["min_ms"]:8.3f} ms'
                     + ''.join(f'   {k} {v}' for k, v in row.get('stages', {}).items()))
    step, floor_ms = figures['track_step'], figures['floor_ms']
    lines.append(f'  one frame of a track: p50 {step["p50_ms"]:.3f} ms   '
                 f'p99 {step["p99_ms"]:.3f} ms   min {step["min_ms"]:.3f} ms')
    if floor_ms:
        lines.append(f'  floor {floor_ms:.3f} ms: {figures["weight_bytes"] / 1e6:.1f} MB of '
                     f'weights at {figures["copy_rate_gb_s"]} GB/s; p50 is '
                     f'{figures["batches"][0]["p50_ms"] / floor_ms:.1f} times that')
    lines.append(f'  released shapes: {figures["release_p50_ms_batch1"]} ms with '
                 f'{figures["release_ran_with"]}: {figures["ratio_to_release_batch1"]} times this '
                 f'solver (minima: {figures["ratio_of_minima_batch1"]} times)')
    return lines


def _pipeline(args) -> tuple:
    from niki_ros import load_pipeline
    from niki_ros.benchmarks.speed import bench_pipeline
    from niki_ros.sources.open import open_source
    settings = {**parse_settings(args.set),
                'solver.name': args.solver or _first_shipped(temporal=True)}
    if args.video is None:
        return _people(args, settings)
    with open_source(_video(args.video), max_frames=args.max_frames) as source:
        if source.live and args.max_frames is None:
            raise SourceError(f'{source.name} has no end; give a number of frames: --max-frames')
        pipeline = load_pipeline(**settings)
        figures = {'video': str(_video(args.video)), 'size_px': [source.width, source.height],
                   **bench_pipeline(pipeline, source)}
        pipeline.close()
    if not figures['frames']:
        raise SourceError(f'{figures["video"]} has one frame; at least two are needed')
    lines = [f'{figures["frames"]} frames of {source.width}x{source.height}, '
             f'{figures["bodies"]} bodies, {figures["memory_mb"]} MB',
             f'  frame     p50 {figures["p50_ms"]:8.3f} ms   p99 {figures["p99_ms"]:8.3f} ms']
    lines += [f'  {name:9} p50 {row["p50_ms"]:8.3f} ms   p99 {row["p99_ms"]:8.3f} ms'
              for name, row in figures['stages'].items()]
    return figures, lines, lambda axes: _draw_stages(axes, figures['stages'])


def _people(args, settings) -> tuple:
    from niki_ros.benchmarks.people import bench_people, PEOPLE_COUNTS
    from niki_ros.common.setting import apply_settings
    from niki_ros.common.settings import PipelineConfig
    # rendered people without a background are hard to detect, and all must be followed
    config = apply_settings(PipelineConfig(), {'observer.min_score': 0.3, **settings})
    figures = bench_people(config, counts=args.people or PEOPLE_COUNTS,
                           progress=lambda line: print(line, file=sys.stderr, flush=True))
    lines = [f'{figures["size_px"][0]}x{figures["size_px"][1]} at {figures["rate_hz"]:g} Hz, '
             f'{figures["ran"].get("observer_model", "")}']
    for row in figures['people']:
        lines.append(f'{row["people"]} people: {row["processed"]} of {row["frames"]} frames, '
                     f'{row["bodies"]:g} bodies, {row["observed"]:g} of them observed in each, '
                     f'p50 {row["p50_ms"]:.1f} ms, p99 {row["p99_ms"]:.1f} ms, '
                     f'{1e3 * row["cpu_s_per_frame"]:.1f} ms of CPU time per frame')
        lines += [f'  {name:28} p50 {part["p50_ms"]:8.2f} ms   p99 {part["p99_ms"]:8.2f} ms'
                  for name, part in row['stages'].items()]
    totals = {f'{row["people"]} people': row for row in figures['people']}
    return figures, lines, lambda axes: _draw_stages(axes, totals)


def _node(args) -> tuple:
    """Run the demonstration's processes, which measure from image stamp to TF over DDS."""
    import tempfile
    with tempfile.TemporaryDirectory(prefix='niki_bench_') as folder:
        command = [sys.executable, '-m', 'niki_ros.demo.demo', '--video', str(_video(args.video)),
                   '--out', folder]
        if args.solver:
            command += ['--param', f'solver.name:={args.solver}']
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    try:
        figures = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError) as error:
        raise SourceError(f'the node ended early (exit code {done.returncode}); the lines above '
                          'have the reason') from error
    numbers = {k: v for k, v in figures.items() if isinstance(v, (int, float, str))}
    lines = ['image stamp to TF received, over DDS:']
    lines += [f'  {name}: {value}' for name, value in numbers.items()]
    times = {k: {'p50_ms': v} for k, v in numbers.items()
             if isinstance(v, (int, float)) and '_ms' in k}
    return figures, lines, lambda axes: _draw_stages(axes, times)


def _first_shipped(temporal: bool = False) -> str:
    """Return the default solver: the first of these that ships, else the analytic one."""
    from niki_ros.models.model_store import shipped_names
    names = ('niki-temporal', 'niki') if temporal else ('niki', 'niki-temporal')
    return next((name for name in names if name in shipped_names()), 'analytic')


def _weight_bytes(name: str, precision) -> int:
    """Return the bytes of a model's weights; 0 without a graph, or where they are not stated."""
    if name == 'analytic':
        return 0
    from niki_ros.models.model_store import find_model
    return find_model(name).load_graph(precision).weight_bytes or 0


def _video(given):
    """Return the video of the arguments, else the demo clip, which ``make demo`` caches."""
    if given:
        return given
    from niki_ros.backends.engine_cache import cache_folder
    clip = cache_folder().parent / 'demo.mp4'
    if not clip.is_file():
        raise SourceError(f'there is no video, and {clip} does not exist; give one: niki bench '
                          'pipeline VIDEO, or run make demo once')
    return clip


def _plot(file: str, draw):
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ModelError(f'--plot needs matplotlib ({error}): pip install matplotlib') from error
    from niki_ros.files.atomic_write import atomic_write
    figure = Figure(figsize=(7, 4), layout='constrained')
    draw(figure.add_subplot())
    with atomic_write(file, _PLOTS) as part:
        figure.savefig(part, dpi=120)


def _draw_solver(axes, figures: dict):
    batches = [row['batch'] for row in figures['batches']]
    for name, style in (('p50_ms', 'o-'), ('p99_ms', 's--'), ('min_ms', '^:')):
        axes.plot(batches, [row[name] for row in figures['batches']], style, label=name[:-3])
    axes.plot([1], [figures['release_p50_ms_batch1']], 'kx', label='released shapes')
    if figures['floor_ms']:
        axes.axhline(figures['floor_ms'], color='grey', label='copy of the weights')
    axes.set(xscale='log', yscale='log', xlabel='people', ylabel='ms', xticks=batches,
             xticklabels=batches,
             title=f'{figures["solver"]}, {figures["backend"]}, {figures["device"]}')
    axes.grid(alpha=0.3)
    axes.legend()


def _draw_stages(axes, stages: dict):
    names = list(stages)
    axes.barh(names, [stages[name]['p50_ms'] for name in names], color='steelblue', label='p50')
    for i, name in enumerate(names):
        if 'p99_ms' in stages[name]:
            axes.plot(stages[name]['p99_ms'], i, 'k|', label='p99' if i == 0 else None)
    axes.invert_yaxis()
    axes.set(xlabel='ms')
    axes.legend()
