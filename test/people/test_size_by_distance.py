"""The size of a person by a depth image: one camera cannot tell small from far away."""

from dataclasses import replace

from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.shape import body_scale, lengths_between, resized_betas
from niki_ros.body.skeleton import open_skeleton
from niki_ros.people.pipeline import Pipeline
from niki_ros.solvers.analytic import AnalyticSolver
import numpy as np
import pytest
from scenes import observe_body, ScriptedObserver, trunk_depth_m
from standing import standing

FRAME_NS = 33_333_333
IMAGE = np.zeros((480, 640, 3), np.uint8)
ROOT_M = np.array([0.2, 0.1, 2.5])
SKELETON = open_skeleton()
POSE = standing(0.3)


def betas_of(scale):
    return resized_betas(np.zeros((1, 10)), np.log([scale]), SKELETON)[0]


def seen_as_mean_body(camera, betas, root_m=ROOT_M):
    """Return what a front end sees that takes every person for one of mean size."""
    seen = observe_body(POSE, root_m, camera, betas, sigma=0.2)
    joints_m = observe_body(POSE, root_m, camera, sigma=0.2).joints_m
    return replace(seen, joints_m=joints_m, lengths_m=lengths_between(joints_m[None])[0],
                   length_sigma_m=np.full(34, 0.05))


def joints_of(betas, root_m=ROOT_M):
    return forward_kinematics(POSE, SKELETON.offsets(betas))[0] + root_m


def play(camera, betas, depth_m_of, frames=60):
    pipeline = Pipeline(ScriptedObserver(lambda stamp: [seen_as_mean_body(camera, betas)]),
                        AnalyticSolver())
    return [pipeline.process(IMAGE, camera, i * FRAME_NS, depth_m=depth_m_of(i))[0]
            for i in range(frames)]


def off_m(body, betas):
    return np.linalg.norm(body.joints_m[:24] - joints_of(betas)[:24], axis=1).mean()


@pytest.mark.parametrize('scale', [0.62, 0.9, 1.12])
def test_a_measured_distance_tells_the_size(camera, scale):
    betas = betas_of(scale)
    depth_m = trunk_depth_m(camera, joints_of(betas))
    bodies = play(camera, betas, lambda i: depth_m)
    found = [float(body_scale(body.betas, SKELETON)) for body in bodies]
    assert found[-1] == pytest.approx(scale, rel=0.03)
    assert off_m(bodies[-1], betas) < 0.04
    assert off_m(bodies[15], betas) < 0.06, 'half a second later'
    assert len(set(found)) <= 8, 'few steps: a URDF is published with each'
    by_size = play(camera, betas, lambda i: None)[-1]
    assert off_m(by_size, betas) > 3 * off_m(bodies[-1], betas)


def test_the_size_stays_without_depth_and_with_something_in_front(camera):
    betas = betas_of(0.7)
    depth_m = trunk_depth_m(camera, joints_of(betas))
    close = np.full_like(depth_m, 1.2)

    def depth_in_turn(i):
        return close if 30 <= i < 36 else depth_m if i < 50 else None
    bodies = play(camera, betas, depth_in_turn, 120)
    for body in bodies[25:]:
        assert float(body_scale(body.betas, SKELETON)) == pytest.approx(0.7, rel=0.05)
        assert off_m(body, betas) < 0.05
    assert {body.root_source for body in bodies[30:36]} == {'camera'}
    assert bodies[40].root_source == 'depth' and bodies[-1].root_source == 'camera'


def test_something_in_front_at_first_is_forgotten(camera):
    betas = betas_of(0.9)
    depth_m = trunk_depth_m(camera, joints_of(betas))
    close = np.full_like(depth_m, 1.2)
    body = play(camera, betas, lambda i: close if i < 12 else depth_m, 120)[-1]
    assert float(body_scale(body.betas, SKELETON)) == pytest.approx(0.9, rel=0.06)
    for body in play(camera, betas, lambda i: depth_m if i else close, 60)[8:]:
        assert abs(body.root_m[2] - ROOT_M[2]) < 0.05


def test_a_child_and_an_adult_keep_their_ids_where_they_pass(camera):
    """The child comes out of the adult's way, and looks like an adult who is farther away."""
    child, adult = betas_of(0.6), betas_of(1.0)

    def roots_m(i):
        x_m = -1.0 + 2.0 * i / 90
        return np.array([x_m, 0.1, 2.4]), np.array([-x_m, 0.0, 3.4])

    def script(stamp):
        near, far = roots_m(round(stamp / FRAME_NS))
        seen = [seen_as_mean_body(camera, child, near), seen_as_mean_body(camera, adult, far)]
        return seen[::-1] if round(stamp / FRAME_NS) % 2 else seen
    pipeline = Pipeline(ScriptedObserver(script), AnalyticSolver())
    ids = []
    for i in range(91):
        near, far = roots_m(i)
        depth_m = trunk_depth_m(camera, joints_of(adult, far), joints_of(child, near))
        bodies = pipeline.process(IMAGE, camera, i * FRAME_NS, depth_m=depth_m)
        ids.append([body.id for body in sorted(bodies, key=lambda one: one.root_m[2])])
    assert ids[10] == ids[-1] and len(set(map(tuple, ids[10:]))) == 1
