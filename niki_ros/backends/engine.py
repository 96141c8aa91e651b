"""The protocol of all backends, and the check of an engine's inputs."""

from dataclasses import dataclass
from typing import Dict, Protocol, Tuple, Union

from niki_ros.common.errors import InputError
import numpy as np

BACKENDS = ('onnxruntime', 'tensorrt')
PRECISIONS = ('fp32', 'fp16', 'int8')


@dataclass(frozen=True)
class TensorSpec:
    """Name, shape and type of an input or output; a free dimension is a name, or -1."""

    name: str
    shape: Tuple[Union[int, str], ...]
    dtype: str = 'float32'

    def fits(self, shape: tuple) -> bool:
        return len(shape) == len(self.shape) and all(
            not isinstance(size, int) or size in (-1, found)
            for size, found in zip(self.shape, shape))


class Engine(Protocol):
    """A loaded graph that runs on one device through one library."""

    inputs: Tuple[TensorSpec, ...]
    outputs: Tuple[TensorSpec, ...]

    def run(self, inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
        """
        Return the outputs of the graph by name.

        :param inputs: name → array of the shape in :attr:`inputs`, converted to its type.
        :raises InputError: when an input is missing, unknown or of another shape.
        """
        ...

    def describe(self) -> dict:
        """
        Return facts about what runs; an engine may add others to these.

        ``library``, ``version``, ``device``, ``precision``, ``threads``, ``model_sha256``.
        """
        ...

    def close(self) -> None:
        """Free the device memory; the engine cannot run afterwards."""
        ...


def checked_inputs(specs: Tuple[TensorSpec, ...],
                   inputs: Dict[str, np.ndarray]) -> Dict[str, np.ndarray]:
    """Return contiguous arrays of the types in ``specs``; an InputError names a wrong input."""
    names = [spec.name for spec in specs]
    if set(names) != set(inputs):
        missing, unknown = set(names) - set(inputs), set(inputs) - set(names)
        raise InputError(f'the model takes {", ".join(names)}; missing: '
                         f'{sorted(missing) or "none"}, unknown: {sorted(unknown) or "none"}')
    arrays = {}
    for spec in specs:
        array = np.ascontiguousarray(inputs[spec.name], dtype=spec.dtype)
        if not spec.fits(array.shape):
            raise InputError(f'{spec.name} has shape {array.shape}; expected {spec.shape}')
        arrays[spec.name] = array
    return arrays
