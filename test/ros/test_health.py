"""/diagnostics: figures, thresholds that are settings, levels, faults that last, the reason."""

from __future__ import annotations

import json
from pathlib import Path
import re
import time

from lifecycle_msgs.msg import Transition
from niki_ros.common.errors import ModelError
from niki_ros.ros import diagnostics, watch
from niki_ros.ros.diagnostics import ERROR, Health, OK, REMEDIES, WARN
from niki_ros.ros.settings import HealthConfig
from niki_ros.ros.watch import Watch
import pytest
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from ros_fixtures import (
    call,
    change,
    Client,
    diagnostic_values,
    PoseNode,
    ros_graph,
    running,
    scripted,
    state,
    wait_for,
)
import yaml

CONFIG = Path(__file__).resolve().parents[2] / 'config'
FAST = Parameter('diagnostics_period_s', value=0.1)


class Seconds:
    """A clock that stands until it is told."""

    def __init__(self, monkeypatch):
        """Stand in for time.monotonic of both modules."""
        self.now = 1000.0
        for module in (diagnostics, watch):
            monkeypatch.setattr(module.time, 'monotonic', lambda: self.now)


@pytest.fixture
def clock(monkeypatch):
    """Return the clock that Health and Watch go by."""
    return Seconds(monkeypatch)


def watched(**settings):
    """Return a Health and the Watch over it."""
    health = Health()
    return health, Watch(HealthConfig(**settings), health, health.fault, '/image')


def run(health, eye, clock, seconds, rate_hz, latency_s=0.02, lost=0):
    """Let images come for a while; of each, ``lost`` more were overtaken."""
    for _ in range(round(seconds * rate_hz)):
        clock.now += 1 / rate_hz
        eye.heard()
        health.arrived(1 + lost, lost)
        health.done(latency_s, {'observe': 0.01}, 1, 2)


def levels(health):
    """Return the level of the whole and of every fault."""
    statuses = health.report('n', 'active', {})
    return {status.name.removeprefix('n: '): status.level for status in statuses}


def test_all_well(clock):
    health, eye = watched()
    run(health, eye, clock, 12, 20)
    eye.check()
    assert levels(health) == {'pose': OK}
    values = diagnostic_values(health.report('n', 'active', {})[0])
    assert values['tracks'] == '2' and values['bodies'] == '1' and values['rate_in_hz'] == '20.0'
    assert values['latency_ms_p99'] == '20.0' and values['stage.observe_ms_p50'] == '10.0'


@pytest.mark.parametrize('latency_s, level', [(0.02, OK), (0.25, WARN), (2.0, ERROR)])
def test_latency(clock, latency_s, level):
    health, eye = watched()
    run(health, eye, clock, 5, 10, latency_s)
    eye.check()
    assert levels(health).get('latency_high', OK) == levels(health)['pose'] == level


def test_latency_threshold_of_zero_is_none(clock):
    health, eye = watched(latency_warn_ms=0.0, latency_error_ms=0.0)
    run(health, eye, clock, 5, 10, 5.0)
    eye.check()
    assert levels(health) == {'pose': OK}


@pytest.mark.parametrize('latency_s', [-1.0, 3e7])
def test_another_clock_is_no_latency(clock, latency_s):
    health, eye = watched()
    run(health, eye, clock, 5, 10, latency_s)
    eye.check()
    assert levels(health) == {'pose': WARN, 'clock_differs': WARN}


@pytest.mark.parametrize('rate_hz, level', [(20, OK), (8, WARN), (3, ERROR)])
def test_rate(clock, rate_hz, level):
    health, eye = watched(rate_warn_hz=10.0, rate_error_hz=5.0)
    run(health, eye, clock, 12, rate_hz)
    eye.check()
    assert levels(health).get('rate_low', OK) == levels(health)['pose'] == level


@pytest.mark.parametrize('lost, level', [(0, OK), (1, WARN), (19, ERROR)])
def test_overtaken(clock, lost, level):
    health, eye = watched()
    run(health, eye, clock, 2, 10, lost=lost)
    eye.check()
    assert levels(health).get('slow', OK) == levels(health)['pose'] == level


def test_silence_and_its_end(clock):
    """WARN, then ERROR; ten seconds after the camera is back all is well."""
    health, eye = watched()
    for seconds, level in ((4, OK), (2, WARN), (25, ERROR)):
        clock.now += seconds
        eye.check()
        assert levels(health)['pose'] == level
    assert 'no image on /image for 31 s' in health.report('n', 'active', {})[1].message
    run(health, eye, clock, 11, 10)
    eye.check()
    assert levels(health) == {'pose': OK, 'no_images': OK}
    assert 'not seen for' in health.report('n', 'active', {})[1].message


def test_a_fault_that_is_held_stays(clock):
    health = Health()
    assert health.hold('no_clock', 'x') and not health.hold('no_clock', 'x')
    clock.now += 3600
    assert levels(health) == {'pose': WARN, 'no_clock': WARN}
    health.release('no_clock')
    health.release('never_held')
    assert levels(health) == {'pose': OK, 'no_clock': OK}
    assert health.hold('no_clock', 'again')


def test_every_fault_of_the_sources_has_a_remedy():
    """A name without a remedy tells nobody what to do."""
    from pathlib import Path
    import re
    root = Path(diagnostics.__file__).parents[1]
    named = set()
    for path in [*root.rglob('*.py')]:
        text = path.read_text('utf-8')
        for pattern in (r"\b(?:_warn|RejectedFrame|_hold|fault|hold|_above)\(\s*'(\w+)'",
                        r"faults\['(\w+)'\]"):
            named |= set(re.findall(pattern, text))
    assert {'image_invalid', 'no_images', 'stamp_jumped_back', 'qos_incompatible'} <= named
    assert named <= set(REMEDIES), named - set(REMEDIES)


def test_thresholds_are_parameters_that_act_at_once():
    """Over DDS: a threshold that nothing can meet turns the node to ERROR."""
    overrides = [Parameter('diagnostics_period_s', value=0.2),
                 Parameter('health.latency_warn_ms', value=0.0),
                 Parameter('health.latency_error_ms', value=0.0)]
    with running(overrides=overrides) as (node, client):
        stamp_ns = client.send_until_processed(time.time_ns())
        for _ in range(15):
            stamp_ns = client.send_until_processed(max(time.time_ns(), stamp_ns + 1_000_000))
        assert 'niki_pose: latency_high' not in client.diagnostics
        parameters = [Parameter(f'health.latency_{level}_ms', value=0.001).to_parameter_msg()
                      for level in ('warn', 'error')]
        results = call(client, SetParameters, 'niki_pose/set_parameters',
                       SetParameters.Request(parameters=parameters)).results
        assert all(result.successful for result in results), results
        assert wait_for(lambda: 'niki_pose: latency_high' in client.diagnostics)
        assert wait_for(lambda: client.diagnostics['niki_pose: pose'].level == ERROR)
        values = diagnostic_values(client.diagnostics['niki_pose: pose'])
        assert values['solver_precision'] == 'fp64' and values['solver_library'] == 'numpy'
        assert values['tracks'] == '1' and values['camera_source'] == 'camera_info'


def test_the_model_that_runs_is_told_by_its_hash():
    """Backend, precision, and the sha256 of the very graph that was loaded."""
    pytest.importorskip('onnxruntime')
    from niki_ros.models.model_folder import read_model_folder
    from niki_ros.solvers import load_solver, shipped_models
    told = load_solver('niki').describe()
    folder = read_model_folder(shipped_models() / 'niki')
    assert told['model_sha256'] == folder.manifest['sha256']
    assert (told['backend'], told['precision']) == ('onnxruntime', 'fp32')


def test_a_failed_configure_stays_an_error_until_the_next():
    """By services, as a lifecycle manager does it: refused, ERROR with the reason, and again."""
    broken = [True]

    def make_pipeline(config):
        if broken[0]:
            raise ModelError('the model is on the moon; fetch it')
        return scripted()(config)

    def make():
        return PoseNode(make_pipeline, parameter_overrides=[
            Parameter('autostart', value=False), Parameter('diagnostics_period_s', value=0.1)])
    with ros_graph(make, Client) as (node, client):
        assert not change(client, Transition.TRANSITION_CONFIGURE)
        assert state(client) == 'unconfigured' and node._outputs is None
        assert client.count_publishers('joints') == 0
        client.diagnostics.clear()
        assert wait_for(lambda: 'niki_pose: pose' in client.diagnostics)
        status = client.diagnostics['niki_pose: pose']
        assert status.level == ERROR and status.message == 'the model is on the moon; fetch it'
        broken[0] = False
        assert change(client, Transition.TRANSITION_CONFIGURE)
        assert change(client, Transition.TRANSITION_ACTIVATE)
        assert wait_for(lambda: client.diagnostics['niki_pose: pose'].level == OK)
        client.send_until_processed(time.time_ns())


def test_images_that_are_overtaken_while_libraries_warm_up_are_no_slowness(clock):
    health, eye = watched()
    health.arrived(8, 6)
    for _ in range(2):
        health.done(0.1, {}, 1)
    eye.check()
    assert levels(health) == {'pose': OK}
    run(health, eye, clock, 2, 10)
    eye.check()
    assert levels(health) == {'pose': OK}


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
    """Whatever the camera is called: rows of several nodes differ by the node in their names."""
    panels = json.loads((CONFIG / 'niki.foxglove.json').read_text('utf-8'))['configById']
    wanted = {panels['DiagnosticSummary!faults']['hardwareIdFilter'],
              panels['DiagnosticStatusPanel!node']['selectedHardwareId']}
    arguments = ['--ros-args', '-r', 'image:=/left_camera/image_raw']
    with running(overrides=[FAST], cli_args=arguments) as (node, client):
        node._warn('slow', 'for once')
        assert wait_for(lambda: 'niki_pose: slow' in client.diagnostics)
        assert {row.hardware_id for row in client.diagnostics.values()} == wanted
