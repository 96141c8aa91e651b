"""Log of the losses of a run: a CSV file, and TensorBoard's files where it is installed."""

import csv
from pathlib import Path


class TrainingLog:
    """Appends losses to ``log.csv`` of a folder, and to TensorBoard's files."""

    def __init__(self, folder: Path):
        self.path = folder / 'log.csv'
        try:
            from torch.utils.tensorboard import SummaryWriter
            self.board = SummaryWriter(str(folder))
        except ImportError:
            self.board = None

    def write(self, step: int, seconds: float, values: dict) -> None:
        row = {'step': step, 'seconds': round(seconds, 1)}
        row.update({name: round(float(value), 6) for name, value in values.items()})
        is_new = not self.path.exists()
        with self.path.open('a', newline='') as file:
            writer = csv.DictWriter(file, list(row))
            if is_new:
                writer.writeheader()
            writer.writerow(row)
        if self.board:
            for name, value in values.items():
                self.board.add_scalar(name, float(value), step)
