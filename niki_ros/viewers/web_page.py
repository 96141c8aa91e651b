"""
Web page with the bodies in 3D and over their image, for a browser without a network.

The standard library serves it, so that it works where the library of Rerun cannot be installed
(Python 3.10, NumPy 1), such as on a robot.
"""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
import json
import os
from pathlib import Path
import sys
from tempfile import TemporaryFile
import threading
from typing import Any, Dict, Iterable, List, Optional, Tuple
from urllib.parse import parse_qs, urlsplit

from niki_ros.body.body import Body, STATUS_NAMES
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.common.errors import ConfigError, SourceError
from niki_ros.images.overlay import confidence_rgb
from niki_ros.loading.process_source import AnnotatedFrame
import numpy as np

_FILES = {'/': ('view.html', 'text/html; charset=utf-8'),
          '/view.js': ('view.js', 'text/javascript; charset=utf-8'),
          '/view.css': ('view.css', 'text/css; charset=utf-8')}
_COLOUR_COUNT = 11
# of the temporary file that holds the images, so that long recordings do not fill the memory
_MAX_IMAGE_BYTES = 4 << 30
_MAX_FRAMES_PER_ANSWER = 500
# the browser itself refuses content from other servers
_CONTENT_SECURITY_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
_LOOPBACK_HOSTS = ('127.0.0.1', 'localhost', '::1')


class FrameStore:
    """Frames for the page, safe to use from several threads."""

    def __init__(self, title: str):
        self._title = title
        self._lock = threading.Lock()
        self._frames: List[dict] = []
        self._image_spans: List[Optional[Tuple[int, int]]] = []
        self._file = TemporaryFile()
        self._file_bytes = 0
        self._first_ns: Optional[int] = None
        self._done, self._note = False, ''

    def add(self, frame: AnnotatedFrame):
        """Add a frame; its image is stored as JPEG."""
        if self._first_ns is None:
            self._first_ns = frame.stamp_ns
        jpeg = frame.overlay_jpeg() if self._file_bytes < _MAX_IMAGE_BYTES else None
        span = None if jpeg is None else (self._file_bytes, len(jpeg))
        if jpeg is not None:
            self._file.write(jpeg)
            self._file.flush()
            self._file_bytes += len(jpeg)
        elif frame.image_rgb is not None:
            self._note = f'images after the first {_MAX_IMAGE_BYTES >> 30} GiB are not kept'
        record = {'time_s': round((frame.stamp_ns - self._first_ns) * 1e-9, 4),
                  'image': span is not None, 'bodies': [_body(body) for body in frame.bodies]}
        with self._lock:
            self._frames.append(record)
            self._image_spans.append(span)

    def add_all(self, frames: Iterable[AnnotatedFrame]) -> int:
        """Add every frame and return their number; raise a SourceError when there is none."""
        for frame in frames:
            self.add(frame)
        if not self._frames:
            raise SourceError('there is nothing to show: the source holds no image with bodies')
        return len(self._frames)

    def finish(self, note: str = ''):
        """Declare the frames complete; ``note`` is shown on the page."""
        with self._lock:
            self._done, self._note = True, note or self._note

    def about(self) -> Dict[str, Any]:
        """Return the constants of the page."""
        return {'title': self._title, 'parents': [int(one) for one in PARENTS_29],
                'status_names': list(STATUS_NAMES), 'colours_rgb': [
                    confidence_rgb(value) for value in np.linspace(0, 1, _COLOUR_COUNT)]}

    def frames_from(self, begin: int) -> Dict[str, Any]:
        """Return some frames from number ``begin`` on, and whether they are the last ones."""
        with self._lock:
            frames = self._frames[begin:begin + _MAX_FRAMES_PER_ANSWER]
            last = begin + len(frames) >= len(self._frames)
            return {'frames': frames, 'done': self._done and last, 'note': self._note}

    def jpeg(self, number: int) -> Optional[bytes]:
        """Return the image of a frame with the skeletons, None where there is none."""
        with self._lock:
            span = self._image_spans[number] if 0 <= number < len(self._image_spans) else None
        return None if span is None else os.pread(self._file.fileno(), span[1], span[0])

    def close(self):
        """Delete the images."""
        self._file.close()


class WebView:
    """
    Web server for one store.

    :param host: address to listen on; the default is reachable from this machine only.
    :param port: 0 = any free one.
    :ivar url: address of the page.
    :raises ConfigError: when the port cannot be used.
    """

    def __init__(self, store: FrameStore, host: str = '127.0.0.1', port: int = 8080):
        try:
            self._server = _Server((host, port), store)
        except (OSError, OverflowError) as error:
            raise ConfigError(f'{host}:{port} cannot be listened on: {error}; choose another '
                              'with --port (0 = any free one) or --host') from error
        label = 'localhost' if host in ('', '0.0.0.0', '::') else host
        self.url = f'http://{label}:{self._server.server_address[1]}/'
        self._thread = threading.Thread(target=self._server.serve_forever, name='niki_web',
                                        daemon=True)
        self._thread.start()

    def close(self):
        """Stop the server."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _body(body: Body) -> dict:
    """Return the JSON object of a body: joints in metres in the optical frame of the camera."""
    confidence, status = np.asarray(body.confidence), np.asarray(body.status)
    return {'id': int(body.id),
            'joints_m': np.round(np.asarray(body.joints_m, float), 3).tolist(),
            'confidence': np.round(confidence[CARRIER_29], 2).tolist(),
            'status': [int(one) for one in status[CARRIER_29]]}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: Tuple[str, int], store: FrameStore):
        super().__init__(address, _Handler)
        self.store = store
        self.allowed_hosts = _LOOPBACK_HOSTS if address[0] in _LOOPBACK_HOSTS else None

    def handle_error(self, request, client_address):
        """Print an error, except when the browser has closed the connection."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Handler of GET; the base class refuses all other methods."""

    server: _Server
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        """Send a file of the page, frames or an image."""
        try:
            allowed, url = self._is_host_allowed(), urlsplit(self.path)
        except ValueError:  # brackets that are no address
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        if not allowed:
            # DNS rebinding: a page of another site whose name resolves to this machine
            self.send_error(HTTPStatus.FORBIDDEN)
        elif url.path in _FILES:
            name, content_type = _FILES[url.path]
            self._send(Path(__file__).with_name('web').joinpath(name).read_bytes(), content_type)
        elif url.path == '/about.json':
            self._send_json(self.server.store.about())
        elif url.path == '/frames.json':
            begin = _number(parse_qs(url.query).get('from', ['0'])[0])
            self._send_json(self.server.store.frames_from(begin or 0))
        else:
            self._send_image(url.path)

    def log_message(self, *_):
        """Print nothing: the terminal is for the messages of the verb."""

    def _is_host_allowed(self) -> bool:
        host = urlsplit(f'//{self.headers.get("Host", "")}').hostname
        return self.server.allowed_hosts is None or host in self.server.allowed_hosts

    def _send_image(self, path: str):
        folder, _, name = path.lstrip('/').partition('/')
        number = _number(name.removesuffix('.jpg')) if folder == 'images' else None
        jpeg = None if number is None else self.server.store.jpeg(number)
        if jpeg is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(jpeg, 'image/jpeg')

    def _send_json(self, value):
        self._send(json.dumps(value, separators=(',', ':'), allow_nan=False).encode(),
                   'application/json')

    def _send(self, data: bytes, content_type: str):
        self.send_response(HTTPStatus.OK)
        self.send_header('Content-Type', content_type)
        self.send_header('Content-Length', str(len(data)))
        self.send_header('Cache-Control', 'no-store')
        self.send_header('Content-Security-Policy', _CONTENT_SECURITY_POLICY)
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.end_headers()
        self.wfile.write(data)


def _number(text: str) -> Optional[int]:
    """Return the value of decimal digits, None for any other text."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
