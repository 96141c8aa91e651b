"""Pickled data frames of pandas, written without pandas."""

import pickle
import sys
import types

import numpy as np


def pickled_class(module: str, name: str, monkeypatch):
    """Return a class that pickles as ``module.name``, by reduce of what it is given."""
    parts = module.split('.')
    for end in range(1, len(parts) + 1):
        monkeypatch.setitem(sys.modules, '.'.join(parts[:end]),
                            sys.modules.get('.'.join(parts[:end])) or types.ModuleType('fake'))

    def build(self, args=(), state=None):
        self.made = (type(self), tuple(args), state)[:3 if state is not None else 2]

    kind = type(name, (), {'__module__': module, '__qualname__': name, '__init__': build,
                           '__reduce__': lambda self: self.made})
    monkeypatch.setattr(sys.modules[module], name, kind, raising=False)
    return kind


def pickled_frame(monkeypatch, columns: dict, old: bool) -> bytes:
    """Return a pickled data frame: of pandas 1.0, or as pandas 1.5 and 2 write it."""
    def objects(rows):
        out = np.empty((len(rows), len(rows[0])), dtype=object)
        for i, row in enumerate(rows):
            out[i, :] = row
        return out

    plain = [name for name, column in columns.items() if isinstance(column[0], float)]
    other = [name for name in columns if name not in plain]
    index = pickled_class('pandas.core.indexes.base', '_new_Index', monkeypatch)
    kind = pickled_class('pandas.core.indexes.base', 'Index', monkeypatch)
    names = index([kind, {'data': np.asarray([*plain, *other], dtype=object), 'name': None}])
    rows = index([pickled_class('pandas.core.indexes.range', 'RangeIndex', monkeypatch),
                  {'name': None, 'start': 0, 'stop': len(columns[other[0]]), 'step': 1}])
    blocks = [(np.asarray([columns[n] for n in plain]), slice(0, len(plain), 1)),
              (objects([columns[n] for n in other]), slice(len(plain), len(columns), 1))]
    manager = pickled_class('pandas.core.internals.managers', 'BlockManager', monkeypatch)
    if old:
        new_form = {'axes': [names, rows],
                    'blocks': [{'values': v, 'mgr_locs': at} for v, at in blocks]}
        state = ([names, rows], [v for v, _ in blocks], [names, names], {'0.14.1': new_form})
        made, key = manager(state=state), '_data'
    else:
        block = pickled_class('pandas._libs.internals', '_unpickle_block', monkeypatch)
        made, key = manager([tuple(block([v, at, 2]) for v, at in blocks), [names, rows]]), '_mgr'
    frame = pickled_class('pandas.core.frame', 'DataFrame', monkeypatch)
    return pickle.dumps(frame(state={key: made, '_typ': 'dataframe', '_metadata': []}))
