"""Figures of a run while it goes on: a few scores each minute, in a line, a table and a chart."""

import csv
from math import nan
from pathlib import Path
import sys
from typing import Optional

from niki_ros.common.errors import ConfigError

from niki_training.evaluate.plots import new_figure, save_figure
from niki_training.look.photographs import Photographs
from niki_training.look.scores import photograph_scores, predict, rendered_scores, video_scores
from niki_training.look.video_crops import VideoCrops
from niki_training.train.log import TrainingLog

_CHARTS = (('rendered_mm', 'rendered crops: MPJPE, mm'),
           ('hidden_mm', 'more than 30 % hidden, mm'), ('video_mm', 'video: MPJPE, mm'),
           ('near_percent', 'photographs: joints within 5 % of the box, %'), ('loss', 'loss'))


class QuickScores:
    """
    Scores of the averaged network on few crops that are not trained on.

    :param rendered: arrays of rendered crops, as of ``read_crops``, or None.
    :param photographs: of the split that is kept for evaluation, or None. :param video: or None.
    """

    def __init__(self, rendered: Optional[dict] = None, photographs: Optional[Photographs] = None,
                 video: Optional[VideoCrops] = None):
        self._rendered, self._photographs, self._video = rendered, photographs, video
        self._images = {name: source.crops() for name, source in
                        (('photographs', photographs), ('video', video)) if source is not None}

    def __call__(self, net) -> dict:
        """Return {name: figure}, as columns of the log; NaN where there are no crops."""
        figures = dict.fromkeys(('rendered_mm', 'hidden_mm', 'video_mm', 'near_percent'), nan)
        if self._rendered is not None:
            scores = rendered_scores(predict(net, self._rendered['image']), self._rendered)
            figures['rendered_mm'] = scores['mpjpe_mm']
            figures['hidden_mm'] = scores['hidden_mm'] or nan
        if self._video is not None:
            scores = video_scores(predict(net, self._images['video']), self._video)
            figures['video_mm'] = scores['followed']['mpjpe_mm']
        if self._photographs is not None:
            found = predict(net, self._images['photographs'])
            figures['near_percent'] = photograph_scores(found, self._photographs)['near_percent']
        return figures


class RunLog:
    """Writes ``log.csv``, ``progress.png`` and a line on stderr; call it with each row."""

    def __init__(self, folder: Path):
        self._folder, self._log = folder, TrainingLog(folder)

    def __call__(self, step: int, seconds: float, values: dict) -> None:
        self._log.write(step, seconds, values)
        shown = [f'{name} {values[name]:.3g}' for name, _ in _CHARTS if name in values]
        print(f'step {step}, {seconds / 60:.1f} min: {", ".join(shown)}, skipped '
              f'{values["skipped"]:.0f}', file=sys.stderr, flush=True)
        try:
            draw_progress(self._log.path, self._folder / 'progress.png')
        except ConfigError:
            pass  # without matplotlib there is the table


def draw_progress(log: Path, path: Path) -> None:
    """Draw the columns of a log over its minutes."""
    with log.open(newline='') as file:
        rows = list(csv.DictReader(file))
    charts = [(name, title) for name, title in _CHARTS if name in rows[0]]
    figure = new_figure(figsize=(8, 2.2 * len(charts)), layout='constrained')
    minutes = [float(row['seconds']) / 60 for row in rows]
    for axes, (name, title) in zip(figure.subplots(len(charts), 1, squeeze=False)[:, 0], charts):
        axes.plot(minutes, [float(row[name]) for row in rows], '.-')
        axes.set(title=title, xlabel='minutes')
        axes.grid(alpha=0.3)
    save_figure(figure, path)
