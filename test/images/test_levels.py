"""Contrast of images with more than 8 bits over time."""

from niki_ros.images.levels import Levels
import numpy as np
import pytest

STEP_NS = 33_000_000


def room(rng, low=29_315, high=30_000, shape=(120, 160)):
    rows, columns = np.mgrid[:shape[0], :shape[1]]
    plain = low + (high - low) * (rows / shape[0] + columns / shape[1]) / 2
    return (plain + rng.normal(0, 3, shape)).astype(np.uint16)


def play(levels, pictures):
    return [levels.stretched(picture, (index + 1) * STEP_NS)
            for index, picture in enumerate(pictures)]


def test_first_image_has_contrast():
    shown = Levels().stretched(room(np.random.default_rng(0)), STEP_NS)
    assert shown.dtype == np.uint8
    assert np.percentile(shown, 5) < 60 < 190 < np.percentile(shown, 95)


def test_noise_does_not_flicker():
    rng = np.random.default_rng(1)
    shown = play(Levels(), [room(rng) for _ in range(60)])
    means = [picture.mean() for picture in shown]
    assert np.abs(np.diff(means)).max() < 0.5


def test_warm_person_changes_the_background_slowly():
    """A warm body on a tenth of the image: the wall keeps nearly its grey from image to image."""
    rng = np.random.default_rng(2)
    pictures = [room(rng) for _ in range(90)]
    for picture in pictures[30:]:
        picture[40:100, 60:92] = 30_500
    shown = play(Levels(), pictures)
    wall = np.array([picture[:, :50].mean() for picture in shown])
    assert np.abs(np.diff(wall)).max() < 8
    contrast = [picture[60, 70] - picture[60, 50].astype(int) for picture in shown[30:]]
    assert min(contrast) > 40


def test_hot_pixels_and_holes_are_ignored():
    rng = np.random.default_rng(3)
    spoilt = room(rng)
    spoilt[5, 5:9], spoilt[9, :6] = 65_534, 1
    assert np.abs(Levels().stretched(spoilt).astype(int)
                  - Levels().stretched(room(np.random.default_rng(3)))).mean() < 1


@pytest.mark.parametrize('kind, nothing', [(np.uint16, 0), (np.uint16, 65_535), (np.float32, 0),
                                           (np.float32, np.nan)])
def test_fill_values_are_ignored(kind, nothing):
    """A rectified thermal image: a tenth of it is empty."""
    whole = room(np.random.default_rng(3)).astype(kind)
    cut = whole.copy()
    cut[:12] = nothing
    shown = [Levels().stretched(picture)[12:].astype(int) for picture in (whole, cut)]
    assert np.abs(shown[0] - shown[1]).mean() < 12


def test_shutter_of_a_thermal_camera_is_ignored():
    """Every few minutes a thermal camera shows its shutter: one value, for half a second."""
    rng = np.random.default_rng(4)
    pictures = [room(rng) for _ in range(45)]
    pictures[15:30] = [np.full_like(pictures[0], 29_600)] * 15
    shown = play(Levels(), pictures)
    assert abs(shown[14].mean() - shown[30].mean()) < 0.5


@pytest.mark.parametrize('low, high', [(2000, 2400), (100, 60_000), (29_000, 29_100)])
def test_another_range_is_used_at_once(low, high):
    """A camera that changes its gain, or its unit."""
    rng, levels = np.random.default_rng(5), Levels()
    play(levels, [room(rng) for _ in range(10)])
    shown = levels.stretched(room(rng, low, high), 11 * STEP_NS)
    assert np.percentile(shown, 5) < 70 and 185 < np.percentile(shown, 95)


def test_gap_or_loop_starts_anew():
    rng = np.random.default_rng(6)
    for stamp_ns in (10**10, 1):
        levels = Levels()
        levels.stretched(room(rng), 10**9)
        brighter = room(rng, 29_600, 30_300)
        assert np.array_equal(levels.stretched(brighter, stamp_ns), Levels().stretched(brighter))


def test_noise_is_not_stretched():
    """A lens cap: three values of noise stay nearly one grey."""
    dark = np.random.default_rng(7).integers(500, 503, (120, 160)).astype(np.uint16)
    assert np.ptp(Levels().stretched(dark)) < 60


def test_a_full_range_is_left_as_it_is():
    values = np.random.default_rng(8).integers(0, 65_536, (120, 160)).astype(np.uint16)
    levels = Levels()
    assert np.array_equal(levels.stretched(values), (values.astype(int) + 128) // 257)
    assert levels.text == ''
    levels.stretched(values // 16)
    assert 'uint16 values' in levels.text and 'black … white' in levels.text


@pytest.mark.parametrize('kind', [np.float32, np.float64, np.uint16, np.int16, np.int32])
def test_every_type_gives_an_image(kind):
    rng = np.random.default_rng(9)
    with np.errstate(all='ignore'):
        for scale in (0.0, 1e-30, 1e-3, 1.0, 1e4, 1e30):
            values = (rng.normal(size=(20, 30)) * scale).astype(kind)
            if values.dtype.kind == 'f':
                values[0, :3] = np.nan, np.inf, -np.inf
            shown = Levels().stretched(values)
            assert shown.dtype == np.uint8 and shown.shape == values.shape
    nothing = np.full((4, 5), np.nan) if np.dtype(kind).kind == 'f' else np.zeros((4, 5), kind)
    assert not Levels().stretched(nothing.astype(kind)).any() or kind is not np.float32
