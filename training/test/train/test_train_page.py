"""The commands of docs/train.md, in order, on tiny data."""

import json
from pathlib import Path
import re
import shlex

from cmu_bvh import write_cmu_bvh
import cv2
from niki_ros.cli import main as niki
from niki_training.cli import data as data_cli
from niki_training.cli import evaluate as evaluate_cli
from niki_training.cli import export as export_cli
from niki_training.cli import train as train_cli
from niki_training.importers import cli as import_cli
import numpy as np
import pytest
from small_runs import small_settings

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / 'docs' / 'train.md'
PROGRAMS = {'niki-data': data_cli.main, 'niki-train': train_cli.main,
            'niki-export': export_cli.main, 'niki-evaluate': evaluate_cli.main,
            'niki': niki.main}
DEFAULT_VERBS = {'niki-export': ['checkpoint'], 'niki-train': ['solver'],
                 'niki-evaluate': ['solvers']}
ELSEWHERE = {
    'python3': 'an environment', '.': 'an environment', 'pip': 'the network',
    'mkdir': 'a fresh folder', 'cd': 'a fresh folder',
    'git': 'the network: clips in the form of the real ones stand in',
    'ros2': 'a sourced ROS 2: test_pose_node gives the node a folder of its own',
    'niki-import': 'checkpoints: test_importers and test_importers_frontend run these commands'}
"""Program of the page that is not run here → what it needs."""


def lines_of_page() -> list:
    """Return the command lines of the page's code blocks, in order, as words."""
    text = PAGE.read_text('utf-8')
    return [shlex.split(line) for line in re.findall(r'^ {4}(\S.*)$', text, re.MULTILINE)]


def inline_commands() -> list:
    """Return the commands within sentences and tables that name all that they work on."""
    found = re.findall(r'`((?:niki-\w+|torchrun) [^`]*)`', PAGE.read_text('utf-8'))
    return [shlex.split(line) for line in found if '…' not in line]


def small(words: list) -> list:
    """Return a command that does the same in a moment."""
    if words[:2] == ['niki-train', 'lift']:
        return [*words, '--steps', '2', '--width', '32', '--blocks', '1', '--pieces', '4']
    if words[0] == 'niki-train':
        kind = ['net.kind=temporal'] if 'net.kind=temporal' in words else []
        plain = words[:next((i for i, w in enumerate(words) if w in ('--smoke', '--set')), None)]
        plain += words[words.index('--from'):] if '--from' in words else []
        return [*plain, *small_settings(*kind)]
    if words[0] == 'niki-evaluate':
        return [*words, '--limit', '20']
    if words[:3] == ['niki', 'bench', 'solver']:
        return [*words, '--seconds', '0.1']
    if words[:2] == ['niki', 'run']:
        return [*words, '--max-frames', '3', '--quiet']
    return words


@pytest.fixture
def fresh(tmp_path, motion, monkeypatch):
    """Go to a fresh folder that has what the page's downloads bring."""
    monkeypatch.chdir(tmp_path)
    for line in lines_of_page():
        if line[:1] == ['git'] and 'sparse-checkout' in line:
            for k, folder in enumerate(line[line.index('set') + 1:]):
                clip = motion.rotvec[60 * (k % 4):60 * (k % 4) + 60]
                clip = np.concatenate([clip, clip[::-1]])    # the lifter asks for 76 frames
                clip[:, 22:] = 0
                name = f'{Path(folder).name[1:]}_01.bvh'
                write_cmu_bvh(tmp_path / 'cmu-mocap' / folder / name, clip)
    assert list(tmp_path.glob('cmu-mocap/data/*/*.bvh')), 'the page tells how to get motion'
    write_video(tmp_path / 'video.mp4')
    return tmp_path


def write_video(path):
    """Write a clip without a person for the last step."""
    video = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*'mp4v'), 30, (320, 240))
    for k in range(4):
        video.write(np.full((240, 320, 3), 60 + 10 * k, np.uint8))
    video.release()


def run(words: list) -> None:
    try:
        code = PROGRAMS[words[0]](small(words)[1:])
    except SystemExit as end:
        code = end.code
    assert not code, ' '.join(words)


def test_every_command_of_the_page_in_order(fresh, capsys):
    ran = []
    for words in lines_of_page():
        if words[0] in PROGRAMS:
            run(words)
            ran.append(words[0])
        else:
            assert words[0] in ELSEWHERE, f'{words[0]}: the page names a program of no test'
    assert set(ran) == set(PROGRAMS)
    # what the page promises of them
    manifest = json.loads((fresh / 'models/mine/manifest.json').read_text())
    licence = next(words[words.index('--licence') + 1] for words in lines_of_page()
                   if '--licence' in words)
    assert licence in manifest['training_data']
    tables = json.loads((fresh / 'out.json').read_text())
    assert {'niki', 'mine', 'analytic', 'observation'} <= set(tables['frames'])
    assert (fresh / 'poses.jsonl').is_file()
    # and those of the table that need no more than this machine
    further = [words for words in inline_commands() if words[0] == 'niki-train'
               and ('net.kind=temporal' in words or words[1] == 'lift')]
    assert len(further) == 2
    for words in further:
        run(words)
    assert (fresh / 'runs/temporal/last.pt').is_file() and (fresh / 'runs/lift/last.pt').is_file()


def test_options_of_commands_in_sentences_exist(capsys):
    for words in inline_commands():
        if words[0] not in PROGRAMS:
            continue
        verbs = [w for w in words[1:3] if re.fullmatch('[a-z]+', w)]
        deep = verbs[:1] or DEFAULT_VERBS.get(words[0], [])
        with pytest.raises(SystemExit) as end:
            PROGRAMS[words[0]]([*deep, '--help'])
        assert not end.value.code, ' '.join(words)
        known = capsys.readouterr().out
        assert all(w in known for w in words if w.startswith('--')), ' '.join(words)


def test_what_is_not_run_is_at_least_understood():
    for words in lines_of_page():
        if words[0] == 'niki-import':
            assert import_cli.main(words[1:]) == 2, 'the file is missing, the options exist'
    verbs = {words[1] for words in lines_of_page() if words[0] == 'niki-import'}
    assert verbs == {'niki', 'hybrik', 'blazepose', 'nanodet'}
