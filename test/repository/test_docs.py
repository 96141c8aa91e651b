"""Commands, options, parameters, topics, faults and files named in the documents exist."""

import argparse
import ast
from fnmatch import fnmatch
import importlib
import importlib.util
from pathlib import Path
import re
import shlex

from niki_ros.cli import main as niki
from niki_ros.common.errors import InputError
from niki_ros.common.setting import settings_of
from niki_ros.common.settings import PipelineConfig
from niki_ros.ros.parameter_table import with_table
from niki_ros.ros.settings import NodeConfig
import pytest
from sros2_keystore import allowed

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').glob('*.md'))]
SETTINGS = {item.name for item in (*settings_of(PipelineConfig()), *settings_of(NodeConfig()))}
GROUPS = {name.partition('.')[0] for name in SETTINGS if '.' in name}
OF_LAUNCH = {'autostart', 'use_sim_time'}
OF_ROBOT_STATE_PUBLISHER = {'robot_description', 'publish_frequency'}
TOOLS = {'niki-train': 'cli.train', 'niki-data': 'cli.data', 'niki-export': 'cli.export',
         'niki-evaluate': 'cli.evaluate', 'niki-import': 'importers.cli'}
TOP = r'(?:niki_ros|config|docs|test|tools|training|examples|launch|requirements)'
MADE = ('out/', 'models/', 'runs/', 'niki_ros/people/stages/limit_root_speed.py',
        'test/people/stages/test_limit_root_speed.py')
"""Paths that the commands, or the reader of a recipe, create."""


def ids(path):
    return path.name


def code_of(path: Path) -> str:
    """Return the code in a document: indented blocks, fences, and text in backticks."""
    text = path.read_text('utf-8')
    blocks = re.findall(r'^(?: {4,}|\t)(.*)$', text, re.MULTILINE)
    fences = re.findall(r'^```\w*\n(.*?)^```', text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r'(?<!`)`([^`\n]+)`(?!`)', text)
    return re.sub(r'\\\n\s*', ' ', '\n'.join([*blocks, *fences, *inline]))


def commands(path: Path, program: str) -> list:
    found = []
    for line in code_of(path).splitlines():
        line = line.partition('  #')[0].partition(' # ')[0].replace('…', '')
        for part in re.split(r'&&|;|\|', line):
            match = re.match(rf'\s*(?:\S*/|ros2 run niki_ros )?{re.escape(program)}(\s.*)?$', part)
            if match:
                found.append(shlex.split(match[1] or ''))
    return found


class Parsed(BaseException):
    """Raised instead of running a command whose arguments were parsed."""


@pytest.fixture
def only_parse(monkeypatch):
    parse_args = argparse.ArgumentParser.parse_args

    def parse_and_stop(parser, *arguments):
        parse_args(parser, *arguments)
        raise Parsed
    monkeypatch.setattr(argparse.ArgumentParser, 'parse_args', parse_and_stop)


def takes(main, words) -> bool:
    """Return whether a program accepts the words; a sentence may leave out positional ones."""
    for more in ([], ['SOURCE'], ['SOURCE', 'OUT']):
        try:
            main([*words, *more])
        except Parsed:
            return True
        except SystemExit as end:
            if not end.code:  # such as --help
                return True
    return False


@pytest.mark.parametrize('path', DOCUMENTS, ids=ids)
def test_niki_takes_every_command_line(path, only_parse):
    for words in commands(path, 'niki'):
        if len(words) > 1 and words[0] != 'VERB':
            assert takes(niki.main, words), words
        elif words and not words[0].startswith('-'):
            assert words[0] in (*niki.VERBS, 'VERB'), words


@pytest.mark.parametrize('program', TOOLS)
def test_the_training_takes_every_command_line(program, only_parse):
    pytest.importorskip('torch', reason='the training is not installed')
    main = importlib.import_module(f'niki_training.{TOOLS[program]}').main
    for path in DOCUMENTS:
        for words in [words for words in commands(path, program) if len(words) > 1]:
            assert takes(main, words), (path.name, words)


def launch_arguments(name: str) -> set:
    tree = ast.parse((ROOT / 'launch' / name).read_text('utf-8'))
    table, = [node.value for node in tree.body if isinstance(node, ast.Assign)
              and node.targets[0].id == 'ARGUMENTS']
    return {key.value for key in table.keys}


@pytest.mark.parametrize('path', DOCUMENTS, ids=ids)
def test_ros2_commands(path):
    setup = (ROOT / 'setup.py').read_text('utf-8')
    example = (ROOT / 'examples' / 'stop_near_person.py').read_text('utf-8')
    for line in code_of(path).splitlines():
        run = re.search(r'ros2 run niki_ros (\w+)', line)
        assert not run or f"'{run[1]}':" in setup, line
        launch = re.search(r'ros2 launch niki_ros (\S+)(.*)', line)
        if launch:
            given = re.findall(r'(\w+):=', launch[2])
            assert set(given) <= launch_arguments(launch[1]), line
        for name in re.findall(r'-p ([\w.]+):=', line):
            known = (OF_ROBOT_STATE_PUBLISHER if 'ros2 run robot_state_publisher' in line
                     else SETTINGS | OF_LAUNCH)
            assert name in known or f"'{name}'" in example, line


@pytest.mark.parametrize('path', DOCUMENTS, ids=ids)
def test_settings_exist(path):
    for name in re.findall(r'`([a-z_]+\.[a-z_*]+)(?:`|:=|\s=)', path.read_text('utf-8')):
        if name.partition('.')[0] in GROUPS and not name.endswith(('.py', '.md', '.json')):
            assert any(fnmatch(one, name) for one in SETTINGS), name


def anchors(page: Path) -> set:
    headings = re.findall(r'^#+ (.*)$', page.read_text('utf-8'), re.MULTILINE)
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings}


@pytest.mark.parametrize('path', DOCUMENTS, ids=ids)
def test_files_exist(path):
    for name in re.findall(rf'(?<![\w/.]){TOP}/[\w/.-]*\w', code_of(path)):
        if not name.startswith(MADE):
            assert (ROOT / name).exists(), name
    for target in re.findall(r'\]\(([^)]+)\)', path.read_text('utf-8')):
        name, _, anchor = target.partition('#')
        if not target.startswith('https://'):
            page = path.parent / name if name else path
            assert page.exists(), target
            assert not anchor or anchor in anchors(page), target


@pytest.mark.parametrize('path', DOCUMENTS, ids=ids)
def test_make_targets_and_modules_exist(path):
    makefile = (ROOT / 'Makefile').read_text('utf-8')
    for words in commands(path, 'make'):
        for word in [word for word in words if '=' not in word]:
            assert re.search(rf'^{word}:', makefile, re.MULTILINE), word
    for module in re.findall(r'python3? -m (niki_\w+[\w.]*)', path.read_text('utf-8')):
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize('path', DOCUMENTS, ids=ids)
def test_imports_in_examples_work(path):
    for block in re.findall(r'^```python\n(.*?)^```', path.read_text('utf-8'), re.M | re.S):
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    assert hasattr(module, alias.name), (node.module, alias.name)


def test_parameter_table_is_generated_from_the_settings():
    text = (ROOT / 'docs' / 'parameters.md').read_text('utf-8')
    assert text == with_table(text), (
        'run: python -m niki_ros.ros.parameter_table docs/parameters.md')
    with pytest.raises(InputError, match='begin of the generated table'):
        with_table('# a document without the comment lines')


def test_every_document_is_in_the_list():
    listed = (ROOT / 'docs' / 'README.md').read_text('utf-8')
    for path in (ROOT / 'docs').glob('*.md'):
        assert f'({path.name})' in listed or path.name == 'README.md', path.name


def test_the_readme_is_read_in_five_minutes():
    assert len((ROOT / 'README.md').read_text('utf-8').split()) <= 900


def test_topics_are_those_of_the_node():
    """By the policy for SROS 2, which another test compares with the graph of a running node."""
    policy = allowed(ROOT / 'config' / 'sros2_policy.xml', '/niki_pose')
    text = (ROOT / 'docs' / 'topics.md').read_text('utf-8')
    for way, title in (('subscribe', '| in | type'), ('publish', '| out | type')):
        table = text[text.index(title):].partition('\n\n')[0].splitlines()[2:]
        cells = ' '.join(row.split('|')[1] for row in table)
        names = {name.replace('<id>', '1') for name in re.findall(r'`([^`]+)`', cells)
                 if '…' not in name and name != 'ground_frame'}
        full = {name if name.startswith('/') else f'/{name}' for name in names}
        known = set(policy['topics', way])
        assert all(any(fnmatch(name, item) for item in known) for name in full), full - known
        own = known - {'/clock', '/rosout', '/parameter_events', '/niki_pose/transition_event'}
        assert all(any(fnmatch(name, item) for name in full) for item in own), own - full


def test_the_graphs_are_as_the_jetson_page_says():
    onnx = pytest.importorskip('onnx')
    text = (ROOT / 'docs' / 'jetson.md').read_text('utf-8')
    rows = re.findall(r'^\| (`.*?) \| (\d+) \| (\d+) \| from', text, re.MULTILINE)
    stated = {name: (int(opset), int(ir)) for names, opset, ir in rows
              for name in re.findall(r'`([\w-]+)`', names)}
    for path in (ROOT / 'niki_ros' / 'models').glob('*/model.onnx'):
        graph = onnx.load(path)
        assert stated[path.parent.name] == (graph.opset_import[0].version, graph.ir_version)


def test_every_fault_has_its_row_in_troubleshooting():
    pytest.importorskip('rclpy', reason='the names of the faults stand beside ROS messages')
    from niki_ros.ros.faults import REMEDIES
    text = (ROOT / 'docs' / 'troubleshooting.md').read_text('utf-8')
    missing = [name for name in REMEDIES if f'`{name}' not in text]
    assert not missing, f'add to docs/troubleshooting.md: {missing}'


def test_messages_in_troubleshooting_are_those_of_the_programs():
    """Each message in the first column occurs in a text of the code, up to its variable parts."""
    texts = []
    for folder in ('niki_ros', 'tools', 'launch'):
        for path in (ROOT / folder).rglob('*.py'):
            for node in ast.walk(ast.parse(path.read_text('utf-8'))):
                if isinstance(node, ast.JoinedStr):
                    texts.append(''.join(part.value if isinstance(part, ast.Constant) else '…'
                                         for part in node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    page = (ROOT / 'docs' / 'troubleshooting.md').read_text('utf-8')
    for message in re.findall(r'^\| `([^`]+ [^`]+)` ', page, re.MULTILINE):
        constant = re.sub(r" is ('mediapipe'|True)$", ' is …', message)
        pattern = '.+'.join(re.escape(part) for part in constant.split('…'))
        setting = constant.partition(' is …')[0] in SETTINGS
        assert setting or any(re.search(pattern, text) for text in texts), message


@pytest.mark.parametrize('path', sorted((ROOT / 'docs' / 'images').iterdir()), ids=ids)
def test_pictures_are_small_and_shown(path):
    assert 10_000 < path.stat().st_size < 300_000
    everywhere = [*DOCUMENTS, *(ROOT / 'training').glob('*.md')]
    assert any(f'images/{path.name}' in document.read_text('utf-8') for document in everywhere)
