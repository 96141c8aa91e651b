"""A thread that works on the newest message; what it overtakes is counted, never queued."""

from __future__ import annotations

import threading
import traceback
from typing import Callable, Optional

_GIVE_UP_AFTER = 10


class NewestWorker:
    """
    Calls ``work(message)`` in a thread of its own.

    :param skip: called with the reason for every message that is not worked on.
    :param failed: called with a text for every exception of ``work``.
    :ivar fatal: why the worker gave up after ten failures in a row, None while it works.
    """

    def __init__(self, work: Callable, skip: Callable[[str], None], failed: Callable[[str], None]):
        """Start the thread."""
        self._work, self._skip, self._failed = work, skip, failed
        self._wake = threading.Condition()
        self._message = None
        self._stopping = False
        self.fatal: Optional[str] = None
        self._thread = threading.Thread(target=self._run, name='niki_inference', daemon=True)
        self._thread.start()

    def put(self, message):
        """Hand over a message; one that still waits is overtaken."""
        with self._wake:
            if self._message is not None or self._stopping:
                self._skip('overtaken')
            self._message = message
            self._wake.notify()

    def stop(self):
        """End the thread after the message it works on, and wait for that."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        if self._message is not None:
            self._message = None
            self._skip('deactivated')

    def _run(self):
        failures = 0
        while True:
            with self._wake:
                while self._message is None and not self._stopping:
                    self._wake.wait()
                if self._stopping:
                    return
                message, self._message = self._message, None
            try:
                self._work(message)
                failures = 0
            except Exception as error:  # whatever a library raises, the node must say it
                failures += 1
                self._skip('inference_failed')
                self._failed(f'{type(error).__name__}: {error}\n{traceback.format_exc()}')
                if failures == _GIVE_UP_AFTER:
                    self.fatal = (f'{failures} images in a row failed, the last with '
                                  f'{type(error).__name__}: {error}')
