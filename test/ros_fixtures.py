"""What the tests of the node share: a ROS context, a client over DDS, a scripted pipeline."""

from contextlib import contextmanager
import os
import random
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.common.settings import PipelineConfig
from niki_ros.people.pipeline import Pipeline
from niki_ros.ros.conversions import image_from_rgb, info_from_camera
from niki_ros.ros.pose_node import PoseNode
from niki_ros.ros.process import ProcessNode, spin_once, use_large_image_profile
from niki_ros.ros.qos import LATCHED_QOS, TF_QOS
from niki_ros.scene.camera import Camera
from niki_ros.solvers import load_solver
import numpy as np
from rcl_interfaces.srv import SetParameters
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from scenes import FACING, observe_body, ScriptedObserver
from sensor_msgs.msg import CameraInfo, Image, JointState, PointCloud2
from std_msgs.msg import String
from tf2_msgs.msg import TFMessage
from visualization_msgs.msg import MarkerArray

CAMERA = Camera.from_fov(640, 480, 60.0)
FRAME = 'camera_optical_frame'
T0 = 1_700_000_000_000_000_000
GREY = np.full((480, 640, 3), 128, np.uint8)


def dancer(stamp_ns: int):
    """One person who waves and bends, 3 m away."""
    seconds = stamp_ns * 1e-9 % 1000
    rotvec = np.zeros((24, 3))
    rotvec[16] = [0, 0, -1.2 + 0.5 * np.sin(2 * seconds)]
    rotvec[17] = [0, 0, 1.2]
    rotvec[4, 0] = 1.0 + 0.9 * np.sin(3 * seconds)
    rotvec[18, 1] = -1.0 - 0.9 * np.sin(3 * seconds)
    rotmat = rotmat_from_rotvec(rotvec)
    rotmat[0] = FACING @ rotmat[0]
    return [observe_body(rotmat, np.array([0.2, 0.0, 3.0]), CAMERA)]


def scripted(script=dancer):
    """Return what makes a pipeline whose front end follows ``script``."""
    def make(config: PipelineConfig):
        return Pipeline(ScriptedObserver(script), load_solver('analytic'), config)
    return make


class Client(Node):
    def __init__(self, namespace=''):
        super().__init__('client', namespace=namespace)
        self.images = self.create_publisher(Image, 'image', 5)
        self.infos = self.create_publisher(CameraInfo, 'camera_info', 5)
        self.tf, self.joint_states, self.urdfs = [], [], []
        self.clouds, self.markers, self.overlays = [], [], []
        self.diagnostics: dict = {}
        for kind, topic, into, qos in (
                (PointCloud2, 'joints', self.clouds, 10),
                (JointState, 'bodies/body_1/joint_states', self.joint_states, 50),
                (String, 'bodies/body_1/robot_description', self.urdfs, LATCHED_QOS),
                (MarkerArray, 'markers', self.markers, 10)):
            self.create_subscription(kind, topic, into.append, qos)
        self.urdfs_at_tf = []
        self.create_subscription(TFMessage, '/tf', self._on_tf, TF_QOS)
        self.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)

    def _on_diagnostics(self, message):
        self.diagnostics.update({
            status.name.removeprefix('niki_pose: '): status for status in message.status})

    def row(self, name, timeout_s=5.0):
        """Wait for a row of niki_pose in /diagnostics and return it."""
        assert wait_for(lambda: name in self.diagnostics, timeout_s), self.diagnostics.keys()
        return self.diagnostics[name]

    def message(self, name) -> str:
        return getattr(self.diagnostics.get(name), 'message', '')

    def values(self) -> dict:
        return diagnostic_values(self.row('pose'))

    def _on_tf(self, message):
        self.tf.append(message)
        self.urdfs_at_tf.append(len(self.urdfs))

    def send(self, stamp_ns, size=(640, 480), info=True):
        if info:
            self.infos.publish(info_from_camera(CAMERA, stamp_ns, FRAME))
        rgb = np.full((size[1], size[0], 3), 128, np.uint8)
        self.images.publish(image_from_rgb(rgb, stamp_ns, FRAME))

    def processed(self) -> set:
        return {(c.header.stamp.sec * 10**9 + c.header.stamp.nanosec) for c in self.clouds}

    def answered(self, stamp_ns, timeout_s=0.5):
        """Wait until the image with this stamp is processed; return whether it was."""
        return wait_for(lambda: stamp_ns in self.processed(), timeout_s)

    def send_until_processed(self, stamp_ns, timeout_s=5.0, **options):
        """Send images with growing stamps until one is processed; return its stamp."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            self.send(stamp_ns, **options)
            if self.answered(stamp_ns):
                return stamp_ns
            stamp_ns += 10_000_000
        raise AssertionError(f'no image was processed in {timeout_s} s; {self.diagnostics}')


def call(client, kind, name, request):
    """Call a service of the node and return the answer."""
    service = client.create_client(kind, name)
    assert service.wait_for_service(5.0)
    future = service.call_async(request)
    assert wait_for(future.done, 20)
    client.destroy_client(service)
    return future.result()


def change(client, transition) -> bool:
    request = ChangeState.Request(transition=Transition(id=transition))
    return call(client, ChangeState, 'niki_pose/change_state', request).success


def put_parameter(client, name, value):
    parameter = Parameter(name, value=value).to_parameter_msg()
    return call(client, SetParameters, 'niki_pose/set_parameters',
                SetParameters.Request(parameters=[parameter])).results[0]


def state(client) -> str:
    return call(client, GetState, 'niki_pose/get_state', GetState.Request()).current_state.label


def diagnostic_values(status) -> dict:
    return {value.key: value.value for value in status.values}


def accounted(node) -> bool:
    """Return whether every received image was processed or skipped."""
    counts = node.health.counts()
    return counts['received'] == counts['processed'] + counts['skipped']


def wait_for(condition, timeout_s=5.0):
    """Wait until ``condition()`` is true; return whether it came."""
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def free_domain() -> int:
    """Return a random DDS domain of 1 … 74; parallel test processes never share one."""
    workers = int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))
    worker = int(os.environ.get('PYTEST_XDIST_WORKER', 'gw0')[len('gw'):])
    return 1 + worker + workers * random.randrange(max(74 // workers, 1))


@contextmanager
def ros_graph(*node_makers, domain=None):
    """Spin every node in an executor and a thread of its own, on a domain of its own."""
    os.environ['ROS_DOMAIN_ID'] = str(domain or free_domain())
    use_large_image_profile()
    rclpy.init(args=[], signal_handler_options=SignalHandlerOptions.NO)
    stop, threads, nodes = threading.Event(), [], []

    def spin(node):
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        while not stop.is_set():
            spin_once(executor, node.on_unreadable if isinstance(node, ProcessNode) else print)
    try:
        for make in node_makers:
            node = make()
            nodes.append(node)
            threads.append(threading.Thread(target=spin, args=(node,)))
            threads[-1].start()
        yield nodes
    finally:
        stop.set()
        for thread in threads:
            thread.join()
        for node in nodes:
            if isinstance(node, ProcessNode):
                node.close()
            node.destroy_node()
        rclpy.try_shutdown()


def parameters(values) -> list:
    return [Parameter(name, value=value) for name, value in values.items()]


def pose_node(make_pipeline=None, overrides=None, **options):
    """Return a function that makes the node; it publishes diagnostics ten times a second."""
    values = parameters({'diagnostics_period_s': 0.1, **(overrides or {})})
    return lambda: PoseNode(make_pipeline or scripted(), parameter_overrides=values, **options)


@contextmanager
def running(make_pipeline=None, overrides=None, client=Client, **options):
    with ros_graph(pose_node(make_pipeline, overrides, **options), client) as (node, someone):
        assert wait_for(lambda: node.state == 'active' or node.exit_code, 30), node.reason
        wait_for(lambda: discovered(node, someone))
        yield node, someone


def discovered(node, client) -> bool:
    """Return whether a client's publishers and the graph that it sees include a node's topics."""
    read = {subscription.topic_name for subscription in node.subscriptions}
    return (all(publisher.get_subscription_count() > 0
                for publisher in (client.images, client.infos) if publisher.topic_name in read)
            and all(client.count_subscribers(name) > 0 for name in read)
            and all(client.count_publishers(one.topic_name) > 0 for one in node.publishers))
