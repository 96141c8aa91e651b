"""The verb ``niki engine``: build, list, check and clear TensorRT engines, cast graphs."""

from __future__ import annotations

from argparse import ArgumentTypeError
import json
from pathlib import Path
import sys
from time import perf_counter

from niki_ros.core.errors import BackendError

HELP = """Build TensorRT engines for this GPU, or ahead of time for another (--target, with
TensorRT-RTX), list and clear those in the cache, measure how far they are from the FP32 graph."""


def add_arguments(parser):
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(metavar='build|cast|list|check|clear', required=True)
    build = verbs.add_parser('build', help='build an engine into the cache')
    build.add_argument('model', help='a model that ships, or a model folder')
    build.add_argument('--precision', choices=('fp32', 'fp16'), default='fp32')
    build.add_argument('--target', default='', metavar='sm86,sm89',
                       help='GPUs to build for ahead of time; default: the GPU of this machine')
    build.add_argument('--max-batch', type=_batch, default=16, help='people at once (16)')
    build.add_argument('--on-mismatch', choices=('rebuild', 'refuse'), default='rebuild',
                       help='what to do with a cached engine that is damaged')
    _limit(build)
    build.set_defaults(engine_verb=_build)
    cast = verbs.add_parser('cast', help='put an fp16 graph into a model folder')
    cast.add_argument('model', help='a model folder that can be written')
    _limit(cast)
    cast.set_defaults(engine_verb=_cast)
    listed = verbs.add_parser('list', help='list the cached engines; exit 1 if one is damaged')
    listed.add_argument('--json', action='store_true')
    listed.set_defaults(engine_verb=_list)
    check = verbs.add_parser('check', help='measure an engine against the FP32 graph')
    check.add_argument('model', help='a model that ships, or a model folder')
    check.add_argument('--backend', choices=('onnxruntime', 'tensorrt'), default='onnxruntime')
    check.add_argument('--precision', choices=('fp32', 'fp16', 'all'), default='all')
    check.add_argument('--count', type=_batch, default=1000, help='poses (1000)')
    check.add_argument('--json', action='store_true')
    _limit(check)
    check.set_defaults(engine_verb=_check)
    clear = verbs.add_parser('clear', help='delete cached engines')
    clear.add_argument('model', nargs='?', help='only those of this model')
    clear.set_defaults(engine_verb=_clear)


def main(args) -> int:
    """Run the sub-verb."""
    return args.engine_verb(args)


def find_model(name: str):
    """Return the model folder of a model that ships, or at a path."""
    from niki_ros.model_folder import read_model_folder
    shipped = Path(__file__).parents[1] / 'models' / name
    if '/' not in name and (shipped / 'manifest.json').is_file():
        return read_model_folder(shipped)
    return read_model_folder(Path(name).expanduser())


def _limit(parser):
    parser.add_argument('--limit', type=float, default=0.5, metavar='MM',
                        help='largest 99th percentile of the error, millimetres (0.5)')
    parser.add_argument('--poses', metavar='NPZ', help='joints_m (N, 29, 3) and sigma (N, 29) to '
                        'measure with; default: those that ship')


def _build(args) -> int:
    from niki_ros.backends.tensorrt_cached import build_into_cache, where_to_build
    from niki_ros.engine_cache import cache_folder
    folder = find_model(args.model)
    targets = [t.strip().lower() for t in args.target.split(',') if t.strip()] or [None]
    for target in targets:
        where_to_build(target)  # no library, no driver, no such target: say so first
    if args.precision not in folder.precisions:
        if args.precision != 'fp16':
            raise BackendError(f'{folder.path} has no {args.precision} graph; it has '
                               f'{", ".join(folder.precisions)}')
        folder = _add_half(folder, args)
    graph = folder.load_graph(args.precision)
    for target in targets:
        start = perf_counter()
        key = build_into_cache(graph, target, args.max_batch, args.on_mismatch, progress=_say)
        file = cache_folder() / f'{key.name}.engine'
        print(f'{file}: {key.library} {key.library_version}, {key.compute_capability}, '
              f'{key.precision}, up to {key.max_batch}, {file.stat().st_size / 1e6:.1f} MB, '
              f'{perf_counter() - start:.1f} s')
    return 0


def _cast(args) -> int:
    folder = _add_half(find_model(args.model), args)
    entry = folder.manifest['graphs']['fp16']
    print(f'{folder.path / entry["file"]}: p99 {entry["cast_error_p99_mm"]:.4g} mm, in fp32: '
          f'{", ".join(entry["fp32_islands"]) or "nothing"}')
    return 0


def _add_half(folder, args):
    """Cast the folder's FP32 graph to FP16 and put it beside, with its measured error."""
    from niki_ros.engine_check import with_half_graph
    try:
        return with_half_graph(folder, args.limit, args.poses, _say)
    except OSError as failed:
        raise BackendError(f'{folder.path} cannot be written ({failed}); copy the folder and '
                           'build from the copy') from failed


def _list(args) -> int:
    from niki_ros.engine_cache import EngineCache
    cache = EngineCache()
    rows = list(cache.entries())
    if args.json:
        print(json.dumps([{'file': str(engine), 'fault': fault, **manifest}
                          for engine, manifest, fault in rows], indent=1))
    else:
        for engine, manifest, fault in rows:
            key = manifest.get('key', {})
            print(fault or f'{engine.name}  {key["library"]} {key["library_version"]}  '
                  f'{key["gpu"]} {key["compute_capability"]}  {key["precision"]}  '
                  f'up to {key["max_batch"]}  {manifest["bytes"] / 1e6:.1f} MB  '
                  f'{manifest["built"]}')
        if not rows:
            print(f'no engines in {cache.folder}')
    return 1 if any(fault for *_, fault in rows) else 0


def _check(args) -> int:
    from niki_ros.backends import load_engine
    from niki_ros.engine_check import check_poses, compare
    folder = find_model(args.model)
    damaged = _damaged_engines(folder)
    heavy = 'hybrik' in folder.manifest['kind']
    poses = check_poses(args.poses, min(args.count, 16) if heavy else args.count)
    wanted = folder.precisions if args.precision == 'all' else (args.precision,)
    if args.backend == 'tensorrt':
        load_engine(folder.path, 'tensorrt', wanted[0]).close()  # no GPU: say so at once
    reference = load_engine(folder.path, precision='fp32')
    results = {}
    for precision in wanted:
        engine = load_engine(folder.path, args.backend, precision)
        results[precision] = {**compare(reference, engine, poses, folder.manifest),
                              'ran': engine.describe()}
        engine.close()
    _note(folder, args.backend, results)
    over = [p for p, facts in results.items() if not facts['mm']['p99'] <= args.limit]
    if args.json:
        print(json.dumps({'model': folder.manifest['name'], 'backend': args.backend,
                          'limit_mm': args.limit, 'errors': results, 'over_limit': over,
                          'damaged_engines': damaged}))
    else:
        _print_errors(results, args.limit, over)
    for fault in damaged:
        print(f'niki: {fault}', file=sys.stderr)
    return 1 if over or damaged else 0


def _damaged_engines(folder) -> list:
    """Name the cached engines of this model that would be refused."""
    from niki_ros.engine_cache import EngineCache
    from niki_ros.model_folder import sha256
    mine = {sha256(folder.load_graph(precision))[:12] for precision in folder.precisions}
    return [fault for engine, _, fault in EngineCache().entries()
            if fault and engine.name[:12] in mine]


def _note(folder, backend: str, results: dict):
    """Put the figures into the folder's manifest; a folder that is read-only is left as it is."""
    from niki_ros.engine_check import note_errors
    try:
        note_errors(folder, {f'{backend}-{precision}': f for precision, f in results.items()})
    except OSError as error:
        _say(f'the figures are not in the manifest: {error}')


def _print_errors(results: dict, limit: float, over: list):
    for precision, facts in results.items():
        ran = facts['ran']
        print(f'{precision} on {ran["library"]} {ran["version"]} ({ran["device"]}), '
              f'{facts["poses"]} poses, against the fp32 graph:')
        for name, unit in (('mm', 'mm'), ('deg', '°')):
            if name in facts:
                e = facts[name]
                print(f'  max {e["max"]:g} {unit}   p99 {e["p99"]:g} {unit}   '
                      f'mean {e["mean"]:g} {unit}')
        if precision in over:
            print(f'  p99 is over the limit of {limit:g} mm')


def _clear(args) -> int:
    from niki_ros.engine_cache import EngineCache
    from niki_ros.model_folder import sha256
    cache = EngineCache()
    if args.model is None:
        count = cache.clear()
    else:
        folder = find_model(args.model)
        count = sum(cache.clear(sha256(folder.load_graph(p))) for p in folder.precisions)
    print(f'{count} engines deleted')
    return 0


def _say(line: str):
    print(f'  {line}', file=sys.stderr, flush=True)


def _batch(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65536:
        raise ArgumentTypeError(f'{value} is out of range; expected 1 … 65536')
    return value
