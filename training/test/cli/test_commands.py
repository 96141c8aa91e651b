"""The commands: help imports no torch, every verb has help, and a default verb is understood."""

import subprocess
import sys

from niki_training.cli import data, evaluate, export, train
import pytest

LIST_VERBS = """
import sys
from niki_training.cli import {command}
try:
    {command}.main(['--help'])
except SystemExit:
    sys.exit('torch' in sys.modules or 'numpy' in sys.modules)
"""


@pytest.mark.parametrize('command', ['data', 'train', 'evaluate', 'export'])
def test_help_imports_no_torch(command):
    subprocess.run([sys.executable, '-c', LIST_VERBS.format(command=command)], check=True,
                   stdout=subprocess.DEVNULL)


@pytest.mark.parametrize('command, verb', [
    (command, verb) for command in (data, train, evaluate) for verb in command.VERBS])
def test_every_verb_has_help(command, verb, capsys):
    with pytest.raises(SystemExit) as end:
        command.main([verb, '--help'])
    assert not end.value.code and verb in capsys.readouterr().out


@pytest.mark.parametrize('command, option', [
    (train, '--data'), (evaluate, '--data'), (export, 'checkpoint')])
def test_a_command_line_without_a_verb_lacks_its_options(command, option, capsys):
    with pytest.raises(SystemExit, match='2'):
        command.main([])
    assert option in capsys.readouterr().err
