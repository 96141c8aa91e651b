"""Base of networks that run on crops and, where there is time, on their mirror images."""

from typing import Any, Dict, List, Sequence

from niki_ros.observers.mirroring import FollowedView, Output
from niki_ros.observers.person_network import Workload
from niki_ros.observers.view_network import ViewNetwork
from niki_ros.scene.person_view import PersonView
import numpy as np

Row = Dict[str, np.ndarray]


class MirroredViewNetwork(ViewNetwork):
    """
    Returns the mean of the outputs for a crop and its mirror image.

    A subclass has the members that :class:`ViewNetwork` names, ``SIDES``, ``OTHERS``,
    ``_mirrored`` and ``_output``; ``_refined`` and ``_is_mirrored`` where it needs them.
    """

    SIDES: Any = None
    """(2, k) indices of points of ``_output`` at the left side, and of their counterparts."""
    OTHERS: Sequence[int] = ()
    """Indices of the counterparts of the first n points, which are positions in the image."""

    def __init__(self, model, **options):
        super().__init__(model, **options)
        self._stamp_ns, self._runs_both = 0, False

    def set_workload(self, workload: Workload) -> None:
        """Take the stamp of the next image, and whether to run on mirror images, too."""
        self._stamp_ns, self._runs_both = workload.stamp_ns, workload.runs > 1

    def _mirrored(self, row: Row) -> Row:
        """Return the outputs for a mirrored image as those for the image."""
        raise NotImplementedError

    def _output(self, row: Row, view: PersonView) -> Output:
        """Return the points of the body in axes of the camera, of the plain image."""
        raise NotImplementedError

    def _refined(self, row: Row) -> Row:
        """Return the outputs of one run, improved by themselves."""
        return row

    def _is_mirrored(self, view: PersonView) -> bool:
        """Return whether the only run on this view is on its mirror image."""
        return False

    def _is_of_both(self, view: PersonView) -> bool:
        """Return whether the network runs on this view and on its mirror image."""
        return self._runs_both and isinstance(view, FollowedView)

    def _run(self, image_rgb, camera, crops) -> List[Row]:
        images = self._images(image_rgb, camera, crops)
        runs = [(i, is_mirrored) for i, view in enumerate(crops) for is_mirrored in (
            (False, True) if self._is_of_both(view) else (self._is_mirrored(view),))]
        rows = self._outputs([np.ascontiguousarray(images[i][:, ::-1]) if is_mirrored
                              else images[i] for i, is_mirrored in runs])
        of_crop: List[List[Row]] = [[] for _ in crops]
        for (i, is_mirrored), row in zip(runs, map(self._refined, rows)):
            of_crop[i].append(self._mirrored(row) if is_mirrored else row)
        return [found[0] if len(found) == 1 else self._of_both(found[0], found[1], view)
                for found, view in zip(of_crop, crops)]

    def _of_both(self, plain: Row, mirrored: Row, view: FollowedView) -> Row:
        """Return the mean outputs; if they contradict, those that fit to the image before."""
        now = [self._output(row, view) for row in (plain, mirrored)]
        if now[0].agrees(now[1], self.SIDES, self.OTHERS):
            return self._mean(plain, mirrored)
        changes = [sum(one.change(last, self.SIDES, self.OTHERS)
                       for last in view.alternation.before[:1]) for one in now]
        return plain if changes[0] <= changes[1] else mirrored

    def _mean(self, plain: Row, mirrored: Row) -> Row:
        row = {name: (plain[name] + mirrored[name]) / 2 for name in plain}
        # one of the two more often misses a person than it sees one where there is none
        presence = np.maximum(plain[self.PRESENCE], mirrored[self.PRESENCE])
        return {**row, self.PRESENCE: presence}
