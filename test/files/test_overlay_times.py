"""Frames of the overlay are shown when those of the source were taken."""

import cv2
from niki_ros.common.errors import OutputError
from niki_ros.files.mp4_times import write_times
from niki_ros.files.video_writer import VideoWriter
from niki_ros.sources.open import open_source
import numpy as np
import pytest

TIMES_MS = np.cumsum([0, 40, 40, 120, 33, 33, 14, 40, 800, 20, 20, 10, 30, 40, 40, 100])


def written(path, stamps_ns, rate_hz=25.0):
    with VideoWriter(path, rate_hz, 64, 48) as writer:
        for index, stamp_ns in enumerate(stamps_ns):
            writer.write(np.full((48, 64, 3), (10 + 12 * index) % 250, np.uint8), stamp_ns)
    return writer


def times_ms(path):
    frames = list(open_source(path))
    return (np.array([f.stamp_ns for f in frames]) * 1e-6,
            np.array([f.image_rgb.mean() for f in frames]))


@pytest.mark.parametrize('suffix', ['.mp4', '.m4v', '.mov'])
@pytest.mark.parametrize('start_ns', [0, 1_700_000_000_000_000_000])
def test_times_of_a_variable_rate(tmp_path, suffix, start_ns):
    path = tmp_path / f'overlay{suffix}'
    writer = written(path, [start_ns + int(ms) * 10**6 for ms in TIMES_MS])
    found_ms, levels = times_ms(path)
    assert np.abs(found_ms - TIMES_MS).max() < 0.1 and not writer.remark
    assert np.allclose(levels, 10 + 12 * np.arange(len(TIMES_MS)), atol=4)
    # players show the whole length, and can jump to any frame
    capture = cv2.VideoCapture(str(path))
    length_s = capture.get(cv2.CAP_PROP_FRAME_COUNT) / capture.get(cv2.CAP_PROP_FPS)
    assert length_s == pytest.approx((TIMES_MS[-1] + 40) * 1e-3, rel=0.02)
    for number in (9, 3, 15):
        capture.set(cv2.CAP_PROP_POS_FRAMES, number)
        assert abs(capture.read()[1].mean() - (10 + 12 * number)) < 4


@pytest.mark.parametrize('factor', [0.2, 0.6, 3.0])
def test_a_rate_that_is_stated_wrong(tmp_path, factor):
    """As of a camera whose pictures are not all worked on."""
    stamps = [round(i * 40e6 * factor) for i in range(30)]
    written(tmp_path / 'overlay.mp4', stamps)
    assert np.abs(times_ms(tmp_path / 'overlay.mp4')[0] * 1e6 - stamps).max() < 100_000


def test_a_fixed_rate_is_left_alone(tmp_path):
    steady = [round(i * 1e9 / 29.97) for i in range(20)]
    written(tmp_path / 'a.mp4', steady, 29.97)
    with VideoWriter(tmp_path / 'b.mp4', 29.97, 64, 48) as writer:
        for index in range(20):
            writer.write(np.full((48, 64, 3), 10 + 12 * index, np.uint8))
    assert (tmp_path / 'a.mp4').read_bytes() == (tmp_path / 'b.mp4').read_bytes()


@pytest.mark.parametrize('jump_s', [-5, 1e9, 0])
def test_a_clock_that_is_set_is_no_time_that_passed(tmp_path, jump_s):
    stamps = [i * 50 * 10**6 + (round(jump_s * 1e9) if i > 5 else 0) for i in range(12)]
    written(tmp_path / 'bag.mp4', stamps)
    gaps_ms = np.diff(times_ms(tmp_path / 'bag.mp4')[0])
    assert np.allclose(np.delete(gaps_ms, 5), 50, atol=0.1) and 35 < gaps_ms[5] < 55


@pytest.mark.parametrize('suffix', ['.avi', '.mkv'])
def test_what_cannot_hold_times_says_so(tmp_path, suffix):
    writer = written(tmp_path / f'overlay{suffix}', [int(ms) * 10**6 for ms in TIMES_MS])
    assert 'mp4' in writer.remark
    assert not written(tmp_path / f'even{suffix}', [i * 40_000_000 for i in range(9)]).remark


@pytest.mark.parametrize('content', [b'', b'no video at all', bytes(64)])
def test_another_file_is_not_written_into(tmp_path, content):
    path = tmp_path / 'other.mp4'
    path.write_bytes(content)
    with pytest.raises(OutputError):
        write_times(path, [0, 1])
    assert path.read_bytes() == content
