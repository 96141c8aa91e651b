"""The policy for SROS 2 that we ship: it allows what the nodes do, and nothing else."""

from fnmatch import fnmatch
from pathlib import Path
import shutil
import subprocess
import sys

import cv2
from niki_ros.ros.humans_merger import HumansMerger
from niki_ros.ros.video_source import VideoSource
import numpy as np
import pytest
from ros_fixtures import Client, parameters, ros_graph, running, T0, wait_for
from scenes import child_environment
from sros2_keystore import allowed, make_keystore, permissions_xml

POLICY = Path(__file__).resolve().parents[2] / 'config' / 'sros2_policy.xml'
ENCLAVES = ('/niki_pose', '/video_source', '/humans_merger')
OPTIONAL = {'/image', '/image/compressed', '/depth', '/detections', '/clock', '/parameter_events',
            '/humans/bodies/*', '/tf', '/tf_static'}
"""Only with parameters, messages or a clock that this test does not have."""


def used(client, node: str) -> dict:
    """Return the names that a node of the graph uses, in the form of the policy."""
    def names(what):
        return {name for name, _ in getattr(client, f'get_{what}_names_and_types_by_node')(
            node, '/')}
    assert not names('client')
    return {('topics', 'publish'): names('publisher'),
            ('topics', 'subscribe'): names('subscriber'),
            ('services', 'reply'): names('service')}


def check(client, node: str):
    """Nothing that is used is missing in the policy, and nothing in it is never used."""
    policy, graph = allowed(POLICY, f'/{node}'), used(client, node)
    for group, names in graph.items():
        missing = [name for name in names
                   if not any(fnmatch(name, item) for item in policy[group])]
        assert not missing, f'add to {POLICY.name}, {group}: {missing}'
        stale = [item for item in policy[group] if item not in OPTIONAL
                 and not any(fnmatch(name, item) for name in names)]
        assert not stale, f'no longer used, remove from {POLICY.name}: {stale}'


@pytest.mark.parametrize('conventions', [['niki'], ['niki', 'ros4hri']])
def test_policy_allows_what_the_node_does(conventions):
    with running(overrides={'conventions': conventions}) as (_, client):
        client.send_until_processed(T0)
        check(client, 'niki_pose')


@pytest.mark.parametrize('transport', ['raw', 'compressed'])
def test_policy_allows_what_the_source_does(tmp_path, transport):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.zeros((48, 64, 3), np.uint8))

    def source():
        return VideoSource(parameter_overrides=parameters(
            {'source': str(tmp_path), 'loop': True, 'image_transport': transport}))
    with ros_graph(source, Client) as (_, client):
        assert wait_for(lambda: client.count_publishers('camera_info') > 1)
        check(client, 'video_source')


def test_policy_allows_what_the_merger_does():
    kind = pytest.importorskip(
        'hri_msgs.msg', reason='hri_msgs is not built here: "make test"').IdsList
    with ros_graph(HumansMerger, Client) as (merger, client):
        client.create_publisher(kind, '/left/bodies/tracked', 1)
        assert wait_for(lambda: client.count_subscribers('/left/bodies/tracked') == 1)
        check(client, 'humans_merger')


def test_policy_is_what_sros2_reads():
    """The schema of sros2 itself accepts it, and its permissions are those of our keystore."""
    policy = pytest.importorskip('sros2.policy', reason='sros2 comes with a ROS 2 installation')
    from lxml import etree
    tree = policy.load_policy(POLICY)
    transform = etree.XSLT(etree.parse(str(
        policy.get_transport_template('dds', 'permissions.xsl'))))
    theirs = transform(tree, allow_ros_discovery_topic=etree.XSLT.strparam('1'))
    for enclave in ENCLAVES:
        grant = theirs.find(f".//grant[@name='{enclave}']")
        ours = etree.fromstring(permissions_xml(POLICY, enclave).encode())
        for way in ('publish', 'subscribe'):
            wanted = {item.text for item in grant.iterfind(f'.//{way}/topics/topic')}
            assert {item.text for item in ours.iterfind(f'.//{way}/topics/topic')} == wanted


@pytest.fixture
def keystore(tmp_path):
    if not shutil.which('openssl'):
        pytest.skip('openssl is not installed')
    return make_keystore(tmp_path / 'keystore', POLICY, ENCLAVES)


def test_keystore_is_signed_by_its_authority(keystore):
    """What openssl verifies is what DDS reads."""
    ca = keystore / 'public' / 'ca.cert.pem'
    for enclave in ENCLAVES:
        place = keystore / 'enclaves' / enclave[1:]
        said = subprocess.run(['openssl', 'verify', '-CAfile', ca, place / 'cert.pem'],
                              capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
        subject = subprocess.run(['openssl', 'x509', '-in', place / 'cert.pem', '-noout',
                                  '-subject'], capture_output=True, text=True).stdout
        assert subject.strip().replace(' ', '') == f'subject=CN={enclave}'
        for name in ('permissions.p7s', 'governance.p7s'):
            said = subprocess.run(['openssl', 'smime', '-verify', '-text', '-in', place / name,
                                   '-CAfile', ca], capture_output=True, text=True)
            assert said.returncode == 0 and '<dds>' in said.stdout, said.stderr


def under_enclave(keystore, code, *words):
    """Run Python under /niki_pose; skip where this DDS was built without security."""
    environment = child_environment(
        ROS_SECURITY_KEYSTORE=str(keystore), ROS_SECURITY_ENABLE='true',
        ROS_SECURITY_STRATEGY='Enforce', ROS_DOMAIN_ID='79')
    done = subprocess.run([sys.executable, '-c', code, '--ros-args', '--enclave', '/niki_pose',
                           *words], env=environment, capture_output=True, text=True, timeout=120)
    if 'security libraries' in done.stderr or 'SECURITY=ON' in done.stderr:
        pytest.skip('the DDS of this ROS 2 was built without security')
    return done


NODE = """
import sys, time
sys.path.insert(0, {test!r})
from ros_fixtures import PoseNode, scripted
import rclpy
rclpy.init(args=sys.argv)
node = PoseNode(scripted())
end = time.monotonic() + 30
while node.state != 'active' and node.exit_code is None and time.monotonic() < end:
    rclpy.spin_once(node, timeout_sec=0.1)
print(node.state, node.reason)
"""


def test_node_runs_under_the_enclave(keystore):
    code = NODE.format(test=str(Path(__file__).parents[1]))
    done = under_enclave(keystore, code)
    assert 'active' in done.stdout, done.stderr
    done = under_enclave(keystore, code, '-r', 'joints:=secret')
    assert 'active' not in done.stdout
