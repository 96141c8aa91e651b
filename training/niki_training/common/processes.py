"""Pools of processes."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context, parent_process
import os
from threading import Thread
from typing import Callable, Optional


def process_pool(processes: Optional[int], start: Optional[Callable] = None,
                 arguments: tuple = ()) -> ProcessPoolExecutor:
    """
    Return a pool of new processes, which end when this process is killed.

    :param processes: None = as many as the machine has processors.
    :param start: called with ``arguments`` in each process before its first job.
    """
    return ProcessPoolExecutor(processes, get_context('spawn'), _begin, (start, arguments))


def _begin(start: Optional[Callable], arguments: tuple) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    if start is not None:
        start(*arguments)


def _end_with_parent() -> None:
    # a worker that waits for a job does not notice that there will be none
    parent = parent_process()
    assert parent is not None, 'runs in processes of a pool only'
    parent.join()
    os._exit(1)
