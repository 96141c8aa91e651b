"""Reader of pickles of arrays that runs no code of the pickle."""

import io
import pickle
from typing import Any
import warnings

from niki_ros.common.errors import InputError
import numpy as np

from niki_training.files.archives import reason

_ALLOWED = {
    (module, name)
    for core in ('numpy.core', 'numpy._core')
    for module, name in ((f'{core}.multiarray', '_reconstruct'), (f'{core}.multiarray', 'scalar'),
                         (f'{core}.numeric', '_frombuffer'))
} | {('numpy', 'ndarray'), ('numpy', 'dtype'), ('_codecs', 'encode'),
     ('copyreg', '_reconstructor'), ('builtins', 'object'),
     ('copy_reg', '_reconstructor'), ('__builtin__', 'object'),   # as Python 2 wrote them
     ('builtins', 'slice'), ('__builtin__', 'slice'), ('collections', 'OrderedDict')}
_SPARSE = ('csc_matrix', 'csr_matrix', 'csc_array', 'csr_array')


class Held:
    """Arguments and state of an object of another library, which is not built."""

    kind = ''  # name of the object's class
    state: Any = None  # None for an object without a state

    def __init__(self, *args):
        self.args = args

    def __setstate__(self, state):
        self.state = state

    def array(self) -> np.ndarray:
        """Return the array of a sparse matrix or a chumpy value; others are a ValueError."""
        state = self.state if isinstance(self.state, dict) else {}
        if self.kind in _SPARSE and {'data', 'indices', 'indptr'} <= set(state):
            from scipy import sparse
            form = sparse.csc_matrix if self.kind.startswith('csc') else sparse.csr_matrix
            parts = state['data'], state['indices'], state['indptr']
            return form(parts, shape=state.get('_shape', state.get('shape'))).toarray()
        if 'x' in state:
            return dense(state['x'])
        if {'a', 'idxs'} <= set(state):
            chosen = dense(state['a']).ravel()[dense(state['idxs']).astype(int)]
            return chosen.reshape(state.get('preferred_shape', chosen.shape))
        raise ValueError(f'{self.kind} with {sorted(state)} is no array')


def _storage(data: bytes):
    """Return the storage of a tensor; torch reads it as weights only."""
    import torch
    return torch.load(io.BytesIO(data), map_location='cpu', weights_only=True)


def _tensor(storage, offset, size, stride, *_):
    """Return the array of a tensor; the arguments about gradients are ignored."""
    import torch
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')   # pickles hold storages with a type, which are deprecated
        return torch.empty(0, dtype=storage.dtype).set_(
            storage, offset, tuple(size), tuple(stride)).numpy()


_TENSORS = {'_load_from_bytes': _storage, '_rebuild_tensor_v2': _tensor,
            '_rebuild_tensor': _tensor, '_rebuild_parameter': lambda data, *_: data}
"""Name in torch's pickles → function that builds the tensor or its storage."""


class _ArraysOnly(pickle.Unpickler):
    """Unpickler that builds arrays and plain containers only."""

    def find_class(self, module, name):
        """Return the class of an array; an InputError for others: a pickle can run any program."""
        if (module, name) in _ALLOWED:
            return super().find_class(module, name)
        library = module.split('.')[0]
        if library in ('chumpy', 'pandas') or (library == 'scipy' and name in _SPARSE):
            return type(name, (Held,), {'kind': name})
        if library == 'torch' and name in _TENSORS:
            return _TENSORS[name]
        raise InputError(f'the pickle uses {module}.{name}; only arrays are read')


def restricted_load(path):
    """Return the content of a pickle of arrays, lists, dicts, numbers and text only."""
    try:
        with open(path, 'rb') as file:
            return _ArraysOnly(file, encoding='latin1').load()
    except InputError as error:
        raise InputError(f'{path}: {error}') from error
    except Exception as error:  # a damaged stream raises many kinds of errors
        raise InputError(f'{path}: not a readable pickle ({reason(error)})') from error


def dense(value) -> np.ndarray:
    """Return a value of a pickle as an array of numbers; without numbers a ValueError."""
    value = value.array() if isinstance(value, Held) else np.asarray(value)
    if value.dtype.kind not in 'fiu':
        raise ValueError(f'an array of {value.dtype} is no array of numbers')
    return value
