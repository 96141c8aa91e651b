"""Batches of a training, each made while the step before it is computed."""

from concurrent.futures import Future, ThreadPoolExecutor

from niki_training.look.settings import LookTrainConfig


class BatchesAhead:
    """Batches of rendered crops and photographs, made while the step before is computed."""

    def __init__(self, crops, photographs, config: LookTrainConfig):
        self._crops, self._photographs, self._config = crops, photographs, config
        self._thread = ThreadPoolExecutor(1)
        self._number = -1  # of the step whose batch is being made
        self._next: Future = self._thread.submit(tuple)

    def batch(self, number: int) -> tuple:
        """Return the batches of step ``number``, and begin to make those of the next one."""
        if self._number != number:
            self._next = self._thread.submit(self._make, number)
        own = self._next.result()
        self._number, self._next = number + 1, self._thread.submit(self._make, number + 1)
        return own

    def _make(self, number: int) -> tuple:
        photographs = (self._photographs.batch(self._config.photographs, number)
                       if self._photographs else None)
        return self._crops.batch(self._config.batch, number), photographs
