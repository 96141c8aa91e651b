"""Motion with the path of the pelvis."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from niki_training.data.motion import Motion
from niki_training.data.store import load_motion, running_sums


@dataclass
class RootedMotion(Motion):
    """Pieces of motion with the path of the pelvis."""

    root_m: np.ndarray = None  # (F, 3) metres, y up; zeros where the archive has no path

    def piece_of(self, frame: int):
        """Return the name of the piece that holds a frame, and the number of the frame in it."""
        piece = int(np.searchsorted(self.starts, frame, side='right')) - 1
        return str(self.names[piece]), int(frame - self.starts[piece])


def load_rooted_motion(path) -> RootedMotion:
    """Return the motion of an archive or a store, with the path of the pelvis."""
    motion = load_motion(path)
    root = np.zeros((len(motion.rotvec), 3), dtype=np.float32)
    with np.load(Path(path), allow_pickle=False) as z:
        if 'root_lo' in z:
            root = running_sums(z['root_lo'], z['root_hi']).astype(np.float32) * 1e-3
        elif 'root_m' in z:
            root = z['root_m'].astype(np.float32)
    return RootedMotion(motion.rotvec, motion.lengths, motion.names, motion.fps, root)
