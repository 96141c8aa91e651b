"""The shipped NIKI models at run time."""

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.rotations import angle_rad
from niki_ros.body.skeleton import JOINT
from niki_ros.body.trunk_frame import reject_implausible_joints
from niki_ros.common.errors import InputError
from niki_ros.solvers import load_solver, shipped_models
import numpy as np
import pytest
from scenes import FACING, random_pose

WRIST = JOINT['left_wrist']
FRAME_NS = 33_333_333


@pytest.fixture(scope='module', params=['niki', 'niki-temporal'])
def solver(request):
    if not (shipped_models() / request.param / 'manifest.json').is_file():
        pytest.skip(f'{request.param} is not in niki_ros/models')
    return load_solver(request.param)


def seen(solver, people=4, noise_m=0.02, seed=0):
    """Return joints (N, 29, 3) and sigma (N, 29) of random poses under noise."""
    rng = np.random.default_rng(seed)
    rotmat = random_pose(rng, people, 0.2)
    joints, _ = forward_kinematics(rotmat, solver.skeleton.offsets())
    joints = joints + noise_m * rng.normal(size=joints.shape)
    return joints - joints[:, :1], np.full((people, 29), min(1.0, noise_m / 0.2))


def check_person(solution):
    """Assert that this is a body: rotations, a size, no limb turned beyond what limbs do."""
    for name in ('rotmat', 'joints_m', 'confidence', 'error_z', 'betas'):
        assert np.isfinite(getattr(solution, name)).all(), name
    turned = solution.rotmat @ solution.rotmat.swapaxes(-1, -2)
    assert np.abs(turned - np.eye(3)).max() < 1e-4
    assert np.degrees(angle_rad(solution.rotmat[:, 1:])).max() < 170
    assert np.abs(solution.betas).max() < 6
    assert 0 <= solution.confidence.min() and solution.confidence.max() <= 1


def test_same_input_same_bits(solver):
    given = seen(solver)
    one, two = solver.solve(*given), load_solver(solver.name).solve(*given)
    for name in ('rotmat', 'joints_m', 'confidence', 'error_z', 'betas'):
        assert np.array_equal(getattr(one, name), getattr(two, name)), name


@pytest.mark.parametrize('people', [2, 7])
def test_batch_equals_single_people(solver, people):
    joints, sigma = seen(solver, people)
    together = solver.solve(joints, sigma)
    for n in range(people):
        alone = solver.solve(joints[n:n + 1], sigma[n:n + 1])
        for name in ('rotmat', 'joints_m', 'confidence', 'betas'):
            np.testing.assert_allclose(
                getattr(together, name)[n], getattr(alone, name)[0], atol=1e-5, err_msg=name)


def test_betas_are_used(solver):
    joints, sigma = seen(solver)
    small, tall = (solver.solve(joints, sigma, betas=np.full((4, 10), b)) for b in (0.0, 1.0))
    assert np.abs(tall.rotmat - small.rotmat).max() > 1e-3
    np.testing.assert_array_equal(tall.betas, 1.0)
    lengths = [np.linalg.norm(s.joints_m[:, 4] - s.joints_m[:, 1], axis=-1) for s in (small, tall)]
    wanted = [solver.skeleton.bone_lengths(np.full(10, b))[4] for b in (0.0, 1.0)]
    np.testing.assert_allclose(lengths, np.stack([[w] * 4 for w in wanted]), atol=1e-5)


def test_twists_are_used(solver):
    joints, sigma = seen(solver)
    twist = np.tile([np.cos(0.5), np.sin(0.5)], (4, 23, 1))
    assert np.abs(solver.solve(joints, sigma, twist).rotmat
                  - solver.solve(joints, sigma).rotmat).max() > 1e-3


@pytest.mark.parametrize('place', ['zeros', 'normal', 'hall'])
def test_unobserved_body_is_plausible_without_confidence(solver, place):
    rng = np.random.default_rng(0)
    joints = {'zeros': np.zeros((3, 29, 3)), 'normal': rng.normal(size=(3, 29, 3)),
              'hall': 1000 * rng.normal(size=(3, 29, 3))}[place]
    solution = solver.solve(joints, np.ones((3, 29)))
    check_person(solution)
    assert solution.confidence.max() < 0.05
    if place != 'normal':
        up = -solution.joints_m[:, JOINT['head'], 1]
        assert (up > 0.4).all(), 'stands upright'
        assert np.allclose(solution.rotmat[:, 0], FACING, atol=0.3), 'faces the camera'
    track = solver.start_track()
    for t in range(20):
        step = track.step(joints[t % 3], np.ones(29), t * FRAME_NS)
        assert np.isfinite(step.rotmat).all() and step.confidence.max() < 0.05


@pytest.mark.parametrize('sigma_there', [0.0, 1.0])
@pytest.mark.parametrize('metres', [3.0, 1e3, 9e5])
def test_one_outlier_does_not_move_the_body(solver, metres, sigma_there):
    joints, sigma = seen(solver)
    right = solver.solve(joints, sigma)
    joints[:, WRIST] += [metres, 0, 0]
    sigma[:, WRIST] = sigma_there
    wild = solver.solve(joints, sigma)
    check_person(wild)
    others = [j for j in range(24) if j not in (WRIST, JOINT['left_hand'], JOINT['left_elbow'])]
    apart = np.linalg.norm(wild.joints_m - right.joints_m, axis=-1)[:, others]
    assert np.median(apart) < 0.03 and apart.max() < 0.25
    assert wild.confidence[:, WRIST].max() < 0.1 < 0.7 < np.median(wild.confidence[:, others])


def test_plausible_joints_are_not_replaced(solver):
    joints, sigma = seen(solver, noise_m=0.2)
    same = reject_implausible_joints(joints, sigma, solver.skeleton.rest_joints_m)
    assert same[0] is joints and same[1] is sigma


def broken(name, value, shape=None):
    given = {'joints_m': np.zeros((2, 29, 3)), 'sigma': np.zeros((2, 29)),
             'twist_cos_sin': np.ones((2, 23, 2)), 'betas': np.zeros((2, 10))}
    if shape is not None:
        given[name] = np.zeros(shape)
    else:
        given[name].flat[7] = value
    return given


@pytest.mark.parametrize('name', ['joints_m', 'sigma', 'twist_cos_sin', 'betas'])
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
def test_value_that_is_not_finite_is_named(solver, name, value):
    with pytest.raises(InputError, match=rf'{name}\[.*{value}'):
        solver.solve(**broken(name, value))


@pytest.mark.parametrize('name,shape', [
    ('joints_m', (2, 24, 3)), ('joints_m', (29, 3)), ('joints_m', (0, 29, 3)), ('sigma', (2, 24)),
    ('sigma', (3, 29)), ('twist_cos_sin', (2, 24, 2)), ('betas', (2, 11)), ('betas', (10,))])
def test_wrong_shape_is_named(solver, name, shape):
    with pytest.raises(InputError, match=name):
        solver.solve(**broken(name, None, shape))


@pytest.mark.parametrize('name,value', [('sigma', -0.1), ('sigma', 1.5), ('joints_m', 1e30)])
def test_value_out_of_range_is_named(solver, name, value):
    with pytest.raises(InputError, match=f'{name}.*{abs(value):g}'.replace('+', r'\+')):
        solver.solve(**broken(name, value))


def test_track_refuses_invalid_input_and_continues(solver):
    track, rest = solver.start_track(), solver.skeleton.rest_joints_m * [1, -1, -1]
    good = track.step(rest, np.zeros(29), 0)
    for given in ({'joints_m': rest * np.nan}, {'sigma': np.full(29, np.inf)},
                  {'joints_m': rest[:24]}, {'betas': np.zeros(3)}, {'betas': np.full(10, np.nan)},
                  {'twist_cos_sin': np.zeros((24, 2))}):
        with pytest.raises(InputError, match=next(iter(given))):
            track.step(**{'joints_m': rest, 'sigma': np.zeros(29), 'stamp_ns': FRAME_NS, **given})
    again = track.step(rest, np.zeros(29), FRAME_NS)
    assert np.linalg.norm(again.joints_m - good.joints_m, axis=-1).max() < 0.01
