"""Table, figure and claims of the toy experiment."""

import numpy as np

from niki_training.toy.train import METHODS

SCORES = ('joint_px', 'angle_deg', 'bone_percent')
LABELS = {'joint_px': 'joint error, px', 'angle_deg': 'angle error, °',
          'bone_percent': 'bone length, %'}
PAPER = {('direct joint', 'joint_px'): 5.1, ('kinematic', 'joint_px'): 4.9,
         ('direct parameter', 'joint_px'): 4.8, ('direct joint', 'bone_percent'): 11.8}
"""Figures of Zhou et al. 2016 at level 1; the paper has only curves of the other levels."""
_MAX_WORSE_RATIO = 1.1


def collect(rows) -> dict:
    """Return {(method, level): {score: (mean, deviation over seeds)}}; NaN for a single seed."""
    found: dict = {}
    for row in rows:
        found.setdefault((row['method'], row['level']), []).append(row)
        if 'model fit' in row:
            found.setdefault(('model fit', row['level']), []).append(row['model fit'])

    def spread(values):
        return float(np.std(values, ddof=1)) if len(values) > 1 else float('nan')

    return {key: {s: (float(np.mean([r[s] for r in group])), spread([r[s] for r in group]))
                  for s in SCORES} for key, group in found.items()}


def _cell(mean: float, spread: float) -> str:
    return f'{mean:.2f}' if np.isnan(spread) else f'{mean:.2f} ± {spread:.2f}'


def table(results: dict) -> str:
    """Return a Markdown table: a row per level, joint px / angle ° / bone % per method."""
    levels = sorted({level for _, level in results})
    lines = ['| level | ' + ' | '.join(METHODS) + ' |', '|---' * (1 + len(METHODS)) + '|']
    paper = ' | '.join(' / '.join(
        str(PAPER.get((method, score), '–')) for score in SCORES) for method in METHODS)
    lines.append(f'| 1, the paper | {paper} |')
    for level in levels:
        cells = [' / '.join(_cell(*results[method, level][s]) for s in SCORES)
                 for method in METHODS]
        lines.append(f'| {level} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def claims(results: dict) -> list:
    """Return (claim, whether it holds, figures) for the claims of the paper, at these levels."""
    levels = sorted({level for _, level in results})
    low, high = levels[0], levels[-1]

    def mean(method, level, score):
        return results[method, level][score][0]

    def grows(method, score):
        first, last = mean(method, low, score), mean(method, high, score)
        out.append((f'level {low} to {high}: {method} gets worse, {LABELS[score]}', last > first,
                    f'{first:.2f} and {last:.2f}'))

    def worse(method, score):
        there, here = mean(method, high, score), mean('kinematic', high, score)
        out.append((f'level {high}: {method} is worse than kinematic, {LABELS[score]}',
                    there > here, f'{there:.2f} and {here:.2f}'))

    out: list = []
    for method, score in (('direct parameter', 'joint_px'), ('direct joint', 'angle_deg'),
                          ('direct joint', 'bone_percent')):
        grows(method, score)
        worse(method, score)
    worse('model fit', 'joint_px')
    for score in ('joint_px', 'angle_deg'):
        best = min(mean(method, high, score) for method in METHODS)
        own = mean('kinematic', high, score)
        out.append((f'level {high}: kinematic is within a tenth of the best, {LABELS[score]}',
                    own <= _MAX_WORSE_RATIO * best, f'{own:.2f} and {best:.2f}'))
    return out


def draw(results: dict, path) -> None:
    """Draw the scores over the levels, mean and standard deviation over the seeds."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot
    plot, axes = pyplot.subplots(1, len(SCORES), figsize=(11, 3.3), layout='constrained')
    levels = sorted({level for _, level in results})
    colours = ('#d55e00', '#e69f00', '#0072b2', '#009e73')
    for axis, score in zip(axes, SCORES):
        for method, colour in zip(METHODS, colours):
            mean, spread = np.array([results[method, level][score] for level in levels]).T
            axis.errorbar(levels, mean, np.nan_to_num(spread), marker='o', markersize=4, capsize=2,
                          color=colour, label=method)
            if (method, score) in PAPER:
                axis.plot([levels[0] - 0.15], [PAPER[method, score]], '*', color=colour,
                          markersize=9)
        axis.set(title=LABELS[score], xlabel='level', xticks=levels)
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    axes[0].text(0.02, 0.02, '★ the paper', transform=axes[0].transAxes, fontsize=8)
    pyplot.rcParams['svg.hashsalt'] = 'toy'
    plot.savefig(path, dpi=80)
    pyplot.close(plot)
