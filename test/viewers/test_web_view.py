"""``niki view --web``: the answers of the server, and the page in a browser."""

from contextlib import contextmanager
from http.client import HTTPConnection
import json
import re
import shutil
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import cv2
from niki_ros.body.body import Body, OBSERVED, PREDICTED
from niki_ros.body.rotations import rotmat_from_rotvec
from niki_ros.body.skeleton import open_skeleton, PARENTS_29
from niki_ros.cli import main as niki
from niki_ros.common.errors import ConfigError, SourceError
from niki_ros.images.overlay import confidence_rgb
from niki_ros.loading.process_source import AnnotatedFrame
from niki_ros.scene.camera import Camera
from niki_ros.viewers.web_page import FrameStore, WebView
import numpy as np
import pytest
from scenes import child_environment, FACING

CAMERA = Camera.from_fov(640, 480, 60.0)
T0, STEP_NS = 1_700_000_000_000_000_000, 40_000_000
BROWSERS = ('chromium', 'chromium-browser', 'chromium-headless-shell', 'google-chrome')


def person(number: int, x_m: float, confidence: float = 1.0) -> Body:
    joints_m = open_skeleton().rest() @ FACING + [x_m, 0, 3.0]
    status = np.full(24, OBSERVED, np.uint8)
    status[[4, 7, 10]] = PREDICTED
    rotmat = rotmat_from_rotvec(np.zeros((24, 3)))
    return Body(number, T0, rotmat, np.zeros(10), joints_m[0], joints_m, np.full(24, confidence),
                status, np.zeros((24, 3)), np.zeros(3), np.full((29, 2), np.nan))


def frames(count=4):
    """Yield frames; the first has no person, and the second has no image."""
    for index in range(count):
        image = None if index == 1 else np.full((480, 640, 3), (90, 120, 150), np.uint8)
        bodies = [person(1, -0.9), person(2, 0.9)] if index else []
        yield AnnotatedFrame(T0 + index * STEP_NS, image, bodies, CAMERA)


@contextmanager
def served(source=None, title='clip.mp4', **options):
    store = FrameStore(title)
    if source is not None:
        store.add_all(source)
    view = WebView(store, port=0, **options)
    try:
        yield store, view
    finally:
        view.close()
        store.close()


def get(view, path, host=None):
    connection = HTTPConnection('127.0.0.1', urlsplit(view.url).port, timeout=10)
    connection.request('GET', path, headers={'Host': host} if host else {})
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, dict(answer.getheaders()), body


def test_frames_while_the_source_runs_and_at_its_end():
    with served(title='a <b>') as (store, view):
        assert json.loads(get(view, '/frames.json')[2]) == {
            'frames': [], 'done': False, 'note': ''}
        assert store.add_all(frames()) == 4
        found = json.loads(get(view, '/frames.json?from=1')[2])
        assert [one['time_s'] for one in found['frames']] == [0.04, 0.08, 0.12]
        assert not found['done'] and [one['image'] for one in found['frames']] == [
            False, True, True]
        body = found['frames'][0]['bodies'][1]
        assert body['id'] == 2 and len(body['confidence']) == len(body['status']) == 29
        assert np.allclose(body['joints_m'], person(2, 0.9).joints_m, atol=6e-4)
        assert body['status'][28] == body['status'][PARENTS_29[28]]
        store.finish('it breaks off')
        assert json.loads(get(view, '/frames.json?from=4')[2]) == {
            'frames': [], 'done': True, 'note': 'it breaks off'}
        about = json.loads(get(view, '/about.json')[2])
        assert about['title'] == 'a <b>' and about['parents'] == list(PARENTS_29)
        assert tuple(about['colours_rgb'][-1]) == confidence_rgb(1.0)
        jpeg = get(view, '/images/2.jpg')[2]
        image = cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1)
        assert image.shape == (480, 640, 3) and image.std() > 2


def test_many_frames_come_in_parts():
    with served(AnnotatedFrame(T0 + n, None, [], None) for n in range(1201)) as (store, view):
        store.finish()
        sizes, begin, done = [], 0, False
        while not done:
            part = store.frames_from(begin)
            done, begin = part['done'], begin + len(part['frames'])
            sizes.append(len(part['frames']))
        assert sum(sizes) == 1201 and len(sizes) == 3


@pytest.mark.parametrize('path', [
    '/images/1.jpg', '/images/99.jpg', '/images/-1.jpg', '/images/x', '/images/0', '/view.py',
    '/../web_view.py', '/images/..%2f', '/images/99999999999999999999.jpg'])
def test_nothing_else_is_served(path):
    with served(frames()) as (store, view):
        expected = 200 if path == '/images/0' else 404
        assert get(view, path)[0] == expected


def test_invalid_queries_are_answered():
    with served(frames()) as (store, view):
        for asked in ('-1', 'x', '', '9' * 30):
            assert len(json.loads(get(view, f'/frames.json?from={asked}')[2])['frames']) == 4


@pytest.mark.parametrize('asked', [
    'GET / HTTP/1.1\r\nHost: [x', 'GET http://[x HTTP/1.1\r\nHost: x'])
def test_invalid_hosts_are_refused(asked, capfd):
    """Port scanners send them; nothing is printed."""
    with served(frames()) as (store, view):
        with socket.create_connection(('127.0.0.1', urlsplit(view.url).port), 10) as connection:
            connection.sendall(f'{asked}\r\n\r\n'.encode())
            assert connection.recv(100).startswith(b'HTTP/1.1 400')
    assert not capfd.readouterr().err


def test_other_sites_are_refused():
    """Other host names are refused, and the page loads nothing from other servers."""
    with served(frames()) as (store, view):
        assert get(view, '/frames.json', host='evil.example:8080')[0] == 403
        assert get(view, '/frames.json', host='localhost:8080')[0] == 200
        for path in ('/', '/view.js', '/view.css'):
            status, headers, body = get(view, path)
            assert status == 200 and not re.search(rb'(https?:)?//[a-z]+\.', body)
            assert "default-src 'self'" in headers['Content-Security-Policy']
    with served(frames(), host='0.0.0.0') as (store, view):
        assert get(view, '/frames.json', host='robot.local:8080')[0] == 200
        assert view.url.startswith('http://localhost:')


def test_a_used_port_is_named():
    with served(frames()) as (store, view):
        port = urlsplit(view.url).port
        with pytest.raises(ConfigError, match=f'127.0.0.1:{port} .*--port'):
            WebView(store, port=port)
        for bad in (-1, 99999):
            with pytest.raises(ConfigError, match='--port'):
                WebView(store, port=bad)


def test_nothing_to_show_is_an_error():
    store = FrameStore('x')
    with pytest.raises(SourceError):
        store.add_all([])
    store.close()


def test_options_exclude_each_other(capsys):
    with pytest.raises(SystemExit):
        niki.main(['view', 'x.mp4', '--web', '--save', 'x.rrd'])
    assert 'not allowed with' in capsys.readouterr().err


def screenshot(url, path, window=(1200, 700)):
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        pytest.skip(f'no browser here ({", ".join(BROWSERS)}): apt install chromium')
    command = [browser, '--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run',
               '--disable-background-networking', f'--user-data-dir={path.parent / "profile"}',
               '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
               f'--window-size={window[0]},{window[1]}', '--hide-scrollbars',
               '--virtual-time-budget=4000', f'--screenshot={path}', url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    if not path.is_file():
        raise AssertionError(done.stderr[-2000:])
    return cv2.imread(str(path))[..., ::-1].astype(int)


def shows_colour(image, rgb) -> float:
    return float((abs(image - rgb).max(axis=2) < 25).mean())


def test_a_browser_shows_skeletons_and_image(tmp_path):
    with served(frames()) as (store, view):
        store.finish()
        page = screenshot(f'{view.url}?at=0.1', tmp_path / 'page.png')
    left, right = np.split(page[:, :page.shape[1] // 2 * 2], 2, axis=1)
    space = left[80:560]
    assert shows_colour(space, confidence_rgb(1.0)) > 0.004
    rows, columns = np.nonzero(abs(space - confidence_rgb(1.0)).max(axis=2) < 25)
    assert np.ptp(rows) > 150 and np.ptp(columns) > 150
    # empty columns between two people
    filled = np.flatnonzero(np.bincount(columns, minlength=space.shape[1]))
    assert np.diff(filled).max() > 3
    assert shows_colour(right, (90, 120, 150)) > 0.3


def test_a_browser_shows_a_frame_without_people(tmp_path):
    with served(iter([AnnotatedFrame(T0, None, [], None)])) as (store, view):
        store.finish()
        page = screenshot(view.url, tmp_path / 'page.png')
    assert shows_colour(page, (28, 28, 31)) > 0.4


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / 'images'
    path.mkdir()
    for number in range(3):
        cv2.imwrite(str(path / f'{number}.png'), np.full((240, 320, 3), 60, np.uint8))
    return path


def test_the_command(folder):
    process = subprocess.Popen(
        [sys.executable, '-m', 'niki_ros.cli.main', 'view', str(folder), '--web', '--port', '0',
         '--set', 'solver.name=analytic', '--set', 'observer.model=lite'],
        stderr=subprocess.PIPE, text=True, env=child_environment())
    try:
        url = re.search(r'http://\S+', process.stderr.readline())[0]
        assert 'has all 3 images' in process.stderr.readline()

        class View:
            pass
        View.url = url
        assert json.loads(get(View, '/frames.json')[2])['done'] is True
        assert get(View, '/images/2.jpg')[0] == 200
    finally:
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=20)[1]
    assert process.returncode == 0 and 'Traceback' not in said
