"""Skeletons to train on: the open one, or one made from a user's own SMPL or SMPL-X file."""

from __future__ import annotations

import json
from pathlib import Path

from niki_ros.core.errors import InputError, ModelError
from niki_ros.core.skeleton import open_skeleton, PARENTS_29, Skeleton
import numpy as np

# SMPL's vertices at head top, left and right middle finger, left and right big toe
SMPL_LEAVES = (411, 2445, 5905, 3216, 6617)
BETAS = 10


def load_skeleton(path: Path | None = None) -> Skeleton:
    """Return the open skeleton, or the one in a JSON file of ``niki-data body``."""
    if path is None:
        return open_skeleton()
    try:
        return Skeleton.from_dict(json.loads(Path(path).read_text('utf-8')))
    except (OSError, ValueError) as error:
        raise ModelError(f'{path}: cannot read the skeleton ({error})') from error


def skeleton_from_smpl(path: Path) -> Skeleton:
    """
    Make a skeleton and shape space from a body model: joints are linear in the betas.

    :raises InputError: when the file is no SMPL or SMPL-X model, with the reason.
    """
    template, shape, regressor = _arrays(Path(path))
    joints = regressor[:24] @ template
    basis = np.einsum('jv,vib->bji', regressor[:24], shape)
    leaves = _leaves(template, joints)
    rest = np.concatenate([joints, template[leaves]])
    basis = np.concatenate([basis, shape[leaves].transpose(2, 0, 1)], axis=1)
    rest, basis = rest - rest[:1], basis - basis[:, :1]
    full = np.zeros((BETAS, 29, 3))
    full[:len(basis)] = basis[:BETAS]
    return Skeleton(Path(path).stem, np.asarray(PARENTS_29), rest, full)


def _arrays(path: Path):
    """Return template (V, 3), shape directions (V, 3, B) and joint regressor (J, V)."""
    if not path.is_file():
        raise InputError(f'{path}: no such file')
    try:
        data = _read_npz(path) if path.suffix == '.npz' else _read_with_smplx(path)
        template, shape, regressor = (np.asarray(data[key], dtype=np.float64) for key in (
            'v_template', 'shapedirs', 'J_regressor'))
    except (ValueError, KeyError, OSError, TypeError, AttributeError) as error:
        raise InputError(f'{path}: not an SMPL or SMPL-X model ({error!r})') from error
    vertices = len(template)
    fits = (template.shape == (vertices, 3) and shape.ndim == 3
            and shape.shape[:2] == (vertices, 3) and regressor.ndim == 2
            and len(regressor) >= 24 and regressor.shape[1] == vertices)
    if not fits or not all(np.isfinite(a).all() for a in (template, shape, regressor)):
        raise InputError(
            f'{path}: v_template {template.shape}, shapedirs {shape.shape}, J_regressor '
            f'{regressor.shape}; expected (V, 3), (V, 3, B) and (24 or more, V), all finite')
    return template, shape, regressor


def _read_npz(path: Path) -> dict:
    with np.load(path, allow_pickle=False) as z:
        return {key: z[key] for key in ('v_template', 'shapedirs', 'J_regressor')}


def _read_with_smplx(path: Path) -> dict:
    """Let ``smplx`` read a pickle: the user's own file, in training only."""
    try:
        import smplx
    except ImportError as error:
        raise InputError(f'{path}: this form needs smplx: pip install smplx') from error
    import pickle
    try:
        model = smplx.create(str(path), model_type='smpl', num_betas=BETAS)
    except (AssertionError, pickle.UnpicklingError, ImportError, EOFError) as error:
        raise InputError(f'{path}: smplx cannot read it ({error!r})') from error
    return {'v_template': model.v_template.numpy(), 'shapedirs': model.shapedirs.numpy(),
            'J_regressor': model.J_regressor.numpy()}


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
