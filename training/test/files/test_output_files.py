"""The commands do not write in the place of what they read, and write whole files."""

import os

from niki_training.cli import data as data_cli
from niki_training.cli import evaluate as evaluate_cli
from niki_training.cli import train as train_cli
from niki_training.files.outputs import check_arguments, write_text
import pytest


def names(folder) -> list:
    return sorted(path.name for path in folder.iterdir())


def test_no_command_replaces_what_it_reads(tmp_path, refused):
    data, link, pairs = tmp_path / 'train.npz', tmp_path / 'link.npz', tmp_path / 'pairs'
    pairs.mkdir()
    for path in (data, pairs / '0.npz', pairs / 'settings.json'):
        path.write_bytes(b'data')
    os.link(data, link)
    for command, words in (
            (data_cli.main, ['prepare', data, '--licence', 'x', '--out', data]),
            (data_cli.main, ['prepare', data, '--licence', 'x', '--out', link]),
            (data_cli.main, ['body', '--smpl', data, '--out', link]),
            (data_cli.main, ['split', data, '--out', tmp_path]),
            (data_cli.main, ['report', pairs, '--out', pairs / '0.npz']),
            (evaluate_cli.main, ['--data', data, '--json', data]),
            (evaluate_cli.main, ['--data', data, '--plot', data]),
            (evaluate_cli.main, ['rendered', pairs, '--json', pairs / 'settings.json']),
            (evaluate_cli.main, ['occlude', data, '--overlay', data]),
            (train_cli.main, ['landmarks', pairs, '--out', data, '--average', data])):
        refused(command, words, 'which it would replace')
    assert {path.read_bytes() for path in (data, link, *pairs.iterdir())} == {b'data'}
    assert names(tmp_path) == ['link.npz', 'pairs', 'train.npz']


def test_a_report_may_be_replaced(tmp_path):
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
