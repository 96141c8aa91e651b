"""
Bodies in a web page: moments in space and over their image, served by this process alone.

The page needs a browser, and nothing from the network. The standard library serves it, so that it
works where Rerun's library does not install (Python 3.10, NumPy 1), such as on a robot.
"""

from __future__ import annotations

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

from niki_ros.body.body import STATUS_NAMES
from niki_ros.body.skeleton import CARRIER_29, PARENTS_29
from niki_ros.common.errors import ConfigError, SourceError
import numpy as np

_FILES = {'/': ('view.html', 'text/html; charset=utf-8'),
          '/view.js': ('view.js', 'text/javascript; charset=utf-8'),
          '/view.css': ('view.css', 'text/css; charset=utf-8')}
_COLOURS = 11
# images of a long recording lie in a temporary file, not in memory
_MAX_IMAGE_BYTES = 4 << 30
_AT_ONCE = 500
# the browser itself refuses whatever is not of this server
_POLICY = "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'"
_LOOPBACK = ('127.0.0.1', 'localhost', '::1')


class MomentStore:
    """
    What has been seen so far, safe to use from several threads.

    :param title: of the page.
    """

    def __init__(self, title: str):
        """Hold nothing yet."""
        self._title = title
        self._lock = threading.Lock()
        self._moments: List[dict] = []
        self._images: List[Optional[Tuple[int, int]]] = []
        self._file = TemporaryFile()
        self._size = 0
        self._first_ns: Optional[int] = None
        self._done, self._note = False, ''

    def append(self, moment):
        """Add a :class:`niki_ros.viewers.rerun.Moment`; its image is kept as JPEG."""
        if self._first_ns is None:
            self._first_ns = moment.stamp_ns
        jpeg = moment.jpeg() if self._size < _MAX_IMAGE_BYTES else None
        place = None if jpeg is None else (self._size, len(jpeg))
        if jpeg is not None:
            self._file.write(jpeg)
            self._file.flush()
            self._size += len(jpeg)
        elif moment.image_rgb is not None:
            self._note = f'images after the first {_MAX_IMAGE_BYTES >> 30} GiB are not kept'
        about = {'time_s': round((moment.stamp_ns - self._first_ns) * 1e-9, 4),
                 'image': place is not None, 'bodies': [_body(body) for body in moment.bodies]}
        with self._lock:
            self._moments.append(about)
            self._images.append(place)

    def finish(self, note: str = ''):
        """Say that nothing more comes, and why where that is a fault."""
        with self._lock:
            self._done, self._note = True, note or self._note

    def about(self) -> Dict[str, Any]:
        """Return what the page must know before the first moment."""
        from niki_ros.images.overlay import confidence_rgb
        return {'title': self._title, 'parents': [int(one) for one in PARENTS_29],
                'status_names': list(STATUS_NAMES),
                'colours_rgb': [confidence_rgb(value) for value in np.linspace(0, 1, _COLOURS)]}

    def part(self, begin: int) -> Dict[str, Any]:
        """Return moments from number ``begin``, not all at once, and whether more will come."""
        with self._lock:
            part = self._moments[begin:begin + _AT_ONCE]
            last = begin + len(part) >= len(self._moments)
            return {'moments': part, 'done': self._done and last, 'note': self._note}

    def jpeg(self, number: int) -> Optional[bytes]:
        """Return the image of a moment with the skeletons, None where there is none."""
        with self._lock:
            place = self._images[number] if 0 <= number < len(self._images) else None
        return None if place is None else os.pread(self._file.fileno(), place[1], place[0])

    def __len__(self) -> int:
        """Return how many moments there are."""
        return len(self._moments)

    def close(self):
        """Free the images."""
        self._file.close()


class WebView:
    """
    A web server for one store.

    :param host: address to listen on; of this machine alone by default.
    :param port: 0 = any that is free.
    :ivar url: of the page.
    :raises ConfigError: where the port cannot be had.
    """

    def __init__(self, store: MomentStore, host: str = '127.0.0.1', port: int = 8080):
        """Listen; requests are answered by threads of their own."""
        handler = type('_StoreHandler', (_Handler,), {'store': store})
        try:
            self._server = _Server((host, port), handler)
        except (OSError, OverflowError) as error:
            raise ConfigError(f'{host}:{port} cannot be listened on: {error}; choose another '
                              'with --port (0 = any that is free) or --host') from error
        self._server.allowed_hosts = _LOOPBACK if host in _LOOPBACK else None
        shown = 'localhost' if host in ('', '0.0.0.0', '::') else host
        self.url = f'http://{shown}:{self._server.server_address[1]}/'
        self._thread = threading.Thread(target=self._server.serve_forever, name='niki_web',
                                        daemon=True)
        self._thread.start()

    def close(self):
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def fill(store: MomentStore, moments: Iterable) -> int:
    """
    Put every moment into the store and return how many there were.

    :raises SourceError: where there is nothing to show.
    """
    for moment in moments:
        store.append(moment)
    if not len(store):
        raise SourceError('there is no moment to show: the source holds no image with bodies')
    return len(store)


def _body(body) -> dict:
    """Return what the page draws of one person: joints in metres, camera's optical frame."""
    confidence, status = np.asarray(body.confidence), np.asarray(body.status)
    return {'id': int(body.id),
            'joints_m': np.round(np.asarray(body.joints_m, float), 3).tolist(),
            'confidence': np.round(confidence[CARRIER_29], 2).tolist(),
            'status': [int(one) for one in status[CARRIER_29]]}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allowed_hosts: Optional[Tuple[str, ...]] = None

    def handle_error(self, request, client_address):
        """Say what went wrong, unless the browser has just gone away."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET; everything else is refused by the base class."""

    store: MomentStore
    server: _Server
    protocol_version = 'HTTP/1.1'

    def do_GET(self):
        """Send a file of the page, what is known, or an image."""
        try:
            allowed, asked = self._host_allowed(), urlsplit(self.path)
        except ValueError:  # brackets that are no address
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        if not allowed:
            # a page of somebody else's whose name was made to point here
            self.send_error(HTTPStatus.FORBIDDEN)
            return
        if asked.path in _FILES:
            name, kind = _FILES[asked.path]
            self._send(Path(__file__).with_name('web').joinpath(name).read_bytes(), kind)
        elif asked.path == '/about.json':
            self._send_json(self.store.about())
        elif asked.path == '/moments.json':
            begin = _number(parse_qs(asked.query).get('from', ['0'])[0])
            self._send_json(self.store.part(begin or 0))
        else:
            self._send_image(asked.path)

    def log_message(self, *_):
        """Keep quiet: the terminal is for what the user asked for."""

    def _host_allowed(self) -> bool:
        host = urlsplit(f'//{self.headers.get("Host", "")}').hostname
        return self.server.allowed_hosts is None or host in self.server.allowed_hosts

    def _send_image(self, path: str):
        folder, _, name = path.lstrip('/').partition('/')
        number = _number(name.removesuffix('.jpg')) if folder == 'images' else None
        jpeg = None if number is None else self.store.jpeg(number)
        if jpeg is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(jpeg, 'image/jpeg')

    def _send_json(self, value):
        self._send(json.dumps(value, separators=(',', ':'), allow_nan=False).encode(),
                   'application/json')

    def _send(self, data: bytes, kind: str):
        self.send_response(HTTPStatus.OK)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(data)))
        self.send_header('Cache-Control', 'no-store')
        self.send_header('Content-Security-Policy', _POLICY)
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.end_headers()
        self.wfile.write(data)


def _number(text: str) -> Optional[int]:
    """Return a number without sign, None where the text is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
