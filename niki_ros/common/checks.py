"""Checks of arrays and images, with errors that name what is wrong."""

from niki_ros.common.errors import InputError
import numpy as np

_MAX_DISTANCE_M = 1e6  # from the root; a joint beyond it is no measurement


def finite_array(name: str, value, shape, dtype=np.float64) -> np.ndarray:
    """Return a finite array of ``shape`` (None = any length), or raise an InputError."""
    try:
        array = np.asarray(value, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f'{name} is not an array of numbers: {error}') from error
    wanted = tuple('N' if n is None else n for n in shape)
    if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape)):
        raise InputError(f'{name} has shape {array.shape}; expected {wanted}')
    if not np.isfinite(array).all():
        bad = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
        raise InputError(f'{name}{list(bad)} is {array[bad]}; every value must be finite')
    return array


def checked_rgb(image_rgb) -> np.ndarray:
    """Return the image (H, W, 3) uint8 as a contiguous array, or raise an InputError."""
    image = np.asarray(image_rgb)
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise InputError(f'image has shape {image.shape} and type {image.dtype}; '
                         'expected (height, width, 3) uint8 RGB')
    return np.ascontiguousarray(image)


def solver_input(joints_m, sigma, twist_cos_sin=None, betas=None):
    """
    Check the arguments of ``Solver.solve`` and return them; an InputError names the argument.

    :return: joints_m (N, 29, 3), sigma (N, 29), twist_cos_sin (N, 23, 2) or None, betas or None.
    """
    joints = finite_array('joints_m', joints_m, (None, 29, 3))
    n = len(joints)
    if n == 0:
        raise InputError('joints_m is empty (0, 29, 3); give at least one person')
    if np.abs(joints).max() > _MAX_DISTANCE_M:
        raise InputError(f'joints_m has the value {joints.flat[np.abs(joints).argmax()]:g}; '
                         f'metres from the root are expected, below {_MAX_DISTANCE_M:g}')
    sigma = finite_array('sigma', sigma, (n, 29))
    if sigma.min() < 0:
        raise InputError(f'sigma has a negative value {sigma.min():g}; expected 0 … 1')
    if sigma.max() > 1 + 1e-6:
        raise InputError(f'sigma has a value {sigma.max():g}; expected 0 … 1 (error over 200 mm)')
    if twist_cos_sin is not None:
        twist_cos_sin = finite_array('twist_cos_sin', twist_cos_sin, (n, 23, 2))
    if betas is not None:
        betas = finite_array('betas', betas, (n, 10))
    return joints, sigma, twist_cos_sin, betas
