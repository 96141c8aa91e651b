"""A run: trains, is killed, goes on; exports; the shipped models keep their promises."""

from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ModelError
from niki_ros.solvers import load_solver, shipped_models
from niki_ros.solvers.niki import NikiSolver
from niki_training.data.augmentation import random_bodies
from niki_training.data.sampling import WindowSampler
from niki_training.data.solver_inputs import solver_inputs
from niki_training.data.store import load_motion
from niki_training.evaluate.solver_protocol import protocol_poses, score_frames, solve_in_batches
from niki_training.export.niki import export, load_exported
from niki_training.networks.temporal import TOKEN
from niki_training.train.checkpoint import load_checkpoint
from niki_training.train.trainer import Trainer
import numpy as np
import pytest
from small_runs import small_config
import torch


@pytest.fixture(scope='module')
def checkpoint(motion, tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    Trainer(small_config(), motion, open_skeleton(), folder).run()
    return folder / 'last.pt'


def test_resume_goes_on(checkpoint, motion):
    config = small_config()
    config.steps = 6
    trainer = Trainer(config, motion, open_skeleton(), checkpoint.parent)
    assert trainer.step >= 4
    trainer.run()
    assert load_checkpoint(checkpoint)[2]['step'] == 6
    with pytest.raises(ModelError, match='motion'):
        other = type(motion)(motion.rotvec * 0.5, motion.lengths, motion.names)
        Trainer(config, other, open_skeleton(), checkpoint.parent)


@pytest.mark.parametrize('kind', ['mlp', 'one_stage'])    # test_export has the others
def test_every_kind_trains_and_exports(kind, motion, tmp_path):
    Trainer(small_config(kind), motion, open_skeleton(), tmp_path / 'run').run()
    net, config, _ = load_checkpoint(tmp_path / 'run' / 'last.pt')
    export(net, config, tmp_path / 'model', 'small', {})
    solver = NikiSolver.from_folder(tmp_path / 'model')
    track = solver.start_track()
    for t in range(3):
        solution = track.step(solver.skeleton.rest_joints_m, np.zeros(29), t * 33_000_000)
    assert np.isfinite(solution.joints_m).all()


@pytest.fixture(scope='module', params=['niki', 'niki-temporal'])
def shipped(request):
    return load_solver(request.param)


def test_shipped_generate_of_solve_is_the_observation(shipped, motion):
    net, config = load_exported(shipped_models() / shipped.name)
    rng = np.random.default_rng(0)
    _, joints, _ = random_bodies(WindowSampler(motion, 4).draw(16, rng), rng, open_skeleton())
    joints = joints + 0.03 * rng.normal(size=joints.shape)
    sigma = np.where(rng.random((16, 29)) < 0.2, 1.0, 0.15)
    state, twist = (), torch.zeros(16, 46)
    for t in range(2):
        seen = solver_inputs(joints[:, t], sigma, open_skeleton())
        x, s, c, turn = (torch.from_numpy(seen[k]).float()
                         for k in ('joints', 'sigma', 'condition', 'turn'))
        x = x.flatten(1)
        if config.net.kind == 'temporal':
            state = (turn, state[1] if state else torch.zeros(16, net.past, TOKEN))
        with torch.no_grad():
            solved = net.solve(x, s, c, twist, *state)
            poses, past = solved if state else (solved, None)
            back = net.generate(poses.rot6d, poses.size, poses.z, s, c, *state)
        state = (turn, past) if state else ()
        for found, wanted in zip(back, (x, s, torch.zeros_like(back[2]), twist)):
            assert (found - wanted).abs().max() < 1e-3


def test_shipped_rows_on_real_motion(shipped, real_motion):
    motion = load_motion(real_motion / 'cmu_smpl24_30fps_val.npz')
    poses = protocol_poses(motion, open_skeleton(), seed=0, limit=100)
    rows = {r: score_frames(solve_in_batches(shipped), poses, r, 0)['mpjpe_mm']
            for r in ('clean', 'noise-20', 'occluded-2', 'silent-2')}
    assert rows['clean'] < 2 and rows['noise-20'] < 24 and rows['occluded-2'] < 34
    assert rows['silent-2'] < 40
