"""/diagnostics: figures, thresholds, levels, held faults, and the reason of an error."""

import json
import logging
from pathlib import Path
import re
import time

from lifecycle_msgs.msg import Transition
from niki_ros.common.errors import ModelError
from niki_ros.ros import faults
from niki_ros.ros.faults import ERROR, FaultLog, OK, REMEDIES, WARN
from niki_ros.ros.health import Health, node_statuses
from niki_ros.ros.health_monitor import HealthMonitor
from niki_ros.ros.settings import HealthConfig
import pytest
from ros_fixtures import (
    change,
    Client,
    diagnostic_values,
    pose_node,
    put_parameter,
    ros_graph,
    running,
    scripted,
    state,
    wait_for,
)
import yaml

CONFIG = Path(__file__).resolve().parents[2] / 'config'


class Watched:
    """Health, faults and monitor of a node, on a clock that stands still until it is moved."""

    def __init__(self, monkeypatch, **settings):
        self.now_s = 1000.0
        monkeypatch.setattr(time, 'monotonic', lambda: self.now_s)
        self.health, self.faults = Health(), FaultLog(logging.getLogger('test_health'))
        self.monitor = HealthMonitor(HealthConfig(**settings), self.health, self.faults.warn,
                                     '/image')

    def run(self, seconds, rate_hz, latency_s=0.02, lost_count=0):
        """Receive images for a while, each with ``lost_count`` more that were overwritten."""
        for _ in range(round(seconds * rate_hz)):
            self.now_s += 1 / rate_hz
            self.monitor.arrived()
            self.health.arrived(1 + lost_count, lost_count)
            self.health.done(latency_s, {'observe': 0.01}, 1, 2)

    def statuses(self) -> dict:
        """Return the statuses after a check: name → status."""
        self.monitor.check()
        found = node_statuses('n', 'active', {}, self.health, self.faults)
        return {status.name.removeprefix('n: '): status for status in found}

    def levels(self) -> dict:
        """Return the levels after a check: name → level."""
        return {name: status.level for name, status in self.statuses().items()}


@pytest.fixture
def watched(monkeypatch):
    return lambda **settings: Watched(monkeypatch, **settings)


def test_values_without_faults(watched):
    node = watched()
    node.run(12, 20)
    assert node.levels() == {'pose': OK}
    values = diagnostic_values(node.statuses()['pose'])
    assert values['tracks'] == '2' and values['bodies'] == '1' and values['rate_in_hz'] == '20.0'
    assert values['latency_ms_p99'] == '20.0' and values['stage.observe_ms_p50'] == '10.0'


@pytest.mark.parametrize('fault, level, settings, run', [
    ('latency_high', OK, {}, {'latency_s': 0.02}), ('latency_high', WARN, {}, {'latency_s': 0.25}),
    ('latency_high', ERROR, {}, {'latency_s': 2.0}),
    ('latency_high', OK, {'latency_warn_ms': 0.0, 'latency_error_ms': 0.0}, {'latency_s': 5.0}),
    ('clock_differs', WARN, {}, {'latency_s': -1.0}),
    ('clock_differs', WARN, {}, {'latency_s': 3e7}),
    ('rate_low', OK, {}, {'rate_hz': 20}), ('rate_low', WARN, {}, {'rate_hz': 8}),
    ('rate_low', ERROR, {}, {'rate_hz': 3}), ('slow', OK, {}, {'lost_count': 0}),
    ('slow', WARN, {}, {'lost_count': 1}), ('slow', ERROR, {}, {'lost_count': 19})])
def test_levels_by_threshold(watched, fault, level, settings, run):
    """A threshold of 0 is none; a latency of another clock is no latency."""
    if fault == 'rate_low':
        settings = {'rate_warn_hz': 10.0, 'rate_error_hz': 5.0}
    node = watched(**settings)
    node.run(12, **{'rate_hz': 10, **run})
    assert node.levels() == ({'pose': OK} if level == OK else {'pose': level, fault: level})


def test_silence_and_its_end(watched):
    node = watched()
    for seconds, level in ((4, OK), (2, WARN), (25, ERROR)):
        node.now_s += seconds
        assert node.levels()['pose'] == level
    assert '/image for 31 s' in node.statuses()['no_images'].message
    node.run(11, 10)
    assert node.levels() == {'pose': OK, 'no_images': OK}
    assert '/image for 31 s' in node.statuses()['no_images'].message


def test_a_held_fault_stays_until_it_is_released(watched, caplog):
    node = watched(silent_warn_s=0.0, silent_error_s=0.0)
    for _ in range(2):
        node.faults.hold('no_clock', 'x')
    assert len(caplog.records) == 1
    node.now_s += 3600
    assert node.levels() == {'pose': WARN, 'no_clock': WARN}
    node.faults.release('no_clock')
    node.faults.release('never_held')
    assert node.levels() == {'pose': OK, 'no_clock': OK}
    node.faults.hold('no_clock', 'again')
    assert len(caplog.records) == 2


def test_overtaken_images_during_warm_up_do_not_count(watched):
    """Libraries fill their caches during the first images."""
    node = watched()
    node.health.arrived(8, 6)
    for _ in range(2):
        node.health.done(0.1, {}, 1)
    assert node.levels() == {'pose': OK}
    node.run(2, 10)
    assert node.levels() == {'pose': OK}


def test_every_fault_of_the_sources_has_a_remedy():
    named = set()
    for path in Path(faults.__file__).parents[1].rglob('*.py'):
        text = path.read_text('utf-8')
        for pattern in (r"faults\.(?:warn|hold|note|fail)\(\s*'(\w+)'", r"faults\['(\w+)'\]",
                        r"\b(?:_warn|RejectedFrame|_check_maximum)\(\s*'(\w+)'"):
            named |= set(re.findall(pattern, text))
    assert {'image_invalid', 'no_images', 'stamp_jumped_back', 'qos_incompatible'} <= named
    assert named <= set(REMEDIES), named - set(REMEDIES)


def test_thresholds_are_parameters_that_act_at_once():
    with running(overrides={'health.latency_warn_ms': 0.0,
                            'health.latency_error_ms': 0.0}) as (node, client):
        stamp_ns = client.send_until_processed(time.time_ns())
        for _ in range(15):
            stamp_ns = client.send_until_processed(max(time.time_ns(), stamp_ns + 1_000_000))
        assert 'latency_high' not in client.diagnostics
        for level in ('warn', 'error'):
            assert put_parameter(client, f'health.latency_{level}_ms', 0.001).successful
        client.row('latency_high')
        assert wait_for(lambda: client.diagnostics['pose'].level == ERROR)
        values = client.values()
        assert values['solver_precision'] == 'fp64' and values['solver_library'] == 'numpy'
        assert values['tracks'] == '1' and values['camera_source'] == 'camera_info'


def test_the_model_that_runs_is_told_by_its_hash():
    pytest.importorskip('onnxruntime')
    from niki_ros.models.model_folder import read_model_folder
    from niki_ros.solvers import load_solver, shipped_models
    told = load_solver('niki').describe()
    folder = read_model_folder(shipped_models() / 'niki')
    assert told['model_sha256'] == folder.manifest['sha256']
    assert (told['backend'], told['precision']) == ('onnxruntime', 'fp32')


def test_a_failed_configure_stays_an_error_until_the_next():
    broken = [True]

    def make_pipeline(config):
        if broken[0]:
            raise ModelError('the model is on the moon; fetch it')
        return scripted()(config)
    with ros_graph(pose_node(make_pipeline, {'autostart': False}), Client) as (node, client):
        assert not change(client, Transition.TRANSITION_CONFIGURE)
        assert state(client) == 'unconfigured' and node.publisher is None
        assert client.count_publishers('joints') == 0
        client.diagnostics.clear()
        status = client.row('pose')
        assert status.level == ERROR and status.message == 'the model is on the moon; fetch it'
        broken[0] = False
        assert change(client, Transition.TRANSITION_CONFIGURE)
        assert change(client, Transition.TRANSITION_ACTIVATE)
        assert wait_for(lambda: client.diagnostics['pose'].level == OK)
        client.send_until_processed(time.time_ns())


def test_the_analyzers_that_ship_take_every_row():
    """diagnostic_aggregator compares whole names; the node's own row is apart from the faults."""
    path = CONFIG / 'diagnostics.yaml'
    people = yaml.safe_load(path.read_text('utf-8'))['analyzers']['ros__parameters']['people']
    assert people['type'] == 'diagnostic_aggregator/AnalyzerGroup'
    for node in ('niki_pose', 'robot/left/niki_pose'):
        for name in ('pose', *REMEDIES):
            taken = [key for key, analyzer in people['analyzers'].items()
                     if any(re.fullmatch(one, f'{node}: {name}') for one in analyzer['regex'])]
            assert taken == ['nodes' if name == 'pose' else 'faults']
    assert not people['analyzers']['nodes'].get('discard_stale'), 'a node that died would be well'


def test_every_row_has_the_hardware_id_that_the_foxglove_layout_selects():
    panels = json.loads((CONFIG / 'niki.foxglove.json').read_text('utf-8'))['configById']
    wanted = {panels['DiagnosticSummary!faults']['hardwareIdFilter'],
              panels['DiagnosticStatusPanel!node']['selectedHardwareId']}
    arguments = ['--ros-args', '-r', 'image:=/left_camera/image_raw']
    with running(cli_args=arguments) as (node, client):
        node.faults.warn('slow', 'for once')
        client.row('slow')
        assert {row.hardware_id for row in client.diagnostics.values()} == wanted
