"""Frames of a video have the times of its container, not those of its stated rate."""

import struct

import cv2
from niki_ros.common.errors import SourceError
from niki_ros.files.video_writer import VideoWriter
from niki_ros.sources.image_folder import image_files
from niki_ros.sources.open import open_source
import numpy as np
import pytest

# irregular like a phone in the dark; the sum is that of 20 frames of 40 ms
GAPS_MS = [40, 40, 120, 33, 33, 14, 40, 80, 20, 20, 10, 30, 40, 40, 100, 20, 40, 20, 20, 40]
TIMES_MS = np.cumsum([0, *GAPS_MS[:-1]])


def steady(path, rate_hz=25.0, images=20, code='mp4v'):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), rate_hz, (64, 48))
    if not writer.isOpened():
        pytest.skip(f'this OpenCV writes no {code}')
    for level in range(images):
        writer.write(np.full((48, 64, 3), 10 * level % 256, np.uint8))
    writer.release()
    return path


def retimed_mp4(path, gaps_ms):
    """Replace the durations of the frames of an mp4, in its box stts, by others with their sum."""
    data = bytearray(path.read_bytes())
    timescale, = struct.unpack_from('>I', data, data.index(b'mdhd') + 16)
    start = data.index(b'stts') - 4
    size, = struct.unpack_from('>I', data, start)
    box = struct.pack('>I4sII', 16 + 8 * len(gaps_ms), b'stts', 0, len(gaps_ms)) + b''.join(
        struct.pack('>II', 1, round(gap * timescale / 1000)) for gap in gaps_ms)
    for name in (b'moov', b'trak', b'mdia', b'minf', b'stbl'):
        at = data.index(name) - 4
        struct.pack_into('>I', data, at, struct.unpack_from('>I', data, at)[0] + len(box) - size)
    data[start:start + size] = box
    path.write_bytes(data)
    return path


def retimed_webm(path, times_ms):
    """Replace the times of the frames of a webm with 1000 frames a second."""
    data, at = bytearray(path.read_bytes()), 0
    for tick, time_ms in enumerate(times_ms):
        at = min(place for flags in (b'\x80', b'\x00') if (place := data.find(
            b'\x81' + struct.pack('>h', tick) + flags, at)) >= 0)
        struct.pack_into('>h', data, at + 1, time_ms)
        at += 4
    path.write_bytes(data)
    return path


def test_variable_rate_has_its_own_times(tmp_path):
    source = open_source(retimed_mp4(steady(tmp_path / 'phone.mp4'), GAPS_MS))
    frames = list(source)
    assert np.allclose([f.stamp_ns * 1e-6 for f in frames], TIMES_MS, atol=0.1)
    assert [f.index for f in frames] == list(range(20)) and source.frame_count == 20
    assert source.rate_hz == pytest.approx(25.0, rel=0.1)


def test_loop_of_a_variable_rate(tmp_path):
    source = open_source(retimed_mp4(steady(tmp_path / 'phone.mp4'), GAPS_MS), loop=True,
                         max_frames=45)
    stamps_ms = np.array([f.stamp_ns for f in source]) * 1e-6
    assert np.allclose(stamps_ms[20:40] - stamps_ms[20], TIMES_MS, atol=0.1)
    assert (np.diff(stamps_ms) > 5).all()


def test_the_rate_of_the_option_has_priority(tmp_path):
    path = retimed_mp4(steady(tmp_path / 'phone.mp4'), GAPS_MS)
    assert [f.stamp_ns for f in open_source(path, rate_hz=10)] == [
        100_000_000 * i for i in range(20)]


def test_a_browser_states_a_thousand_frames_a_second(tmp_path):
    path = retimed_webm(steady(tmp_path / 'browser.webm', 1000.0, code='VP80'), TIMES_MS)
    assert cv2.VideoCapture(str(path)).get(cv2.CAP_PROP_FPS) == 1000
    source = open_source(path)
    assert [f.stamp_ns for f in source] == [1_000_000 * int(ms) for ms in TIMES_MS]
    assert source.rate_hz == pytest.approx(19e3 / TIMES_MS[-1], rel=1e-3)
    # a video of these frames has the duration of the recording
    with VideoWriter(tmp_path / 'out.mp4', source.rate_hz, 64, 48) as writer:
        for frame in source:
            writer.write(frame.image_rgb)
    assert len(list(open_source(tmp_path / 'out.mp4'))) == 20


def test_the_rate_is_the_mean_where_frames_are_missing(tmp_path):
    """In the dark, a camera skips frames of its stated rate."""
    path = steady(tmp_path / 'dark.webm', 1000.0, images=60, code='VP80')
    times_ms = np.cumsum(np.resize([20, 20, 20, 140], 60)) - 20
    source = open_source(retimed_webm(path, times_ms))
    assert source.rate_hz == pytest.approx(20.0, rel=0.05)


def test_a_clock_instead_of_a_rate_is_refused(tmp_path):
    """One frame per tick of a clock is not a rate; with a given rate, the file is read."""
    path = steady(tmp_path / 'ticks.mp4', 1000.0)
    with pytest.raises(SourceError, match='1000 .*--rate-hz'):
        open_source(path)
    assert len(list(open_source(path, rate_hz=25))) == 20


def test_fixed_rates_stay_exact(tmp_path):
    for rate_hz in (5.0, 24.0, 29.97, 60.0, 240.0):
        source = open_source(steady(tmp_path / 'steady.mp4', rate_hz))
        assert source.rate_hz == rate_hz
        expected = [round(i * 1e9 / rate_hz) for i in range(20)]
        assert np.abs(np.subtract([f.stamp_ns for f in source], expected)).max() <= 1


def test_times_increase_after_a_jump_back(tmp_path):
    """In joined files, the second part keeps its intervals."""
    path = steady(tmp_path / 'joined.webm', 1000.0, code='VP80')
    times_ms = [0, 40, 90, 130, 500, 0, 40, 60, 100, 140, 180, 220, 260, 300, 340, 380, 420, 460,
                500, 540]
    stamps_ms = np.array([f.stamp_ns for f in open_source(retimed_webm(path, times_ms))]) * 1e-6
    gaps_ms = np.diff(stamps_ms)
    assert (gaps_ms > 0).all()
    assert gaps_ms[:4].tolist() == [40, 50, 40, 370] and gaps_ms[5:8].tolist() == [40, 20, 40]


def test_repeated_times_do_not_shift_the_others(tmp_path):
    path = steady(tmp_path / 'twice.webm', 1000.0, code='VP80')
    times_ms = np.array([0, 40, 40, 80, 120, 160, 200, 190, 240, 280, *range(320, 720, 40)])
    stamps_ms = np.array([f.stamp_ns for f in open_source(retimed_webm(path, times_ms))]) * 1e-6
    assert (np.diff(stamps_ms) > 1).all() and np.abs(stamps_ms - times_ms).max() < 20


def test_a_stream_without_times_uses_its_rate(tmp_path):
    packets = cv2.VideoCapture(str(steady(tmp_path / 'whole.avi')))
    packets.set(cv2.CAP_PROP_FORMAT, -1)
    with (tmp_path / 'raw.m4v').open('wb') as file:
        while (packet := packets.read())[0]:
            file.write(packet[1].tobytes())
    source = open_source(tmp_path / 'raw.m4v')
    period_ns = round(1e9 / source.rate_hz)
    stamps = [f.stamp_ns for f in source]
    assert len(stamps) >= 19 and stamps == [period_ns * i for i in range(len(stamps))]


@pytest.mark.parametrize('suffix', ['.mkv', '.avi'])
def test_other_containers_that_break_off(tmp_path, suffix):
    path = tmp_path / f'whole{suffix}'
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*'mp4v'), 25.0, (320, 240))
    noise = np.random.default_rng(2).integers(0, 255, (240, 320, 3), dtype=np.uint8)
    for shift in range(50):
        writer.write(np.roll(noise, 7 * shift, axis=1))
    writer.release()
    assert len(list(open_source(path))) == 50
    cut = tmp_path / f'cut{suffix}'
    cut.write_bytes(path.read_bytes()[:path.stat().st_size // 2])
    frames = []
    with pytest.raises(SourceError, match='of 50'):
        for frame in open_source(cut):
            frames.append(frame)
    assert 15 < len(frames) < 35
    # a few missing frames are an error only where the file is shorter than its header states
    cut.write_bytes(path.read_bytes()[:path.stat().st_size * 96 // 100])
    with pytest.raises(SourceError, match='4[5-9] of 50'):
        list(open_source(cut))


def test_folders_are_in_natural_order(tmp_path):
    for number in range(1, 13):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((4, 4, 3), 20 * number, np.uint8))
    levels = [int(f.image_rgb.mean()) for f in open_source(tmp_path)]
    assert levels == [20 * number for number in range(1, 13)]


def test_natural_order_of_any_names(tmp_path):
    names = ['1.png', '01.png', '2a.png', '2b.png', '10.png', 'cam1_9.jpg', 'cam1_10.jpg',
             'cam2_1.jpg', 'a.png']
    image = cv2.imencode('.png', np.zeros((4, 4, 3), np.uint8))[1].tobytes()
    for name in names:
        (tmp_path / name).write_bytes(image)
    assert [path.name for path in image_files(tmp_path)] == [
        '01.png', '1.png', '2a.png', '2b.png', '10.png', 'a.png', 'cam1_9.jpg', 'cam1_10.jpg',
        'cam2_1.jpg']
