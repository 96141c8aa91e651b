"""Reader of pickled data frames of pandas, without pandas and without running their code."""


from niki_ros.common.errors import InputError
import numpy as np

from niki_training.files.pickles import Held, restricted_load


def read_frame(path) -> dict[str, list]:
    """Return the columns of a pickled data frame: name → list of the rows."""
    frame = restricted_load(path)
    if isinstance(frame, dict):   # the same columns as a plain dict of lists
        return {str(name): list(column) for name, column in frame.items()}
    if not isinstance(frame, Held) or frame.kind != 'DataFrame' or not isinstance(
            frame.state, dict):
        raise InputError(f'{path}: not a data frame but a {type(frame).__name__}')
    try:
        manager = frame.state.get('_mgr', frame.state.get('_data'))
        names, blocks = _parts(manager)
        columns = {}
        for values, places in blocks:
            for row, place in zip(values, np.arange(len(names))[places]):
                columns[str(names[place])] = list(row)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise InputError(f'{path}: a data frame of an unknown version of pandas ({error!r}); '
                         'write it again with pandas 1 or 2') from error
    return columns


def _parts(manager):
    """Return the names of the columns, and pairs of values (columns, rows) and positions."""
    if isinstance(manager.state, tuple):   # up to pandas 1.2
        known = manager.state[3]['0.14.1']
        return _labels(known['axes'][0]), [
            (_values(block['values']), block['mgr_locs']) for block in known['blocks']]
    blocks, axes = manager.args[:2]
    return _labels(axes[0]), [(_values(block.args[0]), block.args[1]) for block in blocks]


def _labels(index: Held) -> list:
    """Return the labels of an index: ``_new_Index(kind, {'data': …})``, or a range."""
    facts = index.args[1] if len(index.args) > 1 else index.state
    if 'data' in facts:
        return list(_values(facts['data']).ravel())
    return list(range(facts['start'], facts['stop'], facts['step']))


def _values(found) -> np.ndarray:
    """Return the array of a block; newer versions wrap text arrays."""
    if isinstance(found, np.ndarray):
        return found
    held = found.state if isinstance(found, Held) else found
    for part in held if isinstance(held, (tuple, list)) else held.values():
        if isinstance(part, np.ndarray):
            return np.atleast_2d(part)
    raise ValueError(f'a block of {found.kind if isinstance(found, Held) else type(found)}')
