"""The pipeline with a front end that plays a script: ids, occlusion, time, metres."""

from dataclasses import replace

from niki_ros.benchmarks.check_images import check_images
from niki_ros.body.body import STATUS_NAMES
from niki_ros.body.kinematics import forward_kinematics
from niki_ros.body.skeleton import open_skeleton
from niki_ros.common.errors import ConfigError, InputError
from niki_ros.common.settings import PipelineConfig
from niki_ros.loading.load_pipeline import load_pipeline
from niki_ros.people.pipeline import Pipeline
from niki_ros.people.stages.correct_front_back import mirrored
from niki_ros.solvers.analytic import AnalyticSolver
import numpy as np
import pytest
from scenes import observe_body, random_pose, ScriptedObserver, T_POSE

IMAGE = np.zeros((480, 640, 3), np.uint8)
FRAME_NS = 33_333_333


def run(script, camera, frames, config=None, start=0):
    pipeline = Pipeline(ScriptedObserver(script), AnalyticSolver(), config)
    return [pipeline.process(IMAGE, camera, (start + i) * FRAME_NS) for i in range(frames)]


def test_a_still_person_is_where_they_are(camera):
    root = np.array([0.3, 0.1, 3.0])
    seen = observe_body(T_POSE, root, camera)
    body = run(lambda stamp: [seen], camera, 20)[-1][0]
    np.testing.assert_allclose(body.root_m, root, atol=2e-3)
    np.testing.assert_allclose(body.joints_m, seen.joints_m + root, atol=5e-3)
    assert {STATUS_NAMES[s] for s in body.status} == {'observed'}
    assert np.abs(body.angular_velocity_rad_s).max() < 1e-6


def test_the_front_end_knows_what_the_last_image_took(camera):
    observer = ScriptedObserver(lambda stamp: [])
    pipeline = Pipeline(observer, AnalyticSolver())
    pipeline.process(IMAGE, camera, 1)
    assert observer.busy_s == 0.0 < pipeline.busy_s
    pipeline.busy_s = 0.5  # of a program that does more with the image
    pipeline.process(IMAGE, camera, FRAME_NS)
    assert observer.busy_s == 0.5 > pipeline.busy_s


def test_a_person_who_waits_moves_on_and_changes_nothing(camera):
    def script(stamp_ns):
        moved = np.array([0.3 * stamp_ns * 1e-9, 0.0, 3.0])
        return [replace(observe_body(T_POSE, root, camera), follower=number) for number, root in
                ((7, moved), (8, np.array([1.0, 0.1, 3.0])))]

    observer = ScriptedObserver(script)
    pipeline = Pipeline(observer, AnalyticSolver())
    observed = [pipeline.process(IMAGE, camera, i * FRAME_NS) for i in range(30)][-1]
    observer.script = lambda stamp_ns: script(stamp_ns)[1:]
    observer.waiting = frozenset([7])
    walking, still = pipeline.process(IMAGE, camera, 31 * FRAME_NS)
    assert [walking.id, still.id] == [body.id for body in observed]
    assert walking.root_m[0] == pytest.approx(0.3 * 31 * FRAME_NS * 1e-9, abs=2e-3)
    assert walking.stamp_ns == 31 * FRAME_NS and (walking.status == observed[0].status).all()
    assert np.isnan(walking.keypoints_px).all() and np.isfinite(still.keypoints_px).any()
    # the pose after the next observation is that of a camera that skipped the image
    observer.script, observer.waiting = script, frozenset()
    after = pipeline.process(IMAGE, camera, 32 * FRAME_NS)[0]
    alone = Pipeline(ScriptedObserver(lambda stamp_ns: script(stamp_ns)[:1]), AnalyticSolver())
    stamps_ns = [i * FRAME_NS for i in (*range(30), 32)]
    expected = [alone.process(IMAGE, camera, stamp_ns) for stamp_ns in stamps_ns][-1][0]
    np.testing.assert_allclose(after.joints_m, expected.joints_m, atol=1e-9)


def test_the_front_end_knows_the_period_of_the_camera(camera):
    observer = ScriptedObserver(lambda stamp: [])
    pipeline = Pipeline(observer, AnalyticSolver())
    pipeline.period_s = 0.04  # of a program that skips images
    pipeline.process(IMAGE, camera, 1)
    assert observer.period_s == 0.04


def test_a_person_without_a_body_has_none_while_waiting(camera):
    def at(distance_m):
        return replace(observe_body(T_POSE, np.array([0, 0, distance_m]), camera), follower=7)

    config, counts = PipelineConfig(), []
    config.tracking.predict_s = 0.2
    observer = ScriptedObserver(lambda stamp: [at(3.0)])
    pipeline = Pipeline(observer, AnalyticSolver(), config)
    for i in range(30):
        pipeline.process(IMAGE, camera, i * FRAME_NS)
    for i in range(30, 55):  # a distance that is not believed for a second
        looks = i % 5 == 0
        observer.script = (lambda stamp: [at(6.0)]) if looks else (lambda stamp: [])
        observer.waiting = frozenset() if looks else frozenset([7])
        counts.append(len(pipeline.process(IMAGE, camera, i * FRAME_NS)))
    ended = counts.index(0)
    assert 0 < ended < 20 and not any(counts[ended:ended + 5])


def test_a_person_who_has_waited_for_too_long_has_no_body(camera):
    seen = replace(observe_body(T_POSE, np.array([0.0, 0.0, 3.0]), camera), follower=7)
    observer = ScriptedObserver(lambda stamp_ns: [seen])
    pipeline = Pipeline(observer, AnalyticSolver())
    before, = [pipeline.process(IMAGE, camera, i * FRAME_NS) for i in range(10)][-1]
    observer.script, observer.waiting = (lambda stamp_ns: []), frozenset([7])
    assert pipeline.process(IMAGE, camera, 40 * FRAME_NS) == []
    observer.script, observer.waiting = (lambda stamp_ns: [seen]), frozenset()
    after, = pipeline.process(IMAGE, camera, 41 * FRAME_NS)
    assert after.id == before.id


def test_joints_are_the_forward_kinematics_of_what_is_published(camera):
    rng = np.random.default_rng(0)
    poses = random_pose(rng, 10)
    seen = [observe_body(p, np.array([0, 0, 3.0]), camera, sigma=0.1) for p in poses]
    for bodies in run(lambda stamp: [seen[stamp // FRAME_NS]], camera, 10):
        joints, _ = forward_kinematics(bodies[0].rotmat, open_skeleton().offsets(bodies[0].betas))
        np.testing.assert_allclose(joints + bodies[0].root_m, bodies[0].joints_m, atol=1e-6)


def test_one_person_seen_twice_is_one_person(camera):
    seen = observe_body(T_POSE, np.array([0, 0, 3.0]), camera)
    for again in (seen, mirrored(seen)):
        frames = run(lambda stamp, again=again: [seen, again], camera, 5)
        assert [len(bodies) for bodies in frames] == [1] * 5


def test_a_hallucinated_jump_of_a_limb_is_held_back(camera):
    straight, bent = T_POSE, T_POSE.copy()
    bent[18] = np.diag([-1.0, -1.0, 1.0])
    seen = [observe_body(p, np.array([0, 0, 3.0]), camera, sigma=0.4) for p in (straight, bent)]
    frames = run(lambda stamp: [seen[stamp >= 5 * FRAME_NS]], camera, 7)
    moved = np.linalg.norm(frames[5][0].joints_m[20] - frames[4][0].joints_m[20])
    assert 0 < moved < 0.2


@pytest.mark.parametrize('image', [
    np.zeros((0, 0, 3), np.uint8), np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), None])
def test_what_is_no_image_is_refused_and_the_next_frame_works(camera, image):
    seen = observe_body(T_POSE, np.array([0, 0, 3.0]), camera)
    pipeline = Pipeline(ScriptedObserver(lambda stamp: [seen]), AnalyticSolver())
    with pytest.raises(InputError, match='image'):
        pipeline.process(image, camera, 0)
    assert len(pipeline.process(IMAGE, camera, 0)) == 1


def test_without_a_camera_the_field_of_view_of_the_settings_counts():
    config = PipelineConfig()
    config.camera.fov_deg = 90.0
    pipeline = Pipeline(ScriptedObserver(lambda stamp: []), AnalyticSolver(), config)
    assert pipeline.assumed_camera(IMAGE).matrix[0, 0] == pytest.approx(320.0)
    assert pipeline.process(IMAGE, None, 0) == []


def test_settings_change_while_running_only_where_declared(camera):
    pipeline = Pipeline(ScriptedObserver(lambda stamp: []), AnalyticSolver())
    pipeline.update({'smoothing.beta': 0.1})
    assert pipeline.config.smoothing.beta == 0.1
    with pytest.raises(ConfigError, match='solver.name'):
        pipeline.update({'solver.name': 'analytic'})


def test_impossible_observations_do_not_change_the_track(camera):
    """One NaN would stay in the state of the track; the person is predicted meanwhile."""
    bad = {2: ('joints_m', np.nan), 3: ('sigma_200mm', np.inf), 4: ('sigma_200mm', -1e30),
           5: ('box_px', np.nan), 6: ('joints_m', 1e30)}

    def script(stamp_ns):
        seen = observe_body(T_POSE, np.array([0.0, 0.0, 3.0]), camera)
        name, value = bad.get(stamp_ns // 10**7, (None, None))
        if name:
            getattr(seen, name).flat[0] = value
        return [seen]
    pipeline = Pipeline(ScriptedObserver(script), AnalyticSolver(), PipelineConfig())
    for index in range(1, 9):
        bodies = pipeline.process(IMAGE, camera, index * 10**7)
        assert [body.id for body in bodies] == [1]
        assert np.allclose(bodies[0].root_m, [0, 0, 3], atol=0.02)
        assert ('observation_invalid' in pipeline.faults) == (index in bad)


def test_a_pipeline_that_is_warmed_up_knows_nobody_and_gives_the_same_bodies():
    shown, other = check_images()[:2]
    joints = []
    for is_warm in (False, True):
        pipeline = load_pipeline()
        if is_warm:
            pipeline.warm_up(other.image_rgb, other.boxes_px)
        frames = [pipeline.process(shown.image_rgb, None, i * FRAME_NS) for i in range(3)]
        pipeline.close()
        assert [[body.id for body in bodies] for bodies in frames] == [[1, 2]] * 3
        joints.append(np.array([bodies[0].joints_m for bodies in frames]))
    np.testing.assert_array_equal(*joints)
