"""Decoding of the point cloud of joints that the node publishes on the topic ``joints``."""

from typing import List

from niki_ros.body.body import Body, STATUS_NAMES
from niki_ros.common.errors import InputError
from niki_ros.messages.stamps import ns_from_stamp
import numpy as np

_FIELD_DTYPES = {4: '<u2', 7: '<f4'}  # UINT16 and FLOAT32 of sensor_msgs/PointField


def bodies_from_cloud(message) -> List[Body]:
    """Return the bodies in a PointCloud2: positions of the joints; all rotations are identity."""
    points = np.frombuffer(bytes(message.data), np.dtype({
        'names': [field.name for field in message.fields], 'itemsize': message.point_step,
        'formats': [_FIELD_DTYPES[field.datatype] for field in message.fields],
        'offsets': [field.offset for field in message.fields]}))
    stamp_ns = ns_from_stamp(message.header.stamp)
    return [_body(int(body_id), stamp_ns, points[points['body'] == body_id])
            for body_id in np.unique(points['body'])]


def _body(body_id: int, stamp_ns: int, points: np.ndarray) -> Body:
    points = np.sort(points, order='joint')
    if points['joint'].tolist() != list(range(29)):
        raise InputError(f'body {body_id} has the joints {points["joint"].tolist()}; expected 0 '
                         'to 28, as niki_pose publishes them')
    joints_m = np.stack([points['x'], points['y'], points['z']], axis=1)
    if not (np.isfinite(joints_m).all() and (np.abs(points['confidence'] - 0.5) <= 0.5).all()
            and (points['status'] < len(STATUS_NAMES)).all()):
        raise InputError(f'body {body_id} has positions that are not finite, or a confidence or '
                         'status that niki_pose never publishes')
    return Body(
        id=body_id, stamp_ns=stamp_ns, rotmat=np.tile(np.eye(3), (24, 1, 1)), betas=np.zeros(10),
        root_m=joints_m[0], joints_m=joints_m, confidence=points['confidence'][:24],
        status=points['status'][:24].astype(np.uint8), angular_velocity_rad_s=np.zeros((24, 3)),
        root_velocity_m_s=np.zeros(3), keypoints_px=np.full((29, 2), np.nan))
