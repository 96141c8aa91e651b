"""Publish ``stop`` while a person is near, cut off by the image border, or raises a hand."""
# Not a safety function: one camera estimates distance from size. Silence is a reason to stop too.

import time

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from sensor_msgs.msg import PointCloud2, PointField
from std_msgs.msg import Bool

DTYPES = {PointField.FLOAT32: '<f4', PointField.UINT16: '<u2'}
HIPS, SHOULDERS, WRISTS, HEAD, OBSERVED = (1, 2), (16, 17), (20, 21), 15, 0


class StopNearPerson(Node):

    def __init__(self, **options):
        super().__init__('stop_near_person', **options)
        self.distance_m = self.declare_parameter('distance_m', 1.5).value
        self.raised_hand = self.declare_parameter('raised_hand', True).value
        self.silence_s = self.declare_parameter('silence_s', 1.0).value
        self.arrival_s, self.cut_off_s, self.cut_off_count = -np.inf, -np.inf, '0'
        self.stop = self.create_publisher(Bool, 'stop', 10)
        self.create_subscription(DiagnosticArray, '/diagnostics', self.on_diagnostics, 10)
        self.create_subscription(PointCloud2, 'joints', self.on_joints, 1)
        self.create_timer(0.1, self.on_timer)

    def on_joints(self, cloud):
        self.arrival_s = time.monotonic()
        points = np.frombuffer(cloud.data, {
            'names': [field.name for field in cloud.fields], 'itemsize': cloud.point_step,
            'formats': [DTYPES[field.datatype] for field in cloud.fields],
            'offsets': [field.offset for field in cloud.fields]})
        people = [np.sort(points[points['body'] == one], order='joint')
                  for one in np.unique(points['body'])]
        cut_off = self.arrival_s - self.cut_off_s < 2.0
        self.stop.publish(Bool(data=cut_off or any(map(self.is_reason, people))))

    def on_diagnostics(self, message):
        """Note a person whose legs alone are visible: near, at an unknown distance."""
        for status in message.status:
            count = {pair.key: pair.value for pair in status.values}.get('count')
            if status.name.endswith(': person_cut_off') and count != self.cut_off_count:
                self.cut_off_count, self.cut_off_s = count, time.monotonic()

    def is_reason(self, person):
        """Return whether this person must stop the robot, by the observed joints."""
        xyz = np.stack([person['x'], person['y'], person['z']], axis=1)
        observed = person['status'] == OBSERVED
        near = bool((np.linalg.norm(xyz[observed], axis=1) < self.distance_m).any())
        up = xyz[[*SHOULDERS]].mean(axis=0) - xyz[[*HIPS]].mean(axis=0)
        raised = [(xyz[wrist] - xyz[HEAD]) @ up > 0
                  and observed[[*HIPS, *SHOULDERS, HEAD, wrist]].all() for wrist in WRISTS]
        return near or (self.raised_hand and any(raised))

    def on_timer(self):
        """Stop without messages: a camera that has failed shows no people."""
        if time.monotonic() - self.arrival_s > self.silence_s:
            self.stop.publish(Bool(data=True))


if __name__ == '__main__':
    rclpy.init()
    try:
        rclpy.spin(StopNearPerson())
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
