"""Late images, and jumps back in time."""

from niki_ros.common.errors import InputError
from niki_ros.common.settings import PipelineConfig, TrackingConfig
from niki_ros.people.pipeline import Pipeline
from niki_ros.scene.camera import Camera
from niki_ros.scene.stamp_order import LATE, NEWER, REPEATED, RESTARTED, StampOrder
from niki_ros.solvers.analytic import AnalyticSolver
import numpy as np
import pytest
from scenes import observe_body, ScriptedObserver, T_POSE

MS = 1_000_000
IMAGE = np.zeros((480, 640, 3), np.uint8)


def classes(stamps_ms, late_s=0.5):
    """Return the class of every image; those that are not left out are accepted."""
    order = StampOrder(TrackingConfig(late_s=late_s))
    found = []
    for stamp_ms in stamps_ms:
        found.append(order.classify(stamp_ms * MS))
        assert order.classify(stamp_ms * MS) == found[-1], 'a second call changes nothing'
        if found[-1] in (NEWER, RESTARTED):
            order.accept(stamp_ms * MS)
    return found


@pytest.mark.parametrize('stamps_ms, expected', [
    ([0, 33, 66], [NEWER] * 3),
    ([0, 33, 33, 66], [NEWER, NEWER, REPEATED, NEWER]),
    ([0, 100, 95, 133], [NEWER, NEWER, LATE, NEWER]),
    # several late images in a row, also out of order among themselves
    ([0, 100, 66, 33, 70, 133], [NEWER, NEWER, LATE, LATE, LATE, NEWER]),
    # two cameras of which one is always late
    ([1000, 990, 1033, 1023, 1066, 1056], [NEWER, LATE] * 3),
    ([1000, 501, 1001], [NEWER, LATE, NEWER]),
    ([1000, 500, 533], [NEWER, RESTARTED, NEWER]),
    ([10_000, 0, 33], [NEWER, RESTARTED, NEWER]),
    # a clock that is set back by less than the limit
    ([1000, *range(700, 1100, 50)], [NEWER, *[LATE] * 6, REPEATED, NEWER]),
])
def test_classes_of_stamps(stamps_ms, expected):
    assert classes(stamps_ms) == expected


def test_short_looping_bag_restarts():
    """Its jump back is shorter than the limit: late at first, but not for ever."""
    found = classes([*range(0, 300, 33)] * 10)
    assert RESTARTED in found[:30] and found.count(LATE) < 0.8 * len(found)


def test_the_limit_is_a_setting():
    assert classes([1000, 999], late_s=0.0) == [NEWER, RESTARTED]
    assert classes([9000, 6000, 9001], late_s=3.5) == [NEWER, LATE, NEWER]


def pipeline_of_one(config=None):
    seen = observe_body(T_POSE, np.array([0.0, 0.0, 4.0]), Camera.from_fov(640, 480, 60.0))
    observer = ScriptedObserver(lambda stamp_ns: [seen])
    return Pipeline(observer, AnalyticSolver(), config), observer


def test_late_image_keeps_the_tracks(camera):
    pipeline, observer = pipeline_of_one()
    for stamp_ms in (33, 66, 100):
        before = pipeline.process(IMAGE, camera, stamp_ms * MS)
    assert pipeline.process(IMAGE, camera, 95 * MS) == []
    assert list(pipeline.faults) == ['stamp_late'] and observer.resets == 0
    assert '0.005 s before' in pipeline.faults['stamp_late']
    after = pipeline.process(IMAGE, camera, 133 * MS)
    assert not pipeline.faults and [one.id for one in after] == [one.id for one in before]
    with pytest.raises(InputError, match=str(133 * MS)):
        pipeline.process(IMAGE, camera, 133 * MS)


def test_late_image_does_not_change_bodies(camera):
    with_late, without = pipeline_of_one()[0], pipeline_of_one()[0]
    for stamp_ms in (33, 66, 50, 100, 133, 1, 166):
        bodies = with_late.process(IMAGE, camera, stamp_ms * MS)
        if stamp_ms not in (50, 1):
            expected, = without.process(IMAGE, camera, stamp_ms * MS)
            assert np.array_equal(bodies[0].joints_m, expected.joints_m)
            assert np.array_equal(bodies[0].root_velocity_m_s, expected.root_velocity_m_s)


def test_the_setting_acts_while_running(camera):
    config = PipelineConfig()
    pipeline, observer = pipeline_of_one(config)
    pipeline.process(IMAGE, camera, 1000 * MS)
    pipeline.update({'tracking.late_s': 0.01})
    assert pipeline.process(IMAGE, camera, 980 * MS)[0].id == 2
    assert 'stamp_jumped_back' in pipeline.faults and observer.resets == 1
