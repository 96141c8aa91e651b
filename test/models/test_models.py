"""The verb ``niki models``: what ships, and whether it is whole."""

import json
import shutil

from niki_ros.cli.main import main
from niki_ros.models import model_folder
import pytest

SHIPPED = ['landmarks-full', 'landmarks-heavy', 'landmarks-lite', 'lift', 'niki', 'niki-temporal',
           'people']


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Return a copy of the folder of the models, which the verb takes for the package's."""
    for name in ('niki', 'niki-temporal', 'landmarks-lite'):
        shutil.copytree(model_folder.shipped_models() / name, tmp_path / name)
    monkeypatch.setattr(model_folder, 'shipped_models', lambda: tmp_path)
    monkeypatch.setattr('niki_ros.cli.models.shipped_models', lambda: tmp_path)
    return tmp_path


def test_every_model_is_listed_with_licence_and_origin(capsys):
    assert main(['models', 'list', '--json']) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row['name'] for row in rows] == SHIPPED
    for row in rows:
        assert row['license'] == 'Apache-2.0' and len(row['sha256']) == 64
    origins = {row['name']: row['origin'] for row in rows}
    assert '@mediapipe/pose' in origins['landmarks-full'] and 'NanoDet' in origins['people']
    assert 'a part of the graph of niki-temporal' in origins['niki']
    assert main(['models', 'list']) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(SHIPPED) + 2 and lines[-1].startswith('together')


def test_what_ships_is_whole(capsys):
    assert main(['models', 'verify']) == 0
    assert capsys.readouterr().out.splitlines() == [f'{name}: good' for name in SHIPPED]


def test_a_damaged_graph_is_told_with_all_that_are_made_of_it(models, capsys):
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
    assert 'known: landmarks-full' in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(['models', 'fetch'])
