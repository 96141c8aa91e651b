"""MediaPipe's low pass on visibility, undone."""

from niki_ros.observers.visibility import Unsmoothed
import numpy as np


def smoothed(raw):
    """Return what MediaPipe publishes for raw visibilities (frames, 33)."""
    out = [raw[0]]
    for frame in raw[1:]:
        out.append(np.float32(0.1) * frame + np.float32(0.9) * out[-1])
    return np.array(out, np.float32)


def test_the_network_s_own_visibility_comes_back():
    raw = np.random.default_rng(0).uniform(size=(50, 33)).astype(np.float32)
    flat, undo = np.full((33, 2), 0.5), Unsmoothed()
    found = [undo.step([(flat, seen)])[0] for seen in smoothed(raw)]
    np.testing.assert_allclose(found, raw, atol=1e-4)


def test_two_people_are_told_apart_when_their_order_changes():
    raw = np.random.default_rng(1).uniform(size=(2, 20, 33)).astype(np.float32)
    published = [smoothed(one) for one in raw]
    flats, undo = [np.full((33, 2), 0.2), np.full((33, 2), 0.8)], Unsmoothed()
    for frame in range(20):
        order = [0, 1] if frame % 3 else [1, 0]
        found = undo.step([(flats[i], published[i][frame]) for i in order])
        for i, one in zip(order, found):
            np.testing.assert_allclose(one, raw[i, frame], atol=1e-4)


def test_somebody_new_is_taken_as_published():
    undo, flat = Unsmoothed(), np.full((33, 2), 0.5)
    undo.step([(flat, np.full(33, 0.9))])
    low = np.full(33, 0.3)
    np.testing.assert_array_equal(undo.step([(flat, low)])[0], low)
    assert undo.step([]) == []
    np.testing.assert_array_equal(undo.step([(flat, low)])[0], low)
