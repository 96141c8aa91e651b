"""The real front end on a real clip."""

from __future__ import annotations

import gc
import hashlib
from pathlib import Path
import subprocess
import sys

from niki_ros.core.camera import Camera
from niki_ros.core.errors import BackendError, InputError, ModelError
from niki_ros.core.skeleton import JOINT
from niki_ros.observers.mediapipe import MAX_GAP_NS, MediaPipeObserver
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

cv2 = pytest.importorskip('cv2')
tomllib = pytest.importorskip('tomllib', reason='the calibration is TOML: Python 3.11')

PERIOD_NS = 16_666_667
LIMBS = {'Hip': 'hip', 'Knee': 'knee', 'Ankle': 'ankle', 'Shoulder': 'shoulder',
         'Elbow': 'elbow', 'Wrist': 'wrist'}


def read_frames(path, count):
    """Return the first frames of a video, RGB."""
    video, frames = cv2.VideoCapture(str(path)), []
    for _ in range(count):
        good, frame = video.read()
        assert good, path
        frames.append(frame[:, :, ::-1])  # a view with negative strides, on purpose
    return frames


@pytest.fixture(scope='module')
def frames(shared_data):
    """Return twelve frames of the first camera."""
    return read_frames(shared_data / 'pose2sim' / 'cam01.mp4', 12)


@pytest.fixture(scope='module')
def shared_data():
    """Return the folder of real data; skip where there is none."""
    from scenes import shared_folder
    return shared_folder() / 'data'


@pytest.fixture
def observer(mediapipe_model):
    """Return a front end; closed afterwards."""
    one = MediaPipeObserver()
    yield one
    one.close()


def digest(observer, frames, start_ns=0) -> str:
    """Hash everything that is seen in ``frames``."""
    found = hashlib.sha256()
    for index, frame in enumerate(frames):
        for seen in observer.observe(frame, None, start_ns + index * PERIOD_NS):
            for array in (seen.joints_m, seen.sigma, seen.keypoints_px, seen.box_px):
                found.update(array.tobytes())
    return found.hexdigest()


def test_a_person_is_seen_in_every_frame_with_finite_values(observer, frames):
    """Shapes, types and ranges of the contract."""
    for index, frame in enumerate(frames):
        seen, = observer.observe(frame, None, index * PERIOD_NS)
        assert seen.joints_m.shape == (29, 3) and np.isfinite(seen.joints_m).all()
        assert (seen.joints_m[0] == 0).all()
        assert seen.sigma.min() > 0 and seen.sigma.max() <= 1
        assert seen.keypoints_px.shape == (29, 2)
        x0, y0, x1, y1 = seen.box_px
        assert 0 <= x0 < x1 <= 1080 and 0 <= y0 < y1 <= 1920
        assert 0.5 < seen.score <= 1


def test_the_same_stream_gives_the_same_bits(observer, frames):
    """After reset, after a stamp that jumps back, after a pause."""
    first = digest(observer, frames)
    observer.reset()
    assert digest(observer, frames) == first
    assert digest(observer, frames, start_ns=7) == first, 'stamp jumped back'
    assert digest(observer, frames, start_ns=10 * MAX_GAP_NS) == first, 'stamp jumped forward'


def test_a_new_process_gives_the_same_bits_and_ends_quietly(observer, frames, shared_data):
    """Nothing depends on the process; nothing is printed at the end, closed or not."""
    code = ('import sys; sys.path.insert(0, "test"); import test_observer_mediapipe as t; '
            'o = t.MediaPipeObserver(); '
            'print(t.digest(o, t.read_frames(sys.argv[1], 12)))')
    result = subprocess.run(
        [sys.executable, '-c', code, str(shared_data / 'pose2sim' / 'cam01.mp4')],
        capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1], check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == digest(observer, frames)
    assert result.stderr == ''


def test_repeated_stamps_and_other_sizes_are_taken(observer, frames):
    """The clock of MediaPipe goes on where the stamp does not."""
    for _ in range(3):
        assert observer.observe(frames[0], None, 1_000)
    cut = frames[0][:1200]
    seen = observer.observe(cut, None, 50_000_000)
    assert seen and seen[0].box_px[3] <= 1200


def test_read_only_and_strided_images_give_the_same(observer, frames):
    """The layout in memory does not matter."""
    own = np.ascontiguousarray(frames[0])
    own.flags.writeable = False
    padded = np.zeros((1920, 1100, 3), np.uint8)
    padded[:, :1080] = own
    results = []
    for image in (frames[0], own, padded[:, :1080]):
        observer.reset()
        results.append(observer.observe(image, None, 0)[0].joints_m)
    assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


@pytest.mark.parametrize('image', [
    np.zeros((0, 0, 3), np.uint8), np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_what_is_no_image_is_refused_by_name(observer, image):
    """The error has shape and type."""
    with pytest.raises(InputError, match='expected .H, W, 3. uint8'):
        observer.observe(image, None, 0)


def test_no_person_gives_an_empty_list(observer):
    """Grey is nobody."""
    assert observer.observe(np.full((480, 640, 3), 128, np.uint8), None, 0) == []


def test_a_closed_observer_says_so(observer, frames):
    """Closing twice is no error, using it is."""
    observer.close()
    observer.close()
    with pytest.raises(BackendError, match='closed'):
        observer.observe(frames[0], None, 0)


def test_a_missing_model_names_the_command(tmp_path, monkeypatch):
    """No silent download."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    with pytest.raises(ModelError, match='niki models fetch heavy'):
        MediaPipeObserver(model='heavy')


def test_describe_tells_what_runs(observer):
    """For diagnostics."""
    about = observer.describe()
    assert about['observer'] == 'mediapipe' and about['observer_model'] == 'full'
    assert len(about['observer_sha256']) == 64


def read_truth(folder, number):
    """Return measured joints (100, 21, 3) in camera axes, their names, and the camera."""
    table = (folder / 'balancing_trial.trc').read_text().split('\n')
    names = [name for name in table[3].split('\t')[2:] if name.strip()]
    rows = [[float(v) for v in line.split('\t')[2:] if v.strip()] for line in table[5:]
            if line.strip()]
    world = np.array(rows).reshape(-1, 21, 3)[..., [2, 0, 1]]
    about = tomllib.loads((folder / 'calibration.toml').read_text())[f'cam_0{number}']
    turn = Rotation.from_rotvec(about['rotation']).as_matrix()
    camera = Camera(np.array(about['matrix']), 1080, 1920, np.array(about['distortions']))
    return world @ turn.T + about['translation'], names, camera


@pytest.mark.parametrize('number, limit_mm', [(1, 125), (4, 125)])
def test_error_against_measured_joints(observer, shared_data, number, limit_mm):
    """MPJPE of 12 limb joints, root-aligned, camera axes; measured 116 and 114 mm."""
    folder = shared_data / 'pose2sim'
    truth, names, camera = read_truth(folder, number)
    theirs = [names.index(s + k) for s in 'LR' for k in LIMBS]
    ours = [JOINT[f'{s}_{k}'] for s in ('left', 'right') for k in LIMBS.values()]
    errors, spread = [], []
    for index, frame in enumerate(read_frames(folder / f'cam0{number}.mp4', 100)):
        seen = observer.observe(frame, camera, index * PERIOD_NS)[0]
        got, true = seen.joints_m[ours], truth[index, theirs]
        difference = (got - got[[0, 6]].mean(0)) - (true - true[[0, 6]].mean(0))
        errors.append(np.linalg.norm(difference, axis=1).mean())
        spread.append(difference / (0.2 * seen.sigma[ours, None]))
    assert np.mean(errors) * 1000 < limit_mm
    # sigma is honest: errors over sigma are about standard normal, and no more than 2
    assert 0.5 < np.sqrt(np.square(spread).mean()) < 2.0


def test_an_observer_that_nobody_closed_is_closed_when_the_next_is_made(mediapipe_model):
    """Left to the garbage collector MediaPipe can wait for itself for ever."""
    from niki_ros.observers import mediapipe
    before = len(mediapipe._open_landmarkers)
    MediaPipeObserver()
    gc.collect()
    assert len(mediapipe._open_landmarkers) > before
    MediaPipeObserver().close()
    assert len(mediapipe._open_landmarkers) <= before


def test_a_person_too_small_for_the_detector_is_found_in_a_given_box(observer, frames):
    """90 pixels high in 1280x720: nobody for MediaPipe's own search."""
    small = cv2.resize(np.ascontiguousarray(frames[0][380:1260, 200:960]), None, fx=0.125,
                       fy=0.125, interpolation=cv2.INTER_AREA)
    height, width = small.shape[:2]
    pictures = []
    for index in range(8):
        image = np.full((720, 1280, 3), 118, np.uint8)
        image[300:300 + height, 800 + 2 * index:800 + 2 * index + width] = small
        pictures.append(image)
    assert observer.observe(pictures[0], None, 0) == []
    observer.give_boxes([[810, 300, 800 + width - 10, 300 + height]])
    for index, image in enumerate(pictures):
        seen = observer.observe(image, None, (index + 1) * PERIOD_NS)
        assert len(seen) == 1, index
        x0, y0, x1, y1 = seen[0].box_px
        assert 790 < x0 < x1 < 940 and 290 < y0 < y1 < 430


@pytest.mark.parametrize('number', [1, 2, 3, 4])
def test_somebody_a_ninth_of_the_image_tall_is_found_soon(observer, shared_data, number):
    """140 pixels in 1280x720, 13 metres away at 60 degrees: nobody for the whole image."""
    frame = np.ascontiguousarray(
        read_frames(shared_data / 'pose2sim' / f'cam0{number}.mp4', 16)[-1])
    whole = observer.observe(frame, None, 0)[0]
    x0, y0, x1, y1 = whole.box_px
    scale = 140 / float(y1 - y0)
    small = cv2.resize(frame, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    image = cv2.GaussianBlur(cv2.resize(frame[200:1500], (1280, 720)), (0, 0), 25)
    shift = np.round([850 - scale * (x0 + x1) / 2, 380 - scale * (y0 + y1) / 2]).astype(int)
    low, high = np.maximum(shift, 0), np.minimum(shift + small.shape[1::-1], (1280, 720))
    image[low[1]:high[1], low[0]:high[0]] = small[
        low[1] - shift[1]:high[1] - shift[1], low[0] - shift[0]:high[0] - shift[0]]
    observer.reset()
    for index in range(40):
        seen = observer.observe(image, None, index * 33_333_333)
    assert len(seen) == 1
    limbs = [JOINT[f'{side}_{part}'] for side in ('left', 'right') for part in LIMBS.values()]
    off = np.linalg.norm(seen[0].keypoints_px - (scale * whole.keypoints_px + shift), axis=1)
    assert np.median(off[limbs]) < 0.12 * 140


def test_boxes_that_are_none_are_refused(observer):
    """By name."""
    with pytest.raises(InputError, match='boxes_px'):
        observer.give_boxes([[1, 2, 3]])


def test_two_people_side_by_side_are_seen_as_well_as_alone(observer, frames):
    """The second one by a landmarker that sees only that part of the image."""
    half = [np.ascontiguousarray(frame[360:1360, 100:984]) for frame in frames]
    both = [np.hstack([one, one[:, ::-1]]) for one in half]
    counts = [len(observer.observe(one, None, i * PERIOD_NS)) for i, one in enumerate(both)]
    assert counts == [2] * len(both)
    seen = sorted(observer.observe(both[-1], None, len(both) * PERIOD_NS),
                  key=lambda one: one.box_px[0])
    # the mirror image of the first person is the second one, left and right exchanged
    mirrored = seen[1].keypoints_px[:, 0]
    assert abs((2 * 884 - mirrored).mean() - seen[0].keypoints_px[:, 0].mean()) < 25
