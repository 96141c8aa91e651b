"""Charts of the evaluation's tables and reports."""

from pathlib import Path

from niki_ros.common.errors import ConfigError
from niki_ros.files.atomic_write import atomic_write

_CHARTS = (
    ('frames', 'mpjpe_mm', 'frames: MPJPE, mm', 'log'),
    ('frames', 'rotation_deg', 'frames: local rotation error, degrees', 'linear'),
    ('frames', 'auroc', 'frames: AUROC of the confidence', 'linear'),
    ('sequences', 'mpjpe_mm', 'tracks: MPJPE, mm', 'log'),
    ('sequences', 'acceleration_mm', 'tracks: acceleration error, mm/frame²', 'log'))
_TITLES = {'rendered': 'rendered people: error per coordinate over the size of the limbs, median',
           'depth_rendered': 'depth about the hips, rendered people',
           'depth_video': 'depth about the hips, calibrated video'}
_MIN_LOG_HEIGHT = 0.1  # bars on a logarithmic axis start here; smaller values are drawn as this


def new_figure(**options):
    """Return an empty figure of matplotlib; ``options`` of :class:`matplotlib.figure.Figure`."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ConfigError(f'--plot needs matplotlib ({error}): pip install matplotlib') from error
    return Figure(**options)


def save_figure(figure, path: Path, dpi: int = 110) -> None:
    try:
        with atomic_write(path) as part:
            figure.savefig(part, dpi=dpi)
    except ValueError as error:
        raise ConfigError(f'--plot {path}: {error}') from error


def draw_tables(tables: dict, path: Path) -> None:
    """Draw a chart of each score of {frames, sequences} → solver → corruption → scores."""
    solvers = list(dict.fromkeys(name for table in tables.values() for name in table))
    colours = {name: f'C{i % 10}' for i, name in enumerate(solvers)}
    charts = [chart for chart in _CHARTS if _bars(tables.get(chart[0], {}), chart[1])]
    figure = new_figure(figsize=(12, 3.6 * max(len(charts), 1)), layout='constrained')
    grid = figure.subplots(max(len(charts), 1), 1, squeeze=False)[:, 0]
    for axes, (table, score, title, scale) in zip(grid, charts):
        _draw(axes, _bars(tables[table], score), scale, colours)
        axes.set_title(title)
    save_figure(figure, path)


def _bars(table: dict, score: str) -> dict:
    """Return solver → corruption → value, of solvers that have this score."""
    found = {name: {row: scores[score] for row, scores in rows.items() if score in scores}
             for name, rows in table.items()}
    return {name: rows for name, rows in found.items() if rows}


def _draw(axes, bars: dict, scale: str, colours: dict) -> None:
    names = list(dict.fromkeys(row for rows in bars.values() for row in rows))
    width = 0.8 / len(bars)
    for i, (solver, rows) in enumerate(bars.items()):
        place = [names.index(row) + (i + 0.5) * width - 0.4 for row in rows]
        height = [max(v, _MIN_LOG_HEIGHT) if scale == 'log' else v for v in rows.values()]
        axes.bar(place, height, width, label=solver, color=colours[solver])
    axes.set_xticks(range(len(names)), names, rotation=25)
    axes.set_yscale(scale)
    if scale == 'log':
        axes.set_ylim(bottom=_MIN_LOG_HEIGHT)
    axes.grid(axis='y', alpha=0.3)
    axes.legend(fontsize='small')


def draw_landmark_errors(report: dict, path: Path) -> None:
    """Draw the report of :func:`niki_training.evaluate.landmarks.measure`."""
    drawn = [(_draw_visibility, 'photographs'), *((_draw_two_scores, name) for name in _TITLES)]
    drawn = [(draw, name) for draw, name in drawn if name in report]
    figure = new_figure(figsize=(12, 4 * len(drawn)), layout='constrained')
    grid = figure.subplots(len(drawn), 1, squeeze=False)[:, 0]
    for axes, (draw, name) in zip(grid, drawn):
        draw(axes, report, name)
        axes.grid(axis='y', alpha=0.3)
        axes.legend(fontsize='small')
    save_figure(figure, path)


def _draw_visibility(axes, report: dict, name: str) -> None:
    """Draw the median error of each joint and label, one bar per bin of visibility."""
    groups = [(joint, label, bins) for part in (name, 'painted')
              for joint, labels in report[part].items() for label, bins in labels.items()]
    edges = list(groups[0][2])
    for i, edge in enumerate(edges):
        heights = [bins[edge]['median'] or 0.0 for _, _, bins in groups]
        places = [k + (i - 1) * 0.27 for k in range(len(groups))]
        bars = axes.bar(places, heights, 0.25, label=f'visibility from {edge}')
        axes.bar_label(bars, [f'{bins[edge]["percent"]:.0f}%' if bins[edge]['count'] else ''
                              for _, _, bins in groups], fontsize=6)
    axes.set_xticks(range(len(groups)), [f'{joint}, {label}' for joint, label, _ in groups],
                    rotation=60, ha='right', fontsize=7)
    axes.set_title(f'photographs, {report["people"]} people, landmarks-{report["model"]}: median '
                   'error in the image over the size of the limbs; above the bars the share')


def _draw_two_scores(axes, report: dict, name: str) -> None:
    """Draw both scores of each joint."""
    rows = report[name]
    bars = (('lasting', 1, 'lasting'), ('flickers', 1, 'flickers')) if name == 'rendered' else (
        ('slope', 1, 'guessed depth over true depth'),
        ('residual_mm', 100, 'standard deviation from that line, 100 mm'))
    for shift, (score, unit, label) in zip((-0.2, 0.2), bars):
        axes.bar([k + shift for k in range(len(rows))],
                 [row[score] / unit for row in rows.values()], 0.38, label=label)
    axes.set_xticks(range(len(rows)), list(rows))
    axes.set_title(_TITLES[name])


def draw_reliability(rows: list, path: Path) -> None:
    """Draw measured over expected errors: rows with ``expected_mm`` and ``found_mm``."""
    figure = new_figure(figsize=(5, 5), layout='constrained')
    axes = figure.subplots()
    expected = [row['expected_mm'] for row in rows]
    axes.plot(expected, [row['found_mm'] for row in rows], 'o-', label='lifted joints')
    axes.plot(expected, expected, ':', color='grey', label='as expected')
    axes.set(xlabel='sigma: expected error per coordinate, mm',
             ylabel='measured error per coordinate, mm')
    axes.legend()
    save_figure(figure, path)
