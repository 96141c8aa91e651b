"""Bodies from a user's own file, in the form of SMPL, SMPL-H and SMPL-X; generated here."""

import pickle
import sys
import types

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import InputError
from niki_ros.solvers import load_solver
from niki_training.cli import data as data_cli
from niki_training.cli import export as export_cli
from niki_training.data.smpl_skeleton import load_skeleton, skeleton_from_smpl
from niki_training.train.trainer import Trainer
import numpy as np
import pytest
from scipy import sparse
from small_runs import small_config
from smpl_files import body_model
import torch

TRUTH = open_skeleton()


def check(path, tmp_path):
    out = tmp_path / 'body.json'
    assert data_cli.main(['body', '--smpl', str(path), '--out', str(out)]) == 0
    betas = np.random.default_rng(1).normal(size=10)
    found = load_skeleton(out).rest(betas)
    np.testing.assert_allclose(found, TRUTH.rest(betas), atol=1e-9)


@pytest.mark.parametrize('protocol', [0, 2, 4])
@pytest.mark.parametrize('sparse_regressor', [True, False])
def test_smpl_pickle(tmp_path, protocol, sparse_regressor):
    model, path = body_model(), tmp_path / 'SMPL_NEUTRAL.pkl'
    if sparse_regressor:
        model['J_regressor'] = sparse.csc_matrix(model['J_regressor'])
    path.write_bytes(pickle.dumps(model, protocol=protocol))
    check(path, tmp_path)


def test_smpl_pickle_with_values_of_chumpy(tmp_path, monkeypatch):
    chumpy = types.ModuleType('chumpy.ch')

    class Ch:
        def __init__(self, **state):
            self.__dict__.update(state)

    Ch.__module__, Ch.__qualname__ = 'chumpy.ch', 'Ch'
    chumpy.Ch = Ch
    model, path = body_model(), tmp_path / 'old.pkl'
    model['v_template'] = Ch(x=model['v_template'])
    # a choice among values, as the older files have it
    many = np.concatenate([model['shapedirs'].ravel(), np.ones(5)])
    model['shapedirs'] = Ch(a=Ch(x=many), idxs=np.arange(len(many) - 5),
                            preferred_shape=model['shapedirs'].shape)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, 'chumpy', types.ModuleType('chumpy'))
        patch.setitem(sys.modules, 'chumpy.ch', chumpy)
        path.write_bytes(pickle.dumps(model, protocol=2))
    check(path, tmp_path)


@pytest.mark.parametrize('vertices,joints', [(6890, 24), (6890, 52), (10475, 55)])
def test_npz_of_every_model(tmp_path, vertices, joints):
    path = tmp_path / 'model.npz'
    model = body_model(vertices, joints)
    if joints == 55:    # expressions follow the shapes
        model['shapedirs'] = np.concatenate(
            [model['shapedirs'], np.ones((vertices, 3, 10))], axis=-1)
    np.savez(path, **model)
    check(path, tmp_path)


@pytest.mark.parametrize('change,says', [
    ({'v_template': None}, 'no v_template'),
    ({'v_template': np.zeros((5, 3))}, r'v_template \(5, 3\)'),
    ({'shapedirs': np.full((6890, 3, 10), np.nan)}, 'finite'),
    ({'shapedirs': np.asarray([['a']])}, 'array'),
    ({'J_regressor': np.zeros((30, 6890))}, '30 joints'),
    ({'kintree_table': np.zeros((2, 24))}, 'kintree_table'),
    ({'v_template': 100 * body_model()['v_template']}, 'metres')])
def test_what_is_no_body_is_refused_with_the_reason(tmp_path, change, says, capsys):
    model = {k: v for k, v in {**body_model(), **change}.items() if v is not None}
    path = tmp_path / 'model.pkl'
    path.write_bytes(pickle.dumps(model))
    with pytest.raises(InputError, match=says):
        skeleton_from_smpl(path)
    assert data_cli.main(['body', '--smpl', str(path), '--out', str(tmp_path / 'x.json')]) == 2
    assert str(path) in capsys.readouterr().err and not (tmp_path / 'x.json').exists()


@pytest.mark.parametrize('name,content', [
    ('absent.npz', None), ('x.npz', b'no'), ('x.pkl', b'no'), ('x.pkl', pickle.dumps([1])),
    ('x.pkl', pickle.dumps(body_model(), protocol=2)[:5000])])
def test_what_is_no_file_of_a_body_is_refused(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        skeleton_from_smpl(tmp_path / name)


def test_own_body_from_training_to_runtime(motion, tmp_path):
    model, body = body_model(), tmp_path / 'body.json'
    model['v_template'] = 1.1 * model['v_template']
    np.savez(tmp_path / 'model.npz', **model)
    assert data_cli.main(['body', '--smpl', str(tmp_path / 'model.npz'), '--out', str(body)]) == 0
    Trainer(small_config(), motion, load_skeleton(body), tmp_path / 'run').run()
    assert export_cli.main([str(tmp_path / 'run' / 'last.pt'), str(tmp_path / 'mine'),
                            '--body', str(body)]) == 0
    solver = load_solver(str(tmp_path / 'mine'))
    np.testing.assert_allclose(solver.skeleton.rest_joints_m, 1.1 * TRUTH.rest_joints_m, atol=1e-9)
    solution = solver.solve(solver.skeleton.rest_joints_m[None], np.zeros((1, 29)))
    lengths = np.linalg.norm(solution.joints_m[0, 4] - solution.joints_m[0, 1])
    assert lengths == pytest.approx(1.1 * TRUTH.bone_lengths()[4], rel=0.05)


def test_smplx_makes_the_same_joints_of_the_file(tmp_path):
    smplx = pytest.importorskip('smplx')
    path = tmp_path / 'SMPL_NEUTRAL.pkl'
    model = body_model()
    model['J_regressor'] = sparse.csc_matrix(model['J_regressor'])
    model['posedirs'] = np.zeros((6890, 3, 207))
    path.write_bytes(pickle.dumps(model, protocol=2))
    betas = np.random.default_rng(2).normal(size=(1, 10))
    judge = smplx.SMPL(str(path), num_betas=10)
    joints = judge(betas=torch.tensor(betas, dtype=torch.float32)).joints[0, :24].detach().numpy()
    found = skeleton_from_smpl(path).rest(betas[0])
    np.testing.assert_allclose(found[:24], joints - joints[:1], atol=1e-5)
