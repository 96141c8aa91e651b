"""
Error and speed of every graph on an accelerator, as a table: one command for a new card.

Each graph that ships, and each model folder that is given, runs on the chosen libraries and
devices in every precision that it has. The error is that against the FP32 graph on the CPU with
ONNX Runtime, on the images and poses of ``niki engine check``. The times are those of one run,
with the copies to and from the device. What cannot run is a row with the reason.

Usage: python tools/gpu_check.py [MODEL...] [--run LIBRARY:DEVICE]... [--json FILE]

``--run`` is onnxruntime:cpu, onnxruntime:cuda, onnxruntime:tensorrt or tensorrt (TensorRT, or
TensorRT-RTX, on the first GPU). Without it: onnxruntime:cuda and tensorrt. ONNX Runtime with CUDA
is the package onnxruntime-gpu, in place of onnxruntime; TensorRT-RTX is tensorrt-rtx-cu13, for
compute capabilities 7.5, 8.6, 8.9 and 12.x.
"""

import argparse
import json
import sys

from niki_ros.backends import load_engine
from niki_ros.benchmarks.check_samples import (
    check_samples,
    engine_inputs,
    IMAGE_INPUTS,
    MAX_SAMPLES,
)
from niki_ros.benchmarks.engine_error import compare, limits_of, over_limits
from niki_ros.benchmarks.timing import percentiles, times_ms
from niki_ros.common.errors import NikiError
from niki_ros.files.atomic_write import atomic_write
from niki_ros.models.model_store import find_model, shipped_names
import numpy as np

BATCHES = (1, 4, 16)
RUNS = ('onnxruntime:cuda', 'tensorrt')
_UNITS = {'mm': ' mm', 'deg': '°', 'px': ' px', 'score': ''}
_COLUMNS = ('model', 'precision', 'on', 'error against FP32 on the CPU (99th percentile)',
            *(f'{size} people, ms' for size in BATCHES))


def main(argv=None) -> int:
    """Print the table; return 1 where an error is above its limit or a graph did not run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('model', nargs='*', help='name or folder; default: every one that ships')
    parser.add_argument('--run', action='append', metavar='LIBRARY:DEVICE')
    parser.add_argument('--count', type=int, default=MAX_SAMPLES,
                        help='largest number of poses or images')
    parser.add_argument('--seconds', type=float, default=1.0, help='of each measurement of time')
    parser.add_argument('--json', metavar='FILE', help='write the rows to a file')
    args = parser.parse_args(argv)
    _print_row(_COLUMNS)
    _print_row(['---'] * len(_COLUMNS))
    rows = []
    for name in args.model or shipped_names():
        for row in _checked(find_model(name), args.run or RUNS, args.count, args.seconds):
            _print_row(_cells(row))
            rows.append(row)
    if args.json:
        with atomic_write(args.json) as part:
            part.write_text(json.dumps(rows, indent=1), encoding='utf-8')
    return int(any('fault' in row or row['over_limit'] for row in rows))


def _checked(folder, runs, count: int, seconds: float):
    """Yield a row for each library and device and each precision of a model folder."""
    samples = check_samples(folder.manifest, count=count)
    reference = load_engine(folder.path, precision='fp32')
    for run in runs:
        library, _, device = run.partition(':')
        options = {'device': device} if device else {}
        for precision in folder.precisions:
            if precision == 'int8':  # for CPUs
                continue
            row = {'model': folder.name, 'precision': precision, 'on': run}
            print(f'{folder.name}, {precision} on {run} …', file=sys.stderr, flush=True)
            try:
                engine = load_engine(folder.path, library, precision, **options)
                row.update(_measured(reference, engine, samples, folder.manifest, seconds))
                engine.close()
            except NikiError as error:
                row['fault'] = str(error)
            except Exception as error:  # noqa: B902 - libraries have no common class of errors
                row['fault'] = f'{type(error).__name__}: {error}'
            yield row
    reference.close()


def _measured(reference, engine, samples, manifest: dict, seconds: float) -> dict:
    """Return errors, whether they are above their limits, and times (ms) by batch."""
    facts = compare(reference, engine, samples, manifest)
    inputs = samples if manifest['kind'] in IMAGE_INPUTS else engine_inputs(engine, samples)
    times = {}
    for size in BATCHES:
        batch = {name: np.ascontiguousarray(np.resize(values, (size, *values.shape[1:])))
                 for name, values in inputs.items()}
        times[size] = percentiles(times_ms(lambda batch=batch: engine.run(batch), seconds))
    ran = engine.describe()
    return {'errors': {name: facts[name] for name in _UNITS if name in facts}, 'times': times,
            'over_limit': over_limits(facts, limits_of(manifest)),
            'ran': {key: str(value) for key, value in ran.items()}}


def _cells(row: dict) -> list:
    """Return the texts of a row of the table."""
    cells = [row['model'], row['precision'], row['on']]
    if 'fault' in row:
        reason = ' '.join(row['fault'].split())[:120].replace('|', '/')
        return [*cells, f'did not run: {reason}', *[''] * len(BATCHES)]
    errors = ', '.join(f'{facts["p99"]:g}{_UNITS[name]}' for name, facts in row['errors'].items())
    over = f' (over the limit: {", ".join(row["over_limit"])})' * bool(row['over_limit'])
    return [*cells, errors + over, *(f'{row["times"][size]["p50_ms"]:.2f}' for size in BATCHES)]


def _print_row(cells) -> None:
    print('| ' + ' | '.join(cells) + ' |', flush=True)


if __name__ == '__main__':
    sys.exit(main())
