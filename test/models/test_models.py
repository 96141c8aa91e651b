"""The verb ``niki models``: the models that ship, and whether their files are intact."""

import json
import shutil

from niki_ros.cli.main import main
from niki_ros.models import model_store
import pytest

SHIPPED = ['landmarks-full', 'landmarks-heavy', 'landmarks-lite', 'lift', 'niki', 'niki-temporal',
           'people']


@pytest.fixture
def models(tmp_path, monkeypatch):
    for name in ('niki', 'niki-temporal', 'landmarks-lite'):
        shutil.copytree(model_store.shipped_models() / name, tmp_path / name)
    monkeypatch.setattr(model_store, 'shipped_models', lambda: tmp_path)
    return tmp_path


def test_every_model_is_listed_with_licence_and_origin(capsys):
    assert main(['models', 'list', '--json']) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row['name'] for row in rows] == SHIPPED
    for row in rows:
        assert row['license'] == 'Apache-2.0' and len(row['sha256']) == 64
    origins = {row['name']: row['origin'] for row in rows}
    assert '@mediapipe/pose' in origins['landmarks-full'] and 'NanoDet' in origins['people']
    assert 'niki-temporal' in origins['niki'] and 'shared' not in origins['niki-temporal']
    assert main(['models', 'list']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SHIPPED) + 2 and lines[-1].startswith('together')


def test_the_models_that_ship_are_intact(capsys):
    """Every graph is read or rebuilt, in every precision."""
    assert main(['models', 'verify']) == 0
    assert capsys.readouterr().out.splitlines() == [f'{name}: good' for name in SHIPPED]
    assert all(f.precisions[:2] == ('fp32', 'fp16') for f in model_store.shipped_folders())


def test_all_models_together_are_smaller_than_50_mb():
    folders = [folder.path for folder in model_store.shipped_folders()]
    assert sum(f.stat().st_size for path in folders for f in path.iterdir()) < 50_000_000


def test_a_damaged_graph_is_reported_for_all_models_that_use_it(models, capsys):
    assert main(['models', 'verify']) == 0
    file = models / 'niki-temporal' / 'model.onnx'
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    capsys.readouterr()
    assert main(['models', 'verify']) == 1
    out, err = capsys.readouterr()
    assert out == 'landmarks-lite: good\n'
    assert 'niki: ' in err and 'niki-temporal: ' in err and err.count('sha256') == 2
    assert main(['models', 'verify', 'landmarks-lite']) == 0


def test_a_model_that_does_not_ship_is_refused(capsys):
    assert main(['models', 'verify', 'huge']) == 1
    assert 'landmarks-full' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['models', 'fetch'])
