"""
SMPL's mesh from the user's own files, and the joints that benchmarks regress from it.

SMPL's files come from https://smpl.is.tue.mpg.de (version 1.0 or 1.1, after registration), the
regressor ``J_regressor_h36m.npy`` (17, 6890) from the data that SPIN's ``fetch_data.sh`` gets, or
from HybrIK's ``model_files``. They are not in this repository.
"""

from pathlib import Path

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.shape import betas_from_joints
from niki_ros.body.skeleton import PARENTS_29
from niki_ros.common.errors import InputError
import numpy as np

from niki_training.data.smpl_skeleton import BETAS, read_arrays, skeleton_of_arrays
from niki_training.files.archives import reason
from niki_training.files.pickles import dense

GENDERS = ('neutral', 'male', 'female')
_MARKS = {'neutral': ('neutral', '_n_', '_n.'), 'female': ('female', '_f_', '_f.'),
          'male': ('male', '_m_', '_m.')}
_BATCH = 32
_REGRESSOR_FROM = ("it is among the data that SPIN's fetch_data.sh gets, and in HybrIK's "
                   'model_files')
_SMPL_FROM = 'they come from smpl.is.tue.mpg.de'


class SmplMesh:
    """Linear blend skinning of the user's SMPL file, ``.pkl`` or ``.npz``."""

    def __init__(self, path: Path):
        arrays = read_arrays(path, ('posedirs', 'weights'))
        names = ('v_template', 'shapedirs', 'J_regressor')
        template, shape, regressor = (arrays[name] for name in names)
        self.skeleton = skeleton_of_arrays(path, template, shape, regressor)
        self.count = count = len(template)
        try:
            pose, weights = (dense(arrays[k]).astype(np.float32) for k in ('posedirs', 'weights'))
        except (KeyError, ValueError, TypeError) as error:
            raise InputError(f"{path}: expected SMPL's posedirs and weights ({reason(error)})"
                             ) from error
        if len(regressor) != 24 or pose.shape != (count, 3, 207) or weights.shape != (count, 24):
            raise InputError(f'{path}: {len(regressor)} joints, posedirs {pose.shape}, weights '
                             f'{weights.shape}; expected SMPL itself: 24, ({count}, 3, 207), '
                             f'({count}, 24)')
        self._pose, self._weights = pose.reshape(-1, 207).T.copy(), weights
        self._template = template.astype(np.float32)
        self._shape = shape[..., :BETAS].astype(np.float32)
        self._regressor = regressor.astype(np.float32)

    def vertices(self, rotmat, betas) -> np.ndarray:
        """Return vertices (N, V, 3), metres, of rotmat (N, 24, 3, 3) and betas (N, up to 10)."""
        rotmat, betas = np.asarray(rotmat, np.float32), np.asarray(betas, np.float32)
        parts = [self._skinned(rotmat[i:i + _BATCH], betas[i:i + _BATCH])
                 for i in range(0, len(rotmat), _BATCH)]
        return np.concatenate(parts) if parts else np.zeros((0, len(self._template), 3))

    def _skinned(self, rotmat, betas) -> np.ndarray:
        count = betas.shape[1]
        shaped = self._template + np.einsum('vib,nb->nvi', self._shape[..., :count], betas)
        rest = np.einsum('jv,nvi->nji', self._regressor, shaped)
        offsets = rest.copy()
        offsets[:, 1:] -= rest[:, PARENTS_29[1:24]]
        full = np.zeros((len(rest), 29, 3))
        full[:, :24] = offsets
        joints, turned = forward_kinematics(rotmat, full)
        feature = (rotmat[:, 1:] - np.eye(3, dtype=np.float32)).reshape(len(rotmat), -1)
        moved = shaped + (feature @ self._pose).reshape(shaped.shape)
        # linear blend skinning: the weighted mean of the transforms of the joints
        turned = turned.astype(np.float32)
        shift = joints[:, :24].astype(np.float32) - np.einsum('njab,njb->nja', turned, rest)
        mean = np.einsum('vj,njk->nvk', self._weights, turned.reshape(-1, 24, 9), optimize=True)
        out = (mean.reshape(*moved.shape, 3) @ moved[..., None])[..., 0]
        return out + np.einsum('vj,nja->nva', self._weights, shift, optimize=True)

    def joints(self, rotmat, betas) -> np.ndarray:
        """Return SMPL's 24 joints (N, 24, 3), the pelvis at 0."""
        betas = np.asarray(betas, np.float64)
        full = np.zeros((len(betas), BETAS))
        full[:, :betas.shape[1]] = betas
        return forward_kinematics(rotmat, self.skeleton.offsets(full))[0][:, :24]

    def betas_of(self, rest_m) -> np.ndarray:
        """Return SMPL's betas (N, 10) with the bone lengths of rest joints (N, 29, 3), metres."""
        return betas_from_joints(rest_m, np.zeros(np.shape(rest_m)[:2]), self.skeleton)


class Meshes:
    """SMPL's file of each gender (a single one is neutral), and Human3.6M's regressor or None."""

    def __init__(self, smpl: Path, regressor: Path | None, genders=('neutral',)):
        files = _files(smpl)
        missing = [one for one in genders if one not in files]
        if missing:
            raise InputError(f'{smpl}: no SMPL file for {", ".join(missing)} (such as '
                             f'SMPL_{missing[0].upper()}.pkl); {_SMPL_FROM}')
        self._meshes: dict[str, SmplMesh] = {one: SmplMesh(files[one]) for one in genders}
        self.neutral = self._meshes['neutral']
        self.regressor = None if regressor is None else _regressor(regressor)
        if self.regressor is not None and self.regressor.shape[1] != self.neutral.count:
            raise InputError(f'{regressor}: shape {self.regressor.shape} for a mesh of '
                             f'{self.neutral.count} vertices')

    def of(self, gender: str) -> SmplMesh:
        return self._meshes[gender]

    def joints17(self, vertices) -> np.ndarray:
        """Return the joints (N, 17, 3) regressed from vertices (N, V, 3), metres."""
        return np.einsum('jv,nvi->nji', self.regressor, vertices, optimize=True)


def gender_of(text) -> str:
    """Return ``male``, ``female`` or ``neutral`` for the gender of an annotation."""
    return {'m': 'male', 'f': 'female'}.get(str(text).strip().lower()[:1], 'neutral')


def _files(smpl: Path) -> dict[str, Path]:
    """Return the files by gender, according to their names."""
    smpl = Path(smpl)
    if smpl.is_file():
        return {'neutral': smpl}
    found: dict[str, Path] = {}
    files = [p for p in sorted(smpl.rglob('*')) if p.suffix in ('.pkl', '.npz')]
    for file in files:
        name = file.name.lower()
        # "female" has "male" in it: the order matters
        gender = next((g for g, marks in _MARKS.items() if any(m in name for m in marks)), None)
        if gender is not None and ('smpl' in name or 'basicmodel' in name):
            found.setdefault(gender, file)
    if not found:
        raise InputError(f'{smpl}: no SMPL files in it, such as SMPL_NEUTRAL.pkl or '
                         f'basicModel_neutral_lbs_10_207_0_v1.0.0.pkl; {_SMPL_FROM}')
    return found


def _regressor(path: Path) -> np.ndarray:
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.ndarray) or found.ndim != 2 or len(found) != 17:
            raise ValueError(f'shape {np.shape(found)}')
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f'{path}: not J_regressor_h36m.npy of (17, 6890) ({reason(error)}); '
                         f'{_REGRESSOR_FROM}') from error
    return found.astype(np.float32)
