"""The verb ``niki engine``."""

import json

from engine_graphs import mlp_folder, mlp_inputs
from niki_ros.benchmarks.check_samples import check_poses
from niki_ros.cli.main import main
import numpy as np
import pytest

RTX = 'tensorrt_rtx is not installed: make test-tensorrt'


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    inputs = mlp_inputs(50)
    np.savez(tmp_path / 'poses.npz', joints_m=0.3 * inputs['joints'], sigma=inputs['sigma'])
    return mlp_folder(tmp_path / 'model', width=256)


def niki(*words):
    return main([str(word) for word in words])


def cast_folder(folder):
    from niki_training.export.fp16_folder import store_fp16_graph
    from niki_training.export.fp16_graph import cast_graph
    store_fp16_graph(folder, cast_graph(folder.load_graph().data), {})


@pytest.mark.parametrize('precision', ['fp32', 'fp16'])
def test_build_list_check_clear(folder, tmp_path, capsys, precision):
    pytest.importorskip('tensorrt_rtx', reason=RTX)
    poses = tmp_path / 'poses.npz'
    if precision == 'fp16':
        assert niki('engine', 'build', folder.path, '--precision', precision, '--target',
                    'sm86') == 1
        assert f'niki-export cast {folder.path}' in capsys.readouterr().err
        cast_folder(folder)
    assert niki('engine', 'build', folder.path, '--precision', precision, '--target',
                'sm86,sm89', '--max-batch', 4) == 0
    out, err = capsys.readouterr()
    assert out.count('.engine: tensorrt_rtx') == 2 and precision in out
    assert f'1/1 model stand-in, {precision}' in err
    assert niki('engine', 'list', '--json') == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row['key']['compute_capability'] for row in rows} == {'sm86', 'sm89'}
    assert {row['key']['precision'] for row in rows} == {precision}
    assert all(row['layers_by_precision'] == {precision: 2} for row in rows)
    assert all(row['fp16_weights_found'] == {'fp16': 2 * (precision == 'fp16'), 'fp32': 0}
               for row in rows)
    file = rows[0]['file']
    data = bytearray(open(file, 'rb').read())
    data[len(data) // 2] ^= 1
    open(file, 'wb').write(data)
    assert niki('engine', 'list') == 1
    assert 'was changed since it was built' in capsys.readouterr().out
    assert niki('engine', 'check', folder.path, '--poses', poses, '--limit', 5) == 1
    assert 'was changed since it was built' in capsys.readouterr().err
    again = ('engine', 'build', folder.path, '--precision', precision, '--target', 'sm86,sm89',
             '--max-batch', 4)
    assert niki(*again, '--on-mismatch', 'refuse') == 1
    assert 'was changed since it was built' in capsys.readouterr().err
    assert niki(*again) == 0 and niki('engine', 'list') == 0
    assert niki('engine', 'clear', folder.path) == 0
    assert '2 engines deleted' in capsys.readouterr().out


@pytest.mark.parametrize('words, says', [
    (['check', 'MODEL', '--backend', 'tensorrt'], 'NVIDIA driver'),
    (['build', 'MODEL'], '--target (sm75'),
    (['build', 'MODEL', '--target', 'sm61'], 'sm75'),
])
def test_what_needs_a_gpu_says_so(folder, tmp_path, capsys, monkeypatch, words, says):
    pytest.importorskip('tensorrt_rtx', reason=RTX)
    from niki_ros.backends import cuda_driver
    monkeypatch.setattr(cuda_driver, 'DRIVER_LIBRARIES', ('libno-such-cuda.so',))
    words = [str(folder.path) if word == 'MODEL' else word for word in words]
    extra = ['--poses', tmp_path / 'poses.npz'] if words[0] == 'check' else []
    assert niki('engine', *words, *extra) == 1
    assert says in capsys.readouterr().err


def test_the_poses_that_ship_are_a_thousand_real_ones():
    poses = check_poses()
    assert poses['joints_m'].shape == (1000, 29, 3) and poses['sigma'].shape == (1000, 29)
    assert (poses['sigma'] >= 0).all() and (poses['sigma'] <= 1).all()
    reach = np.linalg.norm(poses['joints_m'], axis=-1).max(axis=-1)
    assert (reach > 0.4).all() and (reach < 1.6).all()
    assert len(np.unique(poses['joints_m'].reshape(1000, -1), axis=0)) > 990


def test_a_model_that_is_not_there_is_named(capsys):
    assert niki('engine', 'build', 'no-such-model', '--target', 'sm89') == 1
    err = capsys.readouterr().err
    assert 'no-such-model' in err or 'pip install' in err


def test_the_cast_has_moved_to_the_training_package(capsys):
    assert niki('engine', 'cast', 'niki', '--limit', 5) == 2
    assert 'niki-export cast' in capsys.readouterr().err
