"""The verb ``niki engine``: build, list, check and clear TensorRT engines."""

from argparse import REMAINDER
import json
import sys
from time import perf_counter

from niki_ros.cli.arguments import add_error_arguments, number_between, parse_settings
from niki_ros.common.errors import BackendError

HELP = """Build TensorRT engines for this GPU, or ahead of time for another (--target, with
TensorRT-RTX), list and clear the engines in the cache, measure their error against the FP32 graph.
Without a model: for all graphs that the settings need."""
_BATCH = number_between(int, 1, 65536)
_UNITS = {'mm': ' mm', 'deg': '°', 'px': ' px', 'score': ' score'}


def add_arguments(parser):
    """Declare the sub-verbs."""
    verbs = parser.add_subparsers(metavar='build|list|check|clear', required=True)
    build = verbs.add_parser('build', help='build engines into the cache')
    _models(build)
    build.add_argument('--precision', choices=('fp32', 'fp16'),
                       help='default: engine.precision of the settings')
    build.add_argument('--target', default='', metavar='sm86,sm89',
                       help='GPUs to build for ahead of time; default: the GPU of this machine')
    build.add_argument('--max-batch', type=_BATCH, metavar='N',
                       help='people in one run; default: engine.max_batch of the settings')
    build.add_argument('--on-mismatch', choices=('rebuild', 'refuse'), default='rebuild',
                       help='action for a cached engine that is damaged')
    build.set_defaults(engine_verb=_build)
    moved = verbs.add_parser('cast')
    moved.add_argument('arguments', nargs=REMAINDER)
    moved.set_defaults(engine_verb=_cast)
    listed = verbs.add_parser('list', help='list the cached engines; exit 1 if one is damaged')
    listed.add_argument('--json', action='store_true')
    listed.set_defaults(engine_verb=_list)
    check = verbs.add_parser('check', help='measure engines against the FP32 graph')
    _models(check)
    check.add_argument('--backend', choices=('onnxruntime', 'tensorrt'), default='onnxruntime')
    check.add_argument('--precision', choices=('fp32', 'fp16', 'int8', 'all'), default='all')
    check.add_argument('--count', type=_BATCH, default=1000, help='largest number of poses, '
                       'people or images (1000)')
    check.add_argument('--json', action='store_true')
    add_error_arguments(check)
    check.set_defaults(engine_verb=_check)
    clear = verbs.add_parser('clear', help='delete cached engines')
    clear.add_argument('model', nargs='?', help='only those of this model')
    clear.set_defaults(engine_verb=_clear)


def main(args) -> int:
    """Run the sub-verb."""
    return args.engine_verb(args)


def _models(parser):
    parser.add_argument('model', nargs='?', help='a model that ships, or a model folder; default: '
                        'every graph that the settings need')
    parser.add_argument('--set', metavar='NAME=VALUE', action='append', default=[],
                        help='a setting, as in niki run, such as observer.model=heavy')


def _settings(args):
    from niki_ros.common.setting import apply_settings
    from niki_ros.common.settings import PipelineConfig
    return apply_settings(PipelineConfig(), parse_settings(args.set))


def _chosen(args, config) -> list:
    """Return (role, folder) of the model in the arguments, or of all that the settings need."""
    from niki_ros.models.model_store import find_model, graphs_of
    return [('', find_model(args.model))] if args.model else graphs_of(config)


def _build(args) -> int:
    from niki_ros.backends.tensorrt_cached import where_to_build
    config = _settings(args)
    precision = args.precision or config.engine.precision
    max_batch = args.max_batch or config.engine.max_batch
    chosen = _chosen(args, config)
    targets = [t.strip().lower() for t in args.target.split(',') if t.strip()] or [None]
    for target in targets:
        where_to_build(target)  # raises before a graph is read
    for _, folder in chosen:
        if precision not in folder.precisions:
            remedy = f'; niki-export cast {folder.path} makes one' * (precision == 'fp16')
            raise BackendError(f'{folder.path} has no {precision} graph; it has '
                               f'{", ".join(folder.precisions)}{remedy}')
    for number, (role, folder) in enumerate(chosen, 1):
        print(f'{number}/{len(chosen)} {role or "model"} {folder.name}, {precision}',
              file=sys.stderr, flush=True)
        graph = folder.load_graph(precision)
        for target in targets:
            print(_built(graph, folder, target, max_batch, args.on_mismatch), flush=True)
    return 0


def _built(graph, folder, target, max_batch: int, on_mismatch: str) -> str:
    from niki_ros.backends.engine_cache import cache_folder
    from niki_ros.backends.tensorrt_cached import build_into_cache
    start = perf_counter()
    key = build_into_cache(graph, target, max_batch, on_mismatch, progress=lambda line: print(
        f'  {line}', file=sys.stderr, flush=True))
    file = cache_folder() / f'{key.name}.engine'
    return (f'{folder.name}: {file}: {key.library} {key.library_version}, '
            f'{key.compute_capability}, {key.precision}, up to {key.max_batch}, '
            f'{file.stat().st_size / 1e6:.1f} MB, {perf_counter() - start:.1f} s')


def _cast(args) -> int:
    print('niki: FP16 graphs are made by the training package: niki-export cast MODEL',
          file=sys.stderr)
    return 2


def _list(args) -> int:
    from niki_ros.backends.engine_cache import EngineCache
    cache = EngineCache()
    names = _names()
    rows = [(engine, {'model': names.get(engine.name[:12], ''), **manifest}, fault)
            for engine, manifest, fault in cache.entries()]
    if args.json:
        print(json.dumps([{'file': str(engine), 'fault': fault, **manifest}
                          for engine, manifest, fault in rows], indent=1))
    else:
        for engine, manifest, fault in rows:
            key = manifest.get('key', {})
            print(fault or f'{manifest["model"] or "(own)":15}  {engine.name}  {key["library"]} '
                  f'{key["library_version"]}  {key["gpu"]} {key["compute_capability"]}  '
                  f'{key["precision"]}  up to {key["max_batch"]}  '
                  f'{manifest["bytes"] / 1e6:.1f} MB  {manifest["built"]}')
        if not rows:
            print(f'no engines in {cache.folder}')
    return 1 if any(fault for *_, fault in rows) else 0


def _names() -> dict:
    """Return the first 12 digits of the sha256 of every graph that ships → name of the model."""
    from niki_ros.models.model_store import shipped_folders
    return {digest[:12]: folder.name for folder in shipped_folders()
            for digest in folder.digests}


def _check(args) -> int:
    chosen = _chosen(args, _settings(args))
    found = [_checked(folder, args) for _, folder in chosen]
    if args.json:
        print(json.dumps(found[0] if args.model else {'models': found}))
    for result in found:
        if not args.json:
            _print_errors(result)
        for fault in result['damaged_engines']:
            print(f'niki: {fault}', file=sys.stderr)
    return int(any(result['over_limit'] or result['damaged_engines'] for result in found))


def _checked(folder, args) -> dict:
    from niki_ros.backends import load_engine
    from niki_ros.benchmarks.check_samples import check_samples
    from niki_ros.benchmarks.engine_error import compare, limits_of, over_limits
    wanted = [args.precision]
    if args.precision == 'all':
        wanted = [one for one in folder.precisions
                  if (args.backend, one) != ('tensorrt', 'int8')]
    if args.backend == 'tensorrt':
        load_engine(folder.path, 'tensorrt', wanted[0]).close()  # raises at once without a GPU
    damaged = _damaged_engines(folder)
    samples = check_samples(folder.manifest, args.poses, args.images, args.count)
    limits = {one: limits_of(folder.manifest, args.limit, one) for one in wanted}
    reference = load_engine(folder.path, precision='fp32')
    results = {}
    for precision in wanted:
        engine = load_engine(folder.path, args.backend, precision)
        results[precision] = {**compare(reference, engine, samples, folder.manifest),
                              'ran': engine.describe()}
        engine.close()
    reference.close()
    over = [one for one, facts in results.items() if over_limits(facts, limits[one])]
    return {'model': folder.name, 'backend': args.backend, 'limits': limits, 'errors': results,
            'over_limit': over, 'damaged_engines': damaged}


def _damaged_engines(folder) -> list:
    from niki_ros.backends.engine_cache import EngineCache
    prefixes = {digest[:12] for digest in folder.digests}
    return [fault for engine, _, fault in EngineCache().entries()
            if fault and engine.name[:12] in prefixes]


def _print_errors(result: dict):
    from niki_ros.benchmarks.engine_error import over_limits
    for precision, facts in result['errors'].items():
        ran = facts['ran']
        count = ', '.join(f'{facts[name]} {name}' for name in ('poses', 'pictures')
                          if name in facts)
        print(f'{result["model"]}, {precision} on {ran["library"]} {ran["version"]} '
              f'({ran["device"]}), {count}, against the fp32 graph:')
        for name, unit in _UNITS.items():
            if name in facts:
                e = facts[name]
                print(f'  max {e["max"]:g}{unit}   p99 {e["p99"]:g}{unit}   '
                      f'mean {e["mean"]:g}{unit}')
        limits = result['limits'][precision]
        for name in over_limits(facts, limits):
            print(f'  p99 is over the limit of {limits[name]:g}{_UNITS[name]}')


def _clear(args) -> int:
    from niki_ros.backends.engine_cache import EngineCache
    from niki_ros.models.model_store import find_model
    cache = EngineCache()
    if args.model is None:
        count = cache.clear()
    else:
        count = sum(map(cache.clear, find_model(args.model).digests))
    print(f'{count} engines deleted')
    return 0
