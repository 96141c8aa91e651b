"""The body in released checkpoints: the buffers of their SMPL layer, and facts for manifests."""

from pathlib import Path

from niki_ros.body.skeleton import PARENTS_29, Skeleton
from niki_ros.common.errors import InputError, ModelError
import numpy as np
import torch
from torch import nn

from niki_training.data.smpl_skeleton import (
    BETAS,
    skeleton_from_smpl,
    skeleton_of_arrays,
    SMPL_LEAVES,
)

JOINTS, POSE_VALUES = 24, 23 * 9
BUFFERS = ('faces_tensor', 'v_template', 'shapedirs', 'posedirs', 'J_regressor',
           'J_regressor_h36m', 'children_map', 'parents', 'lbs_weights')
"""Buffers of the SMPL layer in NIKI and HybrIK; all are saved, none is trained."""
LEFT_OUT = ('faces_tensor', 'J_regressor_h36m', 'children_map')
"""Buffers that are not used: the faces of the mesh and the joints of Human3.6M."""
NO_BODY = {'skeleton': 'smpl (not included)'}


def split_body(state: dict[str, torch.Tensor], prefix: str) -> tuple[dict, dict | None]:
    """Return a checkpoint without the layer's buffers, and these in float32; None without any."""
    body = {name: state[prefix + name] for name in BUFFERS if prefix + name in state}
    rest = {key: value for key, value in state.items()
            if not (key.startswith(prefix) and key[len(prefix):] in body)}
    if not body:
        return rest, None
    missing = [prefix + name for name in BUFFERS if name not in body]
    if missing:
        raise ModelError(f'the checkpoint has only a part of its body: no {", ".join(missing)}; '
                         'use the file as the release saved it')
    _check(prefix, body)
    return rest, {name: value if name == 'parents' else value.float()
                  for name, value in body.items()}


def _check(prefix: str, body: dict[str, torch.Tensor]) -> None:
    """Raise a ModelError for buffers with other shapes or another tree, or that are not finite."""
    vertices = len(body['v_template'])
    shapes = {'v_template': (vertices, 3), 'posedirs': (POSE_VALUES, 3 * vertices),
              'J_regressor': (JOINTS, vertices), 'lbs_weights': (vertices, JOINTS),
              # newer files of SMPL have 300 shapes, of which the first ten are the same
              'shapedirs': (vertices, 3, max(BETAS, body['shapedirs'].shape[-1]))}
    wrong = [f'{prefix}{name} is {tuple(body[name].shape)}, expected {expected}'
             for name, expected in shapes.items() if tuple(body[name].shape) != expected]
    wrong += [f'{prefix}{name} holds values that are not finite' for name in shapes
              if not torch.isfinite(body[name]).all()]
    parents = body['parents'].flatten().tolist()
    if len(parents) < JOINTS or any(not 0 <= parents[j] < j for j in range(1, JOINTS)):
        wrong.append(f'{prefix}parents is {parents}, expected the parent of each of 24 joints')
    if wrong:
        raise ModelError('the body of the checkpoint does not fit:\n  ' + '\n  '.join(wrong))


def skeleton_of_body(body: dict[str, torch.Tensor]) -> Skeleton:
    """Return the skeleton of the layer: joints at rest and shape space."""
    if body['parents'].flatten()[1:22].tolist() != list(PARENTS_29[1:22]):
        raise InputError("the body's tree is not SMPL's")
    return skeleton_of_arrays('smpl', *(body[key].numpy().astype(np.float64) for key in (
        'v_template', 'shapedirs', 'J_regressor')))


def body_facts(body: dict[str, torch.Tensor] | None, layer: str) -> tuple[dict, list[str]]:
    """Return the manifest's facts about a checkpoint's body, and the parts that are not used."""
    if body is None:
        return NO_BODY, []
    left_out = [f'{layer}.{name}: not used' for name in LEFT_OUT]
    try:
        skeleton = skeleton_of_body(body).to_dict()
    except InputError as error:
        return NO_BODY, [*left_out, f'{layer} as the skeleton: {error}']
    return {'skeleton': skeleton, 'joint_set': 'smpl',
            'skeleton_licence': 'the licence of SMPL, under which the checkpoint was made'
            }, left_out


def user_body_facts(smpl: Path | None) -> tuple[dict, list[str]]:
    """Return the manifest's facts about the user's SMPL file, and the parts that lack it."""
    if smpl is None:
        return NO_BODY, ["refinement of the camera's scale: it needs SMPL's body, which this file "
                         'lacks; give an SMPL file with --smpl']
    return {'skeleton': skeleton_from_smpl(smpl).to_dict(), 'joint_set': 'smpl',
            'skeleton_licence': f'the licence of SMPL; from the file {Path(smpl).name}'}, []


def released_data(file: Path) -> dict:
    """Return the manifest's facts about the training data of a released checkpoint."""
    return {'source': f'released checkpoint {file.name}',
            'licence': 'as its authors state with the weights; the file was given by the user'}


def described_inputs(inputs: dict[str, tuple]) -> list[dict]:
    """Return the manifest's description of inputs: name → shape without the people."""
    return [{'name': name, 'shape': ['people', *shape], 'dtype': 'float32'}
            for name, shape in inputs.items()]


class ReleasedJoints(nn.Module):
    """
    The 29 joints of the layer: 24 by forward kinematics, and 5 vertices by skinning.

    The result equals that of the layer with all vertices; its arrays have the rows of five.
    """

    def __init__(self, body: dict[str, torch.Tensor]):
        super().__init__()
        leaves = list(SMPL_LEAVES)
        if len(body['v_template']) <= max(leaves):
            raise ModelError(f"the checkpoint's body has {len(body['v_template'])} vertices; "
                             'expected 6890')
        self.parents = [int(parent) for parent in body['parents'].flatten()[:JOINTS]]
        regressor, template = body['J_regressor'].double(), body['v_template'].double()
        shape = body['shapedirs'][..., :BETAS].double()
        rest = torch.cat([regressor @ template, template[leaves]])
        basis = torch.cat([torch.einsum('jv,vib->jib', regressor, shape), shape[leaves]])
        self.register_buffer('rest', rest.float())
        self.register_buffer('basis', basis.permute(2, 0, 1).reshape(BETAS, -1).float())
        pose = body['posedirs'].unflatten(1, (-1, 3))[:, leaves]
        self.register_buffer('pose', pose.flatten(1).clone())
        self.register_buffer('weights', body['lbs_weights'][leaves].clone())

    def forward(self, rotmat, betas):
        """Return joints (N, 29, 3) of rotmat (N, 24, 3, 3) and betas (N, 10); root not at 0."""
        rest = self.rest + (betas @ self.basis).unflatten(-1, (29, 3))
        turned: list[torch.Tensor] = [rotmat[:, 0]]
        joints: list[torch.Tensor] = [rest[:, 0]]
        for joint in range(1, JOINTS):
            parent = self.parents[joint]
            bone = (rest[:, joint] - rest[:, parent])[..., None]
            joints.append(joints[parent] + (turned[parent] @ bone)[..., 0])
            turned.append(turned[parent] @ rotmat[:, joint])
        bodies, at = torch.stack(turned, dim=1), torch.stack(joints, dim=1)
        feature = (rotmat[:, 1:] - torch.eye(3)).flatten(1)
        vertices = rest[:, JOINTS:] + (feature @ self.pose).unflatten(-1, (5, 3))
        # linear blend skinning: the vertex moved with each part, then the weighted mean
        apart = vertices[:, :, None] - rest[:, None, :JOINTS]
        carried = (bodies[:, None] @ apart[..., None])[..., 0] + at[:, None]
        return torch.cat([at, (carried * self.weights[..., None]).sum(dim=2)], dim=1)
