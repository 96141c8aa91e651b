"""Chains of TF frames, as tf2 follows them."""

import numpy as np
from scipy.spatial.transform import Rotation


def tree_of(message) -> dict:
    """Return the parent of every frame in a TFMessage; a frame that comes twice is an error."""
    parents: dict = {}
    for one in message.transforms:
        assert one.child_frame_id not in parents, f'{one.child_frame_id} has two parents'
        parents[one.child_frame_id] = one.header.frame_id
    return parents


def matrix_of(one) -> np.ndarray:
    """Return the matrix (4, 4), metres, of a TransformStamped."""
    place, turn = one.transform.translation, one.transform.rotation
    matrix = np.eye(4)
    matrix[:3, 3] = place.x, place.y, place.z
    matrix[:3, :3] = Rotation.from_quat([turn.x, turn.y, turn.z, turn.w]).as_matrix()
    return matrix


def poses_of(message, root: str) -> dict:
    """Return each frame's pose (4, 4) in ``root``."""
    steps = {one.child_frame_id: (one.header.frame_id, matrix_of(one))
             for one in message.transforms}
    poses = {}
    for name in steps:
        chain, at = np.eye(4), name
        while at != root and at in steps:
            at, matrix = steps[at]
            chain = matrix @ chain
        if at == root:
            poses[name] = chain
    return poses
