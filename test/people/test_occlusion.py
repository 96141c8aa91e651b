"""Out of sight: ids, confidence and status over time, limbs that jump or come back."""

from niki_ros.body.body import OBSERVED, PREDICTED, UNOBSERVED
from niki_ros.body.rotations import angle_rad
from niki_ros.people.pipeline import Pipeline
from niki_ros.solvers import load_solver, shipped_models
import numpy as np
import pytest
from scenes import ScriptedObserver
from standing import ARM, LEGS, seen_at, without

IMAGE = np.zeros((480, 640, 3), np.uint8)
FRAME_NS = 33_333_333
DT = FRAME_NS * 1e-9


def play(script, camera, frames, solver='analytic'):
    if solver != 'analytic' and not (shipped_models() / solver / 'manifest.json').is_file():
        pytest.skip(f'the model {solver} is not here')
    pipeline = Pipeline(ScriptedObserver(lambda stamp: script(round(stamp / FRAME_NS))),
                        load_solver(solver))
    return [pipeline.process(IMAGE, camera, i * FRAME_NS) for i in range(frames)]


@pytest.mark.parametrize('solver', ['analytic', 'niki-temporal'])
def test_two_seconds_out_of_sight(camera, solver):
    frames = play(lambda i: [] if 20 <= i < 80 else [seen_at(camera)], camera, 90, solver)
    assert all(len(bodies) == 1 and bodies[0].id == 1 for bodies in frames)
    confidence = np.array([bodies[0].confidence for bodies in frames])
    assert (np.diff(confidence[19:80], axis=0) < 0).all()
    status = np.array([bodies[0].status for bodies in frames])
    assert (status[19] == OBSERVED).all() and (status[20:80] != OBSERVED).all()
    assert (status[21] == PREDICTED).all() and (status[79] == UNOBSERVED).all()
    assert (np.diff(status[19:80].astype(int), axis=0) >= 0).all()
    assert (status[-1] == OBSERVED).all()
    moved = np.array([bodies[0].root_m for bodies in frames])
    assert np.linalg.norm(moved[79] - moved[19]) < 0.1


def test_a_person_out_of_sight_is_no_longer_published_and_later_loses_the_id(camera):
    frames = play(lambda i: [] if 10 <= i < 140 else [seen_at(camera)], camera, 150)
    published = [len(bodies) for bodies in frames]
    assert published[:80] == [1] * 80 and published[90:140] == [0] * 50
    assert frames[-1][0].id == 2


def test_who_was_seen_for_a_moment_only_is_soon_gone(camera):
    frames = play(lambda i: [seen_at(camera)] if 5 <= i < 8 else [], camera, 60)
    published = [len(bodies) for bodies in frames]
    assert published[5:8] == [1] * 3 and published[35:] == [0] * 25


@pytest.mark.parametrize('solver', ['analytic', 'niki-temporal'])
def test_a_limb_that_comes_back_elsewhere_does_not_jump(camera, solver):
    """The elbow was straight, is bent by two radians when it is seen again."""
    def script(i):
        seen = seen_at(camera, bend_rad=0.0 if i < 40 else 2.0)
        return [without(seen, ARM) if 20 <= i < 40 else seen]
    frames = play(script, camera, 80, solver)
    turned = [angle_rad(a[0].rotmat, b[0].rotmat)[18] / DT for a, b in zip(frames, frames[1:])]
    assert max(turned[39:43]) < 12.0, 'rad/s'
    assert angle_rad(frames[-1][0].rotmat, frames[38][0].rotmat)[18] > 1.0, 'it gets there'


def test_hidden_legs_stay_where_they_were_and_fade(camera):
    """The front end folds them up by half a metre; the trunk is as it was."""
    def script(i):
        seen = seen_at(camera)
        return [without(seen, LEGS, [0.2, -0.5, 0.2]) if i >= 30 else seen]
    frames = play(script, camera, 60, 'niki-temporal')
    before, after = frames[29][0], frames[-1][0]
    moved = np.linalg.norm((after.joints_m - after.root_m) - (before.joints_m - before.root_m),
                           axis=1)
    assert moved[LEGS].mean() < 0.12, 'the guess is 0.57 m away'
    assert moved[[12, 15, 16, 17, 18, 19]].max() < 0.05
    legs = [joint for joint in LEGS if joint < 24]
    assert after.confidence[legs].max() < 0.3 and (after.status[legs] != OBSERVED).all()
    assert (after.status[[12, 16, 17, 18, 19]] == OBSERVED).all()


@pytest.mark.parametrize('solver', ['niki', 'niki-temporal'])
@pytest.mark.parametrize('cut', ['waist', 'chest'])
def test_a_person_cut_off_by_the_image_has_legs_and_a_trunk(camera, solver, cut):
    """Legs as people have them, confidence near 0; the trunk as in the whole view."""
    gone = LEGS + [1, 2] if cut == 'waist' else LEGS + [0, 1, 2, 3, 6, 20, 21, 22, 23, 25, 26]

    def script(i):
        return [without(seen_at(camera), gone, [0.1, -0.3, 0.3])]
    whole = play(lambda i: [seen_at(camera)], camera, 60, solver)[-1][0]
    body = play(script, camera, 60, solver)[-1][0]
    hidden = [joint for joint in gone if joint < 24]
    assert body.confidence[hidden].max() < 0.05 and (body.status[hidden] == UNOBSERVED).all()
    upper = [12, 15, 16, 17, 18, 19]

    def shape(one):
        return one.joints_m[upper] - one.joints_m[upper].mean(0)
    assert np.linalg.norm(shape(body) - shape(whole), axis=1).max() < 0.08
    knees = angle_rad(body.rotmat)[[4, 5]]
    assert knees.max() < 2.6 and np.isfinite(body.joints_m).all()
    # the legs hang below the trunk: y points down
    assert (body.joints_m[[7, 8], 1] > body.joints_m[12, 1] + 0.3).all()


def test_people_who_cross_keep_their_ids_though_one_is_hidden(camera):
    def script(i):
        x = -1.2 + 2.4 * i / 90
        people = [seen_at(camera, np.array([x, 0, 2.5])), seen_at(camera, np.array([-x, 0, 4.0]))]
        return people[:1] if abs(x) < 0.3 else people
    frames = play(script, camera, 91)
    start = {body.id: body.root_m[2] for body in frames[10]}
    end = {body.id: body.root_m[2] for body in frames[-1]}
    assert len(start) == 2 and set(end) == set(start)
    assert all(abs(end[one] - start[one]) < 0.3 for one in start)


def test_half_a_person_seen_as_a_small_whole_one_is_the_same_person(camera):
    """The box shrinks to the upper half and the distance doubles: no second person, no leap."""
    def script(i):
        if not 20 <= i < 35:
            return [seen_at(camera)]
        small = seen_at(camera, np.array([0.0, -0.8, 6.0]))
        return [small]
    frames = play(script, camera, 60)
    assert {body.id for bodies in frames for body in bodies} == {1}
    far = [abs(bodies[0].root_m[2] - 3.0) for bodies in frames]
    assert max(far) < 0.2, far
