"""The commands do not write in the place of what they read, and write whole files."""

from __future__ import annotations

import os

from niki_training.cli import data as data_cli
from niki_training.cli import evaluate as evaluate_cli
from niki_training.cli import train as train_cli
from niki_training.files.outputs import check_arguments, write_text
import pytest


def names(folder) -> list:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())


def test_a_store_does_not_replace_what_it_is_made_of(tmp_path, capsys):
    motion, link = tmp_path / 'motion.npz', tmp_path / 'link.npz'
    motion.write_bytes(b'motion')
    os.link(motion, link)
    for out in (motion, link):
        assert data_cli.main(['prepare', str(motion), '--licence', 'x', '--out', str(out)]) == 2
        assert data_cli.main(['body', '--smpl', str(motion), '--out', str(out)]) == 2
    assert capsys.readouterr().err.count('which it would replace') == 4
    assert motion.read_bytes() == b'motion' and names(tmp_path) == ['link.npz', 'motion.npz']


def test_a_split_does_not_replace_what_it_splits(tmp_path, capsys):
    train = tmp_path / 'train.npz'
    train.write_bytes(b'motion')
    assert data_cli.main(['split', str(train), '--out', str(tmp_path)]) == 2
    assert 'which it would replace' in capsys.readouterr().err
    assert train.read_bytes() == b'motion' and names(tmp_path) == ['train.npz']


def test_tables_and_weights_do_not_replace_data(tmp_path, capsys):
    data, pairs = tmp_path / 'data.npz', tmp_path / 'pairs'
    pairs.mkdir()
    for path in (data, pairs / '0.npz', pairs / 'settings.json'):
        path.write_bytes(b'data')
    for words in (['--data', data, '--json', data], ['--data', data, '--plot', data],
                  ['rendered', pairs, '--json', pairs / 'settings.json'],
                  ['occlude', data, '--overlay', data]):
        assert evaluate_cli.main(list(map(str, words))) == 2
        assert 'which it would replace' in capsys.readouterr().err
    words = ['landmarks', pairs, '--out', data, '--average', data]
    assert train_cli.main(list(map(str, words))) == 2
    assert data_cli.main(['report', str(pairs), '--out', str(pairs / '0.npz')]) == 2
    assert capsys.readouterr().err.count('which it would replace') == 2
    assert {path.read_bytes() for path in (data, *pairs.iterdir())} == {b'data'}


def test_a_report_beside_the_data_may_be_made_anew(tmp_path):
    class Args:
        folder, out, plot, video = tmp_path, tmp_path / 'report.md', None, None

    for text in ('first', 'second'):
        check_arguments(Args, {'--out': Args.out})
        write_text(Args.out, text)
    assert Args.out.read_text() == 'second' and names(tmp_path) == ['report.md']


def test_half_of_a_text_does_not_replace_a_whole_one(tmp_path):
    path = tmp_path / 'table.json'
    path.write_text('whole')
    with pytest.raises(UnicodeEncodeError):
        write_text(path, 'half \ud800')
    assert path.read_text() == 'whole' and names(tmp_path) == ['table.json']
