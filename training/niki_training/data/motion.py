"""Motion of the 24 body joints, as pieces of consecutive frames."""

from dataclasses import dataclass
import hashlib

import numpy as np

from niki_training.data.frame_rate import FPS

_DIGEST_STEP = 97  # the digest reads every 97th frame


@dataclass
class Motion:
    """Pieces of motion, one after another."""

    rotvec: np.ndarray  # (F, 24, 3) float32 local rotation vectors, radians; joint 0 has y up
    lengths: np.ndarray  # (P,) frames of each piece
    names: np.ndarray  # (P,) names of the pieces, see :func:`subject_of`
    fps: float = FPS  # frames per second

    @property
    def starts(self) -> np.ndarray:
        """Return the first frame of each piece (P,)."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def subjects(self) -> np.ndarray:
        """Return the subject of each piece (P,)."""
        return np.asarray([subject_of(name) for name in self.names])

    def digest(self) -> str:
        """Return a hash of the motion, kept in checkpoints."""
        parts = (self.rotvec[::_DIGEST_STEP].tobytes(), self.lengths.tobytes())
        return hashlib.sha256(b''.join(parts)).hexdigest()[:16]


def subject_of(name) -> str:
    """Return the subject of a piece: ``subject/clip``, in older archives ``subject_clip``."""
    subject, slash, _ = str(name).rpartition('/')
    return subject if slash else str(name).split('_')[0]


def join_motions(parts) -> Motion:
    """Return the pieces of several motions as one motion."""
    return Motion(np.concatenate([part.rotvec for part in parts]),
                  np.concatenate([part.lengths for part in parts]),
                  np.concatenate([part.names for part in parts]))


def select_pieces(motion: Motion, chosen) -> Motion:
    """Return the pieces of a motion for which ``chosen`` (P,) bool is true."""
    return Motion(motion.rotvec[np.repeat(chosen, motion.lengths)], motion.lengths[chosen],
                  motion.names[chosen])
