"""Skeleton and shape space from a file of SMPL, SMPL-H or SMPL-X."""

import json
from pathlib import Path

from niki_ros.body.skeleton import open_skeleton, PARENTS_29, Skeleton
from niki_ros.common.errors import InputError, ModelError, NikiError
import numpy as np

from niki_training.files.archives import opened_npz
from niki_training.files.pickles import dense, restricted_load

SMPL_LEAVES = (411, 2445, 5905, 3216, 6617)  # head top, left and right middle finger and big toe
_SMPL_VERTICES = 6890
BETAS = 10
HANDS = {24: (22, 23), 52: (25, 40), 55: (28, 43)}
"""Number of joints in the file → SMPL's two hands, or the first joints of the middle fingers."""
_HEIGHTS_M = (0.5, 2.5)
_MAX_REACH_M = 0.3  # a vertex farther from hand or foot does not belong to it
_ARRAYS = ('v_template', 'shapedirs', 'J_regressor')


def load_skeleton(path: Path | None = None) -> Skeleton:
    """Return the open skeleton, or the skeleton in a JSON file of ``niki-data body``."""
    if path is None:
        return open_skeleton()
    try:
        return Skeleton.from_dict(json.loads(Path(path).read_text('utf-8')))
    except (OSError, ValueError, NikiError) as error:
        raise ModelError(f'{path}: no skeleton of niki-data body ({error})') from error


def skeleton_from_smpl(path: Path) -> Skeleton:
    """Return skeleton and shape space of a body model, whose joints are linear in the betas."""
    return skeleton_of_arrays(path, *_checked_arrays(path, _load(Path(path))))


def skeleton_of_arrays(path, template, shape, regressor) -> Skeleton:
    """
    Return the skeleton and shape space of the arrays of a body model, named after its file.

    :param template: (V, 3) vertices, metres, y up. :param shape: (V, 3, B) metres per beta.
    :param regressor: (J, V) weights of the vertices.
    """
    if len(regressor) not in HANDS:
        raise InputError(f'{path}: {len(regressor)} joints; expected one of {sorted(HANDS)}')
    regressor = regressor[[*range(22), *HANDS[len(regressor)]]]
    joints = regressor @ template
    basis = np.einsum('jv,vib->bji', regressor, shape[..., :BETAS])
    leaves = _leaves(template, joints)
    rest = np.concatenate([joints, template[leaves]])
    basis = np.concatenate([basis, shape[leaves, :, :BETAS].transpose(2, 0, 1)], axis=1)
    rest, basis = rest - rest[:1], basis - basis[:, :1]
    height_m = float(np.ptp(rest[:, 1]))
    if not _HEIGHTS_M[0] < height_m < _HEIGHTS_M[1]:
        raise InputError(f'{path}: the body is {height_m:.3g} high; expected metres with y up')
    full = np.zeros((BETAS, 29, 3))
    full[:len(basis)] = basis
    return Skeleton(Path(path).stem, np.asarray(PARENTS_29), rest, full)


def read_arrays(path: Path, more) -> dict:
    """Return ``v_template``, ``shapedirs``, ``J_regressor``, checked, and ``more`` arrays."""
    data = _load(Path(path), more)
    return {**{name: data[name] for name in more if name in data},
            **dict(zip(_ARRAYS, _checked_arrays(path, data)))}


def _load(path: Path, more=()) -> dict:
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    if path.suffix == '.npz':   # its other arrays may be pickled objects
        with opened_npz(path, 'an SMPL or SMPL-X model', 'download it again') as z:
            return {key: z[key] for key in (*_ARRAYS, 'kintree_table', *more) if key in z}
    data = restricted_load(path)
    if not isinstance(data, dict):
        raise InputError(f'{path}: not an SMPL or SMPL-X model but a {type(data).__name__}')
    return data


def _checked_arrays(path, data: dict) -> tuple:
    """Return template (V, 3), shape directions (V, 3, B) and joint regressor (J, V)."""
    missing = [key for key in _ARRAYS if key not in data]
    if missing:
        raise InputError(f'{path}: not an SMPL or SMPL-X model (no {", ".join(missing)})')
    try:
        template, shape, regressor = (dense(data[key]).astype(np.float64) for key in _ARRAYS)
        tree = dense(data['kintree_table']) if 'kintree_table' in data else None
    except (ValueError, TypeError, IndexError) as error:
        raise InputError(f'{path}: not an SMPL or SMPL-X model ({error})') from error
    vertices = len(template)
    fits = (template.shape == (vertices, 3) and shape.ndim == 3 and vertices > 0
            and shape.shape[:2] == (vertices, 3) and regressor.ndim == 2
            and regressor.shape[1] == vertices)
    if not fits or not all(np.isfinite(a).all() for a in (template, shape, regressor)):
        raise InputError(
            f'{path}: v_template {template.shape}, shapedirs {shape.shape}, J_regressor '
            f'{regressor.shape}; expected (V, 3), (V, 3, B) and (J, V), all finite')
    # the root's parent is written as -1, or as the largest number of 32 bits
    if tree is not None and tuple(np.ravel(tree)[1:22].astype(int)) != PARENTS_29[1:22]:
        raise InputError(f"{path}: its kintree_table is not SMPL's tree")
    return template, shape, regressor


def _leaves(template, joints) -> list:
    """Return the vertices of the five leaves: SMPL's, or the farthest ones of another mesh."""
    if len(template) == _SMPL_VERTICES:
        return list(SMPL_LEAVES)

    def farthest(side: int, near: int, axis) -> int:
        # only vertices on the joint's side and near it belong to it
        own = side * (template[:, 0] - joints[0, 0]) > 0
        reach = template @ np.asarray(axis, dtype=float)
        reach[~own | (np.linalg.norm(template - joints[near], axis=1) > _MAX_REACH_M)] = -np.inf
        return int(np.argmax(reach))

    return [int(np.argmax(template[:, 1])), farthest(1, 22, (1, 0, 0)),
            farthest(-1, 23, (-1, 0, 0)), farthest(1, 10, (0, 0, 1)), farthest(-1, 11, (0, 0, 1))]
