"""Measured joints and calibrated cameras of Pose2Sim trials: TRC files and calibration TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict

from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import SourceError
from niki_ros.scene.camera import Camera
import numpy as np
from scipy.spatial.transform import Rotation

LIMBS = tuple(f'{side}_{part}' for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')
              for side in ('left', 'right'))
LIMB_JOINTS = np.array([JOINT[name] for name in LIMBS])
"""The twelve limb joints that both the trial and the body model have, indices into JOINTS_29."""


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera in the world: x_camera = rotmat @ x_world + translation_m."""

    camera: Camera
    camera_from_world: np.ndarray
    translation_m: np.ndarray

    def points(self, world_m) -> np.ndarray:
        """Points (..., 3) of the world in the camera's optical frame, metres."""
        return np.asarray(world_m) @ self.camera_from_world.T + self.translation_m


def read_trc(path) -> Dict[str, np.ndarray]:
    """
    Return the markers of a TRC file by name, each (frames, 3) in the calibration's world, metres.

    Pose2Sim writes TRC with y up; its calibration has z up: world = [z, x, y] of the file.

    :raises SourceError: for a file that is no TRC, or in other units.
    """
    lines = Path(path).read_text().splitlines()
    if len(lines) < 6 or not lines[0].startswith('PathFileType'):
        raise SourceError(f'{path} is no TRC file: the first line is {lines[:1]}')
    about = dict(zip(lines[1].split('\t'), lines[2].split('\t')))
    scale = {'m': 1.0, 'mm': 1e-3}.get(about.get('Units', ''))
    if scale is None:
        raise SourceError(f'{path} has units {about.get("Units")!r}; expected m or mm')
    names = [name for name in lines[3].split('\t')[2:] if name.strip()]
    rows = np.array([[float(cell) if cell.strip() else np.nan for cell in
                      (line.split('\t') + [''] * 3 * len(names))[2:2 + 3 * len(names)]]
                     for line in lines[5:] if line.strip()])
    points = rows.reshape(len(rows), len(names), 3)[..., [2, 0, 1]] * scale
    return {name: points[:, index] for index, name in enumerate(names)}


def limb_joints(markers: Dict[str, np.ndarray]) -> np.ndarray:
    """Return the twelve limb joints (frames, 12, 3), in the order of ``LIMBS``."""
    def marker(name):
        side, part = name.split('_')
        return markers[side[0].upper() + part.capitalize()]
    return np.stack([marker(name) for name in LIMBS], axis=1)


def read_calibration(path) -> Dict[str, CalibratedCamera]:
    """Return the cameras of a Pose2Sim ``calibration.toml`` by name."""
    try:
        import tomllib
    except ModuleNotFoundError:
        import tomli as tomllib
    cameras = {}
    for name, entry in tomllib.loads(Path(path).read_text()).items():
        if 'matrix' not in entry:
            continue
        width, height = (int(side) for side in entry['size'])
        model = 'equidistant' if entry.get('fisheye') else 'plumb_bob'
        camera = Camera(np.array(entry['matrix']), width, height,
                        np.array(entry['distortions']), model, source='file')
        rotmat = Rotation.from_rotvec(entry['rotation']).as_matrix()
        cameras[name] = CalibratedCamera(camera, rotmat, np.array(entry['translation']))
    if not cameras:
        raise SourceError(f'{path} describes no camera')
    return cameras


def pa_aligned(found, truth) -> np.ndarray:
    """Return ``found`` (..., n, 3) moved, turned and scaled onto ``truth`` (Umeyama 1991)."""
    a, b = found - found.mean(-2, keepdims=True), truth - truth.mean(-2, keepdims=True)
    u, s, vt = np.linalg.svd(np.swapaxes(b, -1, -2) @ a)
    flip = np.ones(s.shape)
    flip[..., 2] = np.sign(np.linalg.det(u) * np.linalg.det(vt))
    rotmat = (u * flip[..., None, :]) @ vt
    scale = (s * flip).sum(-1) / np.maximum((a**2).sum((-1, -2)), 1e-12)
    turned = a @ np.swapaxes(rotmat, -1, -2) * scale[..., None, None]
    return turned + truth.mean(-2, keepdims=True)
