"""The engine cache: an engine is built once, stored whole, and checked before it is loaded."""

from dataclasses import replace
import json
import multiprocessing
import os
from pathlib import Path
import signal
import time

from engine_graphs import mlp_graph
from niki_ros.backends.engine_cache import cache_folder, EngineCache, EngineKey, EngineRefused
from niki_ros.common.errors import BackendError
from niki_ros.models.graph import Graph, sha256
import numpy as np
import pytest

KEY = EngineKey(sha256(b'graph'), 'tensorrt', '10.3.0', 'Orin', 'sm87', 'fp16', 16)
ENGINE = bytes(range(256)) * 40


@pytest.fixture
def cache(tmp_path):
    cache = EngineCache(tmp_path)
    cache.store(KEY, ENGINE, {'build_s': 1.5})
    return cache


def fail():
    raise AssertionError('built')


def test_what_was_stored_is_loaded(cache):
    assert cache.load(KEY) == ENGINE
    assert cache.get(KEY, fail) == ENGINE
    (engine, manifest, fault), = cache.entries()
    assert fault == '' and manifest['build_s'] == 1.5 and manifest['key']['gpu'] == 'Orin'
    assert not list(cache.folder.glob('.*'))


@pytest.mark.parametrize('change', [
    {'graph_sha256': sha256(b'other')}, {'library': 'tensorrt_rtx'}, {'library_version': '10.16'},
    {'gpu': 'NVIDIA L4'}, {'compute_capability': 'sm89'}, {'precision': 'fp32'}, {'max_batch': 4},
])
def test_an_engine_for_anything_else_is_another_engine(cache, change):
    other = replace(KEY, **change)
    with pytest.raises(EngineRefused, match=other.name):
        cache.load(other)
    # renamed files are detected by their manifest
    for suffix in ('engine', 'json'):
        (cache.folder / f'{KEY.name}.{suffix}').rename(cache.folder / f'{other.name}.{suffix}')
    with pytest.raises(EngineRefused, match=f'foreign.*{next(iter(change))}'):
        cache.load(other)
    assert all(fault for *_, fault in cache.entries())


def _damage(cache, how):
    engine = cache.folder / f'{KEY.name}.engine'
    manifest = engine.with_suffix('.json')
    data = bytearray(ENGINE)
    if how == 'byte':
        data[5000] ^= 1
        engine.write_bytes(data)
    elif how == 'truncated':
        engine.write_bytes(data[:-1])
    elif how == 'empty':
        engine.write_bytes(b'')
    elif how == 'no manifest':
        manifest.unlink()
    elif how == 'manifest cut':
        manifest.write_text(manifest.read_text()[:40])
    elif how == 'manifest list':
        manifest.write_text('[]')
    elif how == 'format':
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), 'format': 99}))


DAMAGES = [('byte', 'changed'), ('truncated', 'truncated'), ('empty', 'truncated'),
           ('no manifest', 'not finished'), ('manifest cut', 'damaged'),
           ('manifest list', 'no JSON object'), ('format', 'format 99')]


@pytest.mark.parametrize('how, says', DAMAGES)
def test_damage_is_refused_by_name_or_rebuilt_as_the_parameter_says(cache, how, says):
    _damage(cache, how)
    with pytest.raises(EngineRefused, match=f'{KEY.name}.*{says}'):
        cache.load(KEY)
    assert [bool(fault) for *_, fault in cache.entries()] == [True]
    with pytest.raises(EngineRefused, match=f'{says}.*niki engine build'):
        cache.get(KEY, fail, on_mismatch='refuse')
    assert cache.get(KEY, lambda: (b'new', {}), on_mismatch='rebuild') == b'new'
    assert cache.load(KEY) == b'new'


def test_a_miss_names_what_there_is_instead(cache):
    with pytest.raises(EngineRefused, match='10.3.0.*10.16.1'):
        cache.get(replace(KEY, library_version='10.16.1'), fail, on_mismatch='refuse')
    with pytest.raises(BackendError, match='maybe'):
        cache.get(KEY, fail, on_mismatch='maybe')


def _slow_build(folder, counter):
    def build():
        with open(counter, 'a') as file:
            file.write('x')
        time.sleep(0.5)
        return ENGINE, {}
    assert EngineCache(folder).get(KEY, build) == ENGINE


def test_two_processes_build_once(tmp_path):
    context = multiprocessing.get_context('fork')
    counter = tmp_path / 'count'
    workers = [context.Process(target=_slow_build, args=(tmp_path / 'c', counter))
               for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(20)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert counter.read_text() == 'x'


def _killed_while_writing(folder):
    real = os.replace

    def replace_and_die(*names):
        if str(names[1]).endswith(os.environ['DIE_AT']):
            os.kill(os.getpid(), signal.SIGKILL)
        real(*names)
    os.replace = replace_and_die
    EngineCache(folder).get(KEY, lambda: (ENGINE, {}))


@pytest.mark.parametrize('die_at', ['.engine', '.json'])
def test_a_build_that_is_killed_leaves_nothing_that_loads(tmp_path, monkeypatch, die_at):
    monkeypatch.setenv('DIE_AT', die_at)
    worker = multiprocessing.get_context('fork').Process(
        target=_killed_while_writing, args=(tmp_path,))
    worker.start()
    worker.join(20)
    assert worker.exitcode == -signal.SIGKILL
    cache = EngineCache(tmp_path)
    assert list(tmp_path.glob('.*.tmp'))
    with pytest.raises(EngineRefused):
        cache.load(KEY)
    assert cache.get(KEY, lambda: (b'second', {})) == b'second'
    assert not list(tmp_path.glob('.*.tmp')), 'temporary files of the killed process are deleted'


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(BackendError, match='XDG_CACHE_HOME'):
        EngineCache(tmp_path / 'file' / 'engines').get(KEY, lambda: (ENGINE, {}))


def test_clear_removes_one_graph_or_all(cache):
    other = replace(KEY, graph_sha256=sha256(b'other'))
    cache.store(other, ENGINE, {})
    assert cache.clear(KEY.graph_sha256) == 1
    assert cache.load(other) == ENGINE
    assert cache.clear() == 1 and not list(cache.folder.iterdir())


def test_the_cache_lies_where_xdg_says(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert cache_folder() == tmp_path / 'niki_ros' / 'engines'
    monkeypatch.delenv('XDG_CACHE_HOME')
    assert cache_folder() == Path.home() / '.cache' / 'niki_ros' / 'engines'


@pytest.mark.parametrize('target', ['sm86', 'sm89'])
def test_tensorrt_rtx_builds_ahead_of_time_without_a_gpu(tmp_path, target):
    pytest.importorskip('tensorrt_rtx', reason='tensorrt_rtx is not installed: make test-tensorrt')
    from niki_ros.backends.tensorrt_cached import build_into_cache
    cache, lines = EngineCache(tmp_path), []
    graph = Graph(mlp_graph(), 'fp32')
    key = build_into_cache(graph, target, 4, cache=cache, progress=lines.append)
    assert key.compute_capability == target and key.gpu == 'any' and key.precision == 'fp32'
    assert len(cache.load(key)) > 40_000 and lines
    (_, manifest, fault), = cache.entries()
    assert not fault and manifest['layers_by_precision'] == {'fp32': 2}
    before = (tmp_path / f'{key.name}.engine').stat().st_mtime_ns
    assert build_into_cache(graph, target, 4, cache=cache) == key
    assert (tmp_path / f'{key.name}.engine').stat().st_mtime_ns == before


def test_an_fp16_engine_that_keeps_fp32_weights_is_refused():
    """This check of the finished engine needs no TensorRT."""
    from niki_ros.backends.tensorrt_build import check_fp16, weights_found
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(40, 30)).astype(np.float16) for _ in range(2)]
    graph = Graph(b'', 'fp16', 4800, {'fp16': 2})
    half = weights_found(weights, b'engine' + weights[0].tobytes() + weights[1].T.tobytes())
    assert half == {'fp16': 2, 'fp32': 0}
    check_fp16(graph, b'engine', {'fp16': 2}, half)
    full = weights_found(weights, b'engine' + weights[0].astype(np.float32).tobytes())
    assert full == {'fp16': 0, 'fp32': 1}
    for layers, found, size in (({'fp16': 2}, full, 1), ({'fp32': 2}, half, 1)):
        with pytest.raises(BackendError, match='fp16'):
            check_fp16(graph, bytes(size), layers, found)
    large = Graph(b'', 'fp16', 40 << 20, {'fp16': 2})
    with pytest.raises(BackendError, match=str(80 << 20)):
        check_fp16(large, bytes(80 << 20), {'fp16': 2}, half)


def test_tensorrt_rtx_refuses_what_it_cannot_build(tmp_path):
    pytest.importorskip('tensorrt_rtx', reason='tensorrt_rtx is not installed: make test-tensorrt')
    from niki_ros.backends.tensorrt_cached import build_into_cache
    from niki_ros.common.errors import ModelError
    cache = EngineCache(tmp_path)
    with pytest.raises(BackendError, match='sm61.*sm75'):
        build_into_cache(Graph(mlp_graph()), 'sm61', cache=cache)
    with pytest.raises(ModelError, match='tensorrt_rtx'):
        build_into_cache(Graph(mlp_graph()[:-7] + b'\x00' * 7), 'sm89', cache=cache)
    assert not list(tmp_path.glob('*.engine'))
