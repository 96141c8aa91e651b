"""What must not bring the node down: each fault has a name, a remedy and a count."""

from array import array
import time

from niki_ros.messages.joint_cloud import bodies_from_cloud
from niki_ros.ros.conversions import image_from_rgb, info_from_camera
import numpy as np
import pytest
from ros_fixtures import (
    accounted,
    CAMERA,
    diagnostic_values,
    FRAME,
    GREY,
    pose_node,
    ros_graph,
    running,
    scripted,
    state,
    T0,
    wait_for,
)
from sensor_msgs.msg import CameraInfo


@pytest.mark.parametrize('name', [
    'image_empty', 'encoding_unknown', 'image_invalid', 'stamp_zero', 'stamp_repeated'])
def test_bad_image_is_named_and_survived(name, capfd):
    with running() as (node, client):
        stamp_ns = client.send_until_processed(T0)
        bad = image_from_rgb(GREY, stamp_ns + 10**8, FRAME)
        if name == 'image_empty':
            bad.width = bad.height = bad.step = 0
            bad.data = array('B')
        elif name == 'encoding_unknown':
            bad.encoding = 'x264'
        elif name == 'image_invalid':
            bad.data = bad.data[:1000]
        else:
            bad = image_from_rgb(GREY, 0 if name == 'stamp_zero' else stamp_ns, FRAME)
        assert wait_for(lambda: client.images.publish(bad) or node.health.skipped[name])
        later = client.send_until_processed(stamp_ns + 10**9)
        assert later > stamp_ns
        status = client.row(name)
        assert diagnostic_values(status)['remedy'] and int(diagnostic_values(status)['count']) >= 1
        assert status.level == b'\x01'
        assert wait_for(lambda: accounted(node))
    assert f'{name}: ' in capfd.readouterr().err


@pytest.mark.parametrize('data', [
    b'', b'\x00', b'\x00\x01\x00\x00', b'\x00\x01\x00\x00' + b'\xff' * 400,
    b'\x00\x01\x00\x00' + bytes(8) + b'\x04\x00\x00\x00\xff\xfe\xfd\x00' + bytes(60)])
def test_bytes_that_are_no_message(data):
    with running() as (node, client):
        client.send_until_processed(T0)
        for publisher in (client.images, client.infos):
            try:
                publisher.publish(data)
            except RuntimeError:
                pass  # the sender's own middleware would not take it
        client.send_until_processed(T0 + 10**9)


def test_stamp_jumps_back(capfd):
    """A bag that loops: a warning, a new id, and the node goes on."""
    with running() as (node, client):
        client.send_until_processed(T0 + 10**10)
        client.send_until_processed(T0)
        client.row('stamp_jumped_back')
        ids = [bodies_from_cloud(cloud)[0].id for cloud in client.clouds]
        assert ids[0] == 1 and ids[-1] == 2
    assert 'stamp_jumped_back' in capfd.readouterr().err


def test_an_image_that_comes_late(capfd):
    """It is left out, counted under its own name, and the person keeps the id."""
    with running() as (node, client):
        last_ns = client.send_until_processed(T0 + 10**10)
        late = image_from_rgb(GREY, last_ns - 5_000_000, FRAME)
        assert wait_for(lambda: client.images.publish(late) or node.health.skipped['stamp_late'])
        client.send_until_processed(last_ns + 40_000_000)
        client.row('stamp_late')
        assert 'stamp_jumped_back' not in client.diagnostics
        assert wait_for(lambda: accounted(node))
        assert {bodies_from_cloud(cloud)[0].id for cloud in client.clouds} == {1}
    assert 'stamp_late' in capfd.readouterr().err


@pytest.mark.parametrize('kind, fault', [
    ('missing', 'camera_info_missing'), ('zero', 'camera_info_zeroed'),
    ('garbage', 'camera_info_invalid'), ('garbage K', 'camera_info_invalid'),
    ('half', 'camera_info_size')])
def test_camera_info(kind, fault):
    with running() as (node, client):
        info = info_from_camera(CAMERA, T0, FRAME)
        if kind == 'zero':
            info = CameraInfo(width=640, height=480)
        elif kind.startswith('garbage'):
            info.k[0] = float('nan')
            if kind == 'garbage':
                info.p[0] = float('nan')
        elif kind == 'half':
            info = info_from_camera(CAMERA.resized(320, 240), T0, FRAME)
        if kind != 'missing':
            client.infos.publish(info)
        client.send_until_processed(T0, info=False)
        assert '/camera_info' in client.row(fault).message
        # the fault may be reported before the first image is processed
        source = 'camera_info' if kind in ('half', 'garbage K') else 'fov'
        assert wait_for(lambda: client.values()['camera_source'] == source), client.values()
        # the same field of view in every case: the same place
        assert np.allclose(bodies_from_cloud(client.clouds[-1])[0].root_m, [0.2, 0, 3], atol=0.05)


def test_configure_fails_with_the_reason(capfd):
    from niki_ros.loading.load_pipeline import load_pipeline
    with ros_graph(pose_node(load_pipeline, {'solver.name': 'no_such_solver'})) as (node,):
        assert wait_for(lambda: node.exit_code == 1, 20)
        assert 'no_such_solver' in node.reason
    assert 'no_such_solver' in capfd.readouterr().err


def test_pipeline_that_always_fails_ends_in_error(capfd):
    """Ten failures in a row: the node says why and stops, it does not spin on."""
    def broken(stamp_ns):
        raise RuntimeError('the engine is gone')
    with running(scripted(broken)) as (node, client):
        for index in range(80):
            client.send(T0 + index * 10_000_000)
            time.sleep(0.02)
            if node.state == 'unconfigured':
                break
        assert wait_for(lambda: node.state == 'unconfigured')
        assert state(client) == 'unconfigured'
        assert 'the engine is gone' in node.reason
    assert 'error state' in capfd.readouterr().err
