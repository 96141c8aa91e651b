"""A thread that processes the newest message; older ones are counted as skipped, not queued."""

import threading
from time import perf_counter
import traceback
from typing import Callable, Optional

_MAX_FAILURES_IN_A_ROW = 10


class LatestMessageWorker:
    """
    Calls ``process(message, waited_s)`` in a thread of its own.

    :param on_skip: called with the reason for every message that is not processed.
    :param on_failure: called with a text for every exception of ``process``.
    :ivar fatal: text of the last failure once the worker has given up, None while it works.
    """

    def __init__(self, process: Callable, on_skip: Callable[[str], None],
                 on_failure: Callable[[str], None]):
        self._process, self._on_skip, self._on_failure = process, on_skip, on_failure
        self._wake = threading.Condition()
        self._message, self._put_s = None, 0.0
        self._stopping = False
        self.fatal: Optional[str] = None
        self._thread = threading.Thread(target=self._run, name='niki_inference', daemon=True)
        self._thread.start()

    def put(self, message) -> None:
        """Hand over a message; one that is still waiting is skipped."""
        with self._wake:
            if self._stopping:
                self._on_skip('deactivated')
                return
            if self._message is not None:
                self._on_skip('overtaken')
            self._message, self._put_s = message, perf_counter()
            self._wake.notify()

    def stop(self) -> None:
        """End the thread after its current message, and wait for the end."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join()
        if self._message is not None:
            self._message = None
            self._on_skip('deactivated')

    def _run(self) -> None:
        failure_count = 0
        while (arguments := self._next()) is not None:
            try:
                self._process(*arguments)
                failure_count = 0
            except Exception as error:  # any exception of a library becomes a fault
                failure_count += 1
                self._on_skip('inference_failed')
                self._on_failure(f'{type(error).__name__}: {error}\n{traceback.format_exc()}')
                if failure_count == _MAX_FAILURES_IN_A_ROW:
                    self.fatal = (f'{failure_count} images in a row failed, the last one with '
                                  f'{type(error).__name__}: {error}')

    def _next(self):
        """Wait for the next message; return it and the time that it waited, None at the end."""
        with self._wake:
            self._wake.wait_for(lambda: self._message is not None or self._stopping)
            if self._stopping:
                return None
            message, self._message = self._message, None
            return message, perf_counter() - self._put_s
