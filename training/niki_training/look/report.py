"""Table and chart of the scores of networks that look at people."""

from pathlib import Path
from typing import Any

from niki_training.evaluate.plots import new_figure, save_figure

COLUMNS = {
    'video/followed/mpjpe_mm': 'video, mm', 'video/followed/pa_mpjpe_mm': 'aligned, mm',
    'video/exact/mpjpe_mm': 'exact crops, mm', 'video/exact/pa_mpjpe_mm': 'aligned, mm',
    'video/passer-by/mpjpe_mm': 'passer-by, mm', 'video/passer-by/covered_mm': 'behind, mm',
    'video/followed/uv_percent': 'in the crop, %',
    'video/followed/spread_percent': 'limb lengths over time, %',
    'rendered/mpjpe_mm': 'rendered, mm', 'rendered/hidden_mm': '> 30 % hidden, mm',
    'rendered/bone_percent': 'bone lengths, %', 'rendered/sides_percent': 'left to right, %',
    'rendered/visible_percent': 'visibility right, %',
    'rendered/present_percent': 'presence right, %',
    'photographs/near_percent': 'photographs within 5 %, %',
    'photographs/taught_percent': 'of people found, %',
    'reliability/correlation': 'correlation', 'reliability/off_percent': 'reliability off, %'}
_BARS = ('video/followed/mpjpe_mm', 'video/passer-by/mpjpe_mm', 'rendered/mpjpe_mm',
         'rendered/hidden_mm')


def text_report(report: dict) -> str:
    """Return a Markdown table, one row for each score and one column for each model."""
    names = list(report)
    lines = ['| | ' + ' | '.join(names) + ' |', '|---' * (1 + len(names)) + '|']
    for column, title in COLUMNS.items():
        values = [_value(report[name], column) for name in names]
        if any(value is not None for value in values):
            digits = 2 if column == 'reliability/correlation' else 1
            cells = ['' if value is None else f'{value:.{digits}f}' for value in values]
            lines.append(f'| {title} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def draw_report(report: dict, path: Path) -> None:
    """Draw the errors of all models, and measured over expected errors."""
    figure = new_figure(figsize=(12, 5), layout='constrained')
    bars, lines = figure.subplots(1, 2)
    shown = [column for column in _BARS
             if any(_value(scores, column) is not None for scores in report.values())]
    width = 0.8 / len(report)
    for number, (name, scores) in enumerate(report.items()):
        places = [k + (number + 0.5) * width - 0.4 for k in range(len(shown))]
        heights = [_value(scores, column) or 0.0 for column in shown]
        bars.bar_label(bars.bar(places, heights, width, label=name), fmt='%.0f', fontsize=7)
        rows = scores.get('reliability', {}).get('rows', [])
        lines.plot([row['expected_mm'] for row in rows], [row['found_mm'] for row in rows], 'o-',
                   label=name)
    bars.set_xticks(range(len(shown)), [COLUMNS[column] for column in shown], fontsize=8)
    bars.set(title='errors of joints', ylabel='mm')
    end = max([max(line.get_xdata(), default=0.0) for line in lines.get_lines()], default=1.0)
    lines.plot([0, end], [0, end], ':', color='grey', label='as expected')
    lines.set(title='video: measured over expected errors of limb joints',
              xlabel='expected, mm per coordinate', ylabel='measured, mm per coordinate')
    for axes in (bars, lines):
        axes.legend(fontsize='small')
    save_figure(figure, path)


def _value(scores: dict, column: str):
    """Return the score at a path of keys, or None."""
    value: Any = scores
    for key in column.split('/'):
        value = value.get(key) if isinstance(value, dict) else None
    return value
