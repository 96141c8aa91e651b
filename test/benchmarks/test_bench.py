"""The verb ``niki bench``: the fields of its JSON, and plausible times in them."""

import json
import sys

from niki_ros.benchmarks.released_shapes import (
    bench_release,
    BLOCKS_COUNT,
    FLOW_WIDTHS,
    HIDDEN_WIDTH,
)
from niki_ros.benchmarks.speed import bench_pipeline, bench_solver, run_times_ms
from niki_ros.benchmarks.timing import times_ms, TimingNumbers
from niki_ros.cli.main import main
from niki_ros.solvers.analytic import AnalyticSolver
import numpy as np
import pytest


def test_solver_as_one_json_object(capsys, tmp_path):
    plot = tmp_path / 'bench.png'
    assert main(['bench', 'solver', '--solver', 'analytic', '--json', '--seconds', '0.01',
                 '--plot', str(plot)]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [row['batch'] for row in figures['batches']] == [1, 4, 16, 64]
    for row in figures['batches']:
        assert 0 < row['min_ms'] <= row['p50_ms'] <= row['p99_ms']
    assert {'solver', 'backend', 'device', 'floor_ms', 'release_p50_ms_batch1',
            'ratio_to_release_batch1'} <= set(figures)
    assert figures['release_p50_ms_batch1'] > 0 and figures['release_ran_with']
    assert figures['ratio_to_release_batch1'] == pytest.approx(
        figures['release_p50_ms_batch1'] / figures['batches'][0]['p50_ms'], abs=0.01)
    assert figures['ratio_of_minima_batch1'] == pytest.approx(
        figures['release_min_ms_batch1'] / figures['batches'][0]['min_ms'], rel=0.02)
    assert 0 < figures['track_step']['min_ms'] <= figures['track_step']['p99_ms']
    assert plot.read_bytes()[:4] == b'\x89PNG'


def test_the_default_is_the_solver(capsys, monkeypatch):
    monkeypatch.setattr('niki_ros.cli.bench.SECONDS', 0.01)
    assert main(['bench']) == 0
    assert 'released shapes' in capsys.readouterr().out


def test_the_number_of_calls_is_bounded():
    calls = []
    numbers = TimingNumbers(warm_up_calls=2, min_calls=3, max_calls=5)
    assert len(times_ms(lambda: calls.append(1), 0.0, numbers)) == 3 and len(calls) == 5
    assert len(times_ms(lambda: None, 60.0, numbers)) == 5


def test_the_released_shapes_run_with_and_without_torch(monkeypatch):
    _, library = bench_release(0.01)
    assert library.split()[0] in ('torch', 'numpy')
    monkeypatch.setitem(sys.modules, 'torch', None)
    taken, library = bench_release(0.01)
    assert 0 < taken['min_ms'] <= taken['p50_ms'] and library.startswith('numpy')
    h = HIDDEN_WIDTH
    weights = sum(2 * BLOCKS_COUNT * (i * h + h * h + h * o + 2 * h + o) for i, o in FLOW_WIDTHS)
    assert weights == pytest.approx(29.0e6, rel=0.02), 'the release has 29.0 million parameters'


def test_the_floor_is_bytes_over_rate():
    figures = bench_solver(AnalyticSolver(), 10_000_000, 0.01)
    assert figures['floor_ms'] == pytest.approx(10 / figures['copy_rate_gb_s'], rel=0.02)
    assert bench_solver(AnalyticSolver(), 0, 0.01)['floor_ms'] is None


def test_the_runs_of_an_engine_are_timed_while_the_block_runs():
    class Engine:

        def run(self, inputs):
            return {'twice': 2 * inputs}

    engine = Engine()
    with run_times_ms(engine) as taken_ms:
        assert engine.run(3) == {'twice': 6}
    assert engine.run(3) == {'twice': 6} and len(taken_ms) == 1


class Frames(list):
    width = height = 64

    def __init__(self):
        from niki_ros.sources.frame_source import Frame
        super().__init__(Frame(np.zeros((64, 64, 3), np.uint8), i * 40_000_000, i)
                         for i in range(3))


def test_every_stage_of_the_pipeline_is_timed():
    from niki_ros.people.pipeline import Pipeline

    class Blind:

        faults = {}
        waiting = frozenset()

        def observe(self, image, camera, stamp_ns, boxes_px=None):
            return []

        def describe(self):
            return {'observer': 'blind'}

    figures = bench_pipeline(Pipeline(Blind(), AnalyticSolver()), Frames())
    assert figures['frames'] == 2 and figures['bodies'] == 0
    assert figures['stages']['observe']['p50_ms'] >= 0 and figures['ran']['observer'] == 'blind'


def test_a_video_that_is_not_there_is_named(capsys, tmp_path, monkeypatch):
    assert main(['bench', 'pipeline', str(tmp_path / 'absent.mp4'), '--solver', 'analytic']) == 1
    assert 'absent.mp4' in capsys.readouterr().err
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    assert main(['bench', 'node', '--solver', 'analytic']) == 1
    assert 'make demo' in capsys.readouterr().err


def test_people_in_a_scene_are_measured(capsys):
    from niki_ros.benchmarks.people import bench_people
    from niki_ros.common.setting import apply_settings
    from niki_ros.common.settings import PipelineConfig
    config = apply_settings(PipelineConfig(), {
        'observer.model': 'lite', 'solver.name': 'analytic'})
    figures = bench_people(config, seconds=1.0, counts=(1, 2))
    assert [row['people'] for row in figures['people']] == [1, 2]
    for row in figures['people']:
        assert row['processed'] + row['dropped'] == row['frames'] == 30 and row['processed'] > 0
        assert {'landmarks', 'observe', 'solve', 'smooth'} <= set(row['stages'])
        assert row['cpu_s_per_frame'] > 0
        assert 0 < row['observed'] <= row['bodies']


def test_a_scene_shows_as_many_people_as_it_says():
    from niki_ros.benchmarks.people import Scene
    from niki_ros.models.model_store import find_model
    from niki_ros.observers.detectors import load_detector
    detector = load_detector(find_model('people').path)
    for count in (1, 4, 8):
        boxes, scores = detector.detect(Scene(count).image(0.0))
        assert (scores > 0.3).sum() >= count
    detector.close()


@pytest.mark.parametrize('words', [
    ['solver', '--seconds', '-1'], ['solver', '--seconds', 'nan'], ['pipeline', '--people', '0'],
    ['pipeline', '--people', '2', '99'], ['pipeline', '--max-frames', '-3'], ['node', 'x.mp4',
                                                                           '--max-frames', '1']])
def test_numbers_out_of_range_are_refused(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(['bench', *words])
    assert ended.value.code == 2 and words[-1] in capsys.readouterr().err
