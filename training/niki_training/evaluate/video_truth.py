"""Reader of Pose2Sim trials: measured joints (TRC), calibrated cameras (TOML) and their videos."""

from dataclasses import dataclass
from pathlib import Path

from niki_ros.body.skeleton import JOINT
from niki_ros.common.errors import SourceError
from niki_ros.scene.camera import Camera
import numpy as np
from scipy.spatial.transform import Rotation

LIMBS = tuple(f'{side}_{part}' for part in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist')
              for side in ('left', 'right'))
LIMB_JOINTS = np.array([JOINT[name] for name in LIMBS])
"""(12,) indices into JOINTS_29 of the limb joints that trials and the body model have."""


@dataclass(frozen=True)
class CalibratedCamera:
    """A camera in the world: x_camera = camera_from_world @ x_world + translation_m."""

    camera: Camera
    camera_from_world: np.ndarray  # (3, 3)
    translation_m: np.ndarray  # (3,)

    def from_world(self, world_m) -> np.ndarray:
        """Return points (..., 3) of the world in the camera's optical frame, metres."""
        return np.asarray(world_m) @ self.camera_from_world.T + self.translation_m


@dataclass(frozen=True)
class TrialClip:
    """One camera of a trial."""

    name: str  # of the camera
    video: Path  # its file
    calibrated: CalibratedCamera
    world_m: np.ndarray  # (frames, 12, 3) measured limb joints in the world, order of ``LIMBS``

    @property
    def limbs_m(self) -> np.ndarray:
        """Return the measured limb joints (frames, 12, 3), camera axes, metres."""
        return self.calibrated.from_world(self.world_m)


def read_trial(folder: Path) -> list[TrialClip]:
    """Return the cameras of a folder of ``calibration.toml``, one .trc and a video per camera."""
    folder = Path(folder)
    trials, videos = sorted(folder.glob('*.trc')), sorted(folder.glob('*.mp4'))
    if len(trials) != 1 or not videos:
        raise SourceError(f'{folder} has {len(trials)} .trc and {len(videos)} .mp4 files; '
                          'expected one trial and a video per camera')
    world_m = limb_joints(read_trc(trials[0]))
    cameras = sorted(read_calibration(folder / 'calibration.toml').items())
    return [TrialClip(name, video, calibrated, world_m)
            for (name, calibrated), video in zip(cameras, videos)]


def read_trc(path) -> dict[str, np.ndarray]:
    """
    Return the markers of a TRC file by name, each (frames, 3) in the calibration's world, metres.

    Pose2Sim writes TRC with y up; its calibration has z up: world = [z, x, y] of the file.
    """
    lines = Path(path).read_text().splitlines()
    if len(lines) < 6 or not lines[0].startswith('PathFileType'):
        raise SourceError(f'{path} is no TRC file: the first line is {lines[:1]}')
    header = dict(zip(lines[1].split('\t'), lines[2].split('\t')))
    scale = {'m': 1.0, 'mm': 1e-3}.get(header.get('Units', ''))
    if scale is None:
        raise SourceError(f'{path} has units {header.get("Units")!r}; expected m or mm')
    names = [name for name in lines[3].split('\t')[2:] if name.strip()]
    rows = np.array([[float(cell) if cell.strip() else np.nan for cell in
                      (line.split('\t') + [''] * 3 * len(names))[2:2 + 3 * len(names)]]
                     for line in lines[5:] if line.strip()])
    points_m = rows.reshape(len(rows), len(names), 3)[..., [2, 0, 1]] * scale
    return {name: points_m[:, index] for index, name in enumerate(names)}


def limb_joints(markers: dict[str, np.ndarray]) -> np.ndarray:
    """Return the twelve limb joints (frames, 12, 3) of markers, in the order of ``LIMBS``."""
    def marker(name):
        side, part = name.split('_')
        return markers[side[0].upper() + part.capitalize()]
    return np.stack([marker(name) for name in LIMBS], axis=1)


def read_calibration(path) -> dict[str, CalibratedCamera]:
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
