"""SMPL files and layers of a generated body with the joints of the open skeleton."""

from niki_ros.body.skeleton import open_skeleton, PARENTS_29
from niki_training.data.smpl_skeleton import HANDS, SMPL_LEAVES
import numpy as np
import torch

TRUTH = open_skeleton()


def body_model(vertices=6890, joints=24) -> dict:
    """Return arrays by SMPL's names whose joints are the open skeleton's, exactly."""
    rng = np.random.default_rng(0)
    rows = [*range(22), *HANDS[joints]]
    place, basis = np.zeros((joints, 3)), np.zeros((joints, 3, 10))
    place[:], basis[:] = TRUTH.rest_joints_m[15], TRUTH.shape_basis_m[:, 15].T   # jaw, fingers …
    place[rows], basis[rows] = TRUTH.rest_joints_m[:24], TRUTH.shape_basis_m[:, :24].transpose(
        1, 2, 0)
    leaves = list(SMPL_LEAVES) if vertices == 6890 else [7, 70, 700, 7000, 77]
    rest = np.setdiff1d(np.arange(vertices), leaves)
    owner = np.arange(len(rest)) % joints
    skin = 0.01 * rng.uniform(-1, 1, (len(rest), 3))
    template, shape = np.zeros((vertices, 3)), np.zeros((vertices, 3, 10))
    regressor = np.zeros((joints, vertices))
    for joint in range(joints):
        mine = owner == joint
        template[rest[mine]] = place[joint] + skin[mine] - skin[mine].mean(axis=0)
        shape[rest[mine]] = basis[joint]
        regressor[joint, rest[mine]] = 1 / mine.sum()
    template[leaves] = TRUTH.rest_joints_m[24:]
    shape[leaves] = TRUTH.shape_basis_m[:, 24:].transpose(1, 2, 0)
    parents = [2**32 - 1, *PARENTS_29[1:22], *[20] * (joints - 22)]
    return {'v_template': template + [0.1, 0.2, 0.3], 'shapedirs': shape, 'J_regressor': regressor,
            'kintree_table': np.asarray([parents, range(joints)], dtype=np.uint32),
            'weights': regressor.T.copy(), 'f': np.zeros((10, 3), dtype=np.uint32),
            'posedirs': np.zeros((vertices, 3, 2)), 'bs_type': 'lrotmin'}


def write_smpl(path):
    """Write the body as an SMPL file in ``.npz`` and return its path."""
    np.savez(path, **{key: value for key, value in body_model().items() if key != 'bs_type'})
    return path


def body_buffers() -> dict:
    """Return the nine buffers of an SMPL layer, of a generated body with 6890 vertices."""
    rng = np.random.default_rng(3)
    model = body_model()
    weights = rng.uniform(size=(6890, 24)) ** 8
    parents = torch.tensor([-1, *PARENTS_29[1:]])
    values = {
        'faces_tensor': rng.integers(0, 6890, (13776, 3)), 'v_template': model['v_template'],
        'shapedirs': model['shapedirs'], 'posedirs': 1e-3 * rng.normal(size=(207, 20670)),
        'J_regressor': model['J_regressor'],
        'J_regressor_h36m': rng.uniform(size=(17, 6890)) / 3445,
        'lbs_weights': weights / weights.sum(axis=1, keepdims=True)}
    buffers = {key: torch.as_tensor(value).to(
        torch.int64 if key == 'faces_tensor' else torch.float32) for key, value in values.items()}
    return {**buffers, 'children_map': torch.arange(29), 'parents': parents}


def skinned(body: dict, rotmat, betas) -> np.ndarray:
    """Return the 29 joints by skinning every vertex of the body, one person."""
    arrays = {key: body[key].half().double().numpy() for key in (
        'v_template', 'shapedirs', 'posedirs', 'J_regressor', 'lbs_weights')}
    shaped = arrays['v_template'] + arrays['shapedirs'] @ betas
    rest = arrays['J_regressor'] @ shaped
    moved = shaped + ((rotmat[1:] - np.eye(3)).ravel() @ arrays['posedirs']).reshape(-1, 3)
    world = []
    for joint in range(24):
        local = np.eye(4)
        local[:3, :3] = rotmat[joint]
        local[:3, 3] = rest[joint] - (rest[PARENTS_29[joint]] if joint else 0)
        world.append(world[PARENTS_29[joint]] @ local if joint else local)
    at = np.stack([matrix[:3, 3] for matrix in world])
    vertices = sum(arrays['lbs_weights'][:, [j]] * ((moved - rest[j]) @ world[j][:3, :3].T + at[j])
                   for j in range(24))
    return np.concatenate([at, vertices[[411, 2445, 5905, 3216, 6617]]])
