"""Skeletons to train on: the open one, or one made from a user's own SMPL or SMPL-X file."""

from __future__ import annotations

import json
from pathlib import Path

from niki_ros.body.skeleton import open_skeleton, PARENTS_29, Skeleton
from niki_ros.common.errors import InputError, ModelError, NikiError
import numpy as np

from niki_training.files.archives import opened_npz
from niki_training.files.pickles import dense, restricted_load

# SMPL's vertices at head top, left and right middle finger, left and right big toe
SMPL_LEAVES = (411, 2445, 5905, 3216, 6617)
BETAS = 10
# joints in the file: where SMPL's two hands are, the first joints of the middle fingers elsewhere
HANDS = {24: (22, 23), 52: (25, 40), 55: (28, 43)}


def load_skeleton(path: Path | None = None) -> Skeleton:
    """Return the open skeleton, or the one in a JSON file of ``niki-data body``."""
    if path is None:
        return open_skeleton()
    try:
        return Skeleton.from_dict(json.loads(Path(path).read_text('utf-8')))
    except (OSError, ValueError, NikiError) as error:
        raise ModelError(f'{path}: cannot read the skeleton ({error}); niki-data body writes one'
                         ) from error


def skeleton_from_smpl(path: Path) -> Skeleton:
    """
    Make a skeleton and shape space from a body model: joints are linear in the betas.

    :raises InputError: when the file is no SMPL or SMPL-X model, with the reason.
    """
    return skeleton_of_arrays(path, *_arrays(Path(path)))


def skeleton_of_arrays(path, template, shape, regressor) -> Skeleton:
    """
    Make a skeleton and shape space of the arrays of a body model.

    :param path: of the file they come from; its stem is the skeleton's name.
    :param template: (V, 3) metres, y up. :param shape: (V, 3, B). :param regressor: (J, V).
    :raises InputError: when this is no body of SMPL's family, with the reason.
    """
    regressor = regressor[_joint_rows(path, len(regressor))]
    joints = regressor @ template
    basis = np.einsum('jv,vib->bji', regressor, shape[..., :BETAS])
    leaves = _leaves(template, joints)
    rest = np.concatenate([joints, template[leaves]])
    basis = np.concatenate([basis, shape[leaves, :, :BETAS].transpose(2, 0, 1)], axis=1)
    rest, basis = rest - rest[:1], basis - basis[:, :1]
    height = float(np.ptp(rest[:, 1]))
    if not 0.5 < height < 2.5:
        raise InputError(f'{path}: the body is {height:.3g} high; metres with y up are expected')
    full = np.zeros((BETAS, 29, 3))
    full[:len(basis)] = basis
    return Skeleton(Path(path).stem, np.asarray(PARENTS_29), rest, full)


def _joint_rows(path, count: int) -> list:
    """Return the rows of the regressor that are SMPL's 24 joints, of a body with or without hands.

    :raises InputError: for a number of joints that none of these models has.
    """
    if count not in HANDS:
        raise InputError(f'{path}: {count} joints; expected one of {sorted(HANDS)} '
                         '(SMPL, SMPL-H, SMPL-X)')
    return [*range(22), *HANDS[count]]


def _arrays(path: Path):
    """Return template (V, 3), shape directions (V, 3, B) and joint regressor (J, V)."""
    return _checked(path, _loaded(path))


def read_arrays(path: Path, more) -> dict:
    """
    Return ``v_template``, ``shapedirs`` and ``J_regressor`` checked, and ``more`` as they are.

    :param more: names of further arrays. :raises InputError: when it is no such model.
    """
    data = _loaded(Path(path), more)
    names = ('v_template', 'shapedirs', 'J_regressor')
    return {**{name: data[name] for name in more if name in data},
            **dict(zip(names, _checked(path, data)))}


def _loaded(path: Path, more=()) -> dict:
    """Return what is in the file by name."""
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    data = _read_npz(path, more) if path.suffix == '.npz' else restricted_load(path)
    if not isinstance(data, dict):
        raise InputError(f'{path}: not an SMPL or SMPL-X model (it holds a '
                         f'{type(data).__name__}, expected arrays by name)')
    return data


def _checked(path, data: dict) -> tuple:
    """Return the three arrays of a body, or refuse them."""
    missing = [key for key in ('v_template', 'shapedirs', 'J_regressor') if key not in data]
    if missing:
        raise InputError(f'{path}: not an SMPL or SMPL-X model (no {", ".join(missing)})')
    try:
        template, shape, regressor = (dense(data[key]).astype(np.float64) for key in (
            'v_template', 'shapedirs', 'J_regressor'))
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


def _read_npz(path: Path, more=()) -> dict:
    """Return the arrays by name; those that are pickled objects are left out."""
    names = ('v_template', 'shapedirs', 'J_regressor', 'kintree_table', *more)
    with opened_npz(path, 'an SMPL or SMPL-X model', 'download it again') as z:
        return {key: z[key] for key in names if key in z}


def _leaves(template, joints) -> list:
    """Return the vertices of the five leaves: SMPL's own, or the extremes of another mesh."""
    if len(template) == 6890:
        return list(SMPL_LEAVES)

    def farthest(side: int, near: int, axis) -> int:
        # only vertices closer to this joint than to the other side's belong to it
        own = side * (template[:, 0] - joints[0, 0]) > 0
        reach = template @ np.asarray(axis, dtype=float)
        reach[~own | (np.linalg.norm(template - joints[near], axis=1) > 0.3)] = -np.inf
        return int(np.argmax(reach))

    return [int(np.argmax(template[:, 1])), farthest(1, 22, (1, 0, 0)),
            farthest(-1, 23, (-1, 0, 0)), farthest(1, 10, (0, 0, 1)), farthest(-1, 11, (0, 0, 1))]
