"""Lookups in a tree of TF frames."""

from types import SimpleNamespace as Record

from niki_ros.common.errors import InputError
from niki_ros.messages.transforms import TransformTree
import numpy as np
import pytest
from scipy.spatial.transform import Rotation


def transform(parent, child, shift, rotvec=(0, 0, 0)):
    x, y, z, w = Rotation.from_rotvec(rotvec).as_quat()
    return Record(header=Record(frame_id=parent), child_frame_id=child, transform=Record(
        translation=Record(x=shift[0], y=shift[1], z=shift[2]),
        rotation=Record(x=x, y=y, z=z, w=w)))


def test_frames_across_a_tree():
    rng, tree = np.random.default_rng(0), TransformTree()
    edges = [('base', 'mast'), ('mast', '/camera'), ('base', 'footprint')]
    poses = {}
    for parent, child in edges:
        shift, turn = rng.normal(size=3), rng.normal(size=3)
        tree.put([transform(parent, child, shift, turn)])
        poses[child.lstrip('/')] = np.block([
            [Rotation.from_rotvec(turn).as_matrix(), shift[:, None]],
            [np.zeros((1, 3)), np.ones((1, 1))]])
    expected = np.linalg.inv(poses['mast'] @ poses['camera']) @ poses['footprint']
    rotmat, shift = tree.lookup('camera', 'footprint')
    np.testing.assert_allclose(rotmat, expected[:3, :3], atol=1e-12)
    np.testing.assert_allclose(shift, expected[:3, 3], atol=1e-12)


def test_frames_that_are_not_connected_are_named():
    tree = TransformTree()
    tree.put([transform('map', 'base', (0, 0, 0))])
    with pytest.raises(InputError, match="'camera'"):
        tree.lookup('camera', 'base')
    tree.put([transform('base', 'map', (0, 0, 0))])
    with pytest.raises(InputError, match="'base'|'map'"):
        tree.lookup('base', 'map')
