"""
Rotations, batched over leading axes.

Matrices rotate column vectors: ``v_parent = rotmat @ v_child``. Scipy has some of these functions;
for the few rotations of one body they are several times slower.
"""

import numpy as np

# a rotation matrix is linear in the ten products of the components of its quaternion x y z w
_FIRST, _SECOND = np.triu_indices(4)
_QUADRATIC = np.asarray([
    [1, 0, 0, 0, -1, 0, 0, 0, -1],      # xx
    [0, 2, 0, 2, 0, 0, 0, 0, 0],        # xy
    [0, 0, 2, 0, 0, 0, 2, 0, 0],        # xz
    [0, 0, 0, 0, 0, -2, 0, 2, 0],       # xw
    [-1, 0, 0, 0, 1, 0, 0, 0, -1],      # yy
    [0, 0, 0, 0, 0, 2, 0, 2, 0],        # yz
    [0, 0, 2, 0, 0, 0, -2, 0, 0],       # yw
    [-1, 0, 0, 0, -1, 0, 0, 0, 1],      # zz
    [0, -2, 0, 2, 0, 0, 0, 0, 0],       # zw
    [1, 0, 0, 0, 1, 0, 0, 0, 1],        # ww
], dtype=np.float64)
# (9, 16) the same as a symmetric form (4, 4) for each entry of the matrix
_FORM = np.zeros((9, 4, 4))
_FORM[:, _FIRST, _SECOND] += _QUADRATIC.T / 2
_FORM[:, _SECOND, _FIRST] += _QUADRATIC.T / 2
_FORM = _FORM.reshape(9, 16)
_TRANSPOSED = np.asarray([0, 3, 6, 1, 4, 7, 2, 5, 8])
# entries off the diagonal of 4 q qᵀ: place, 0 = sum or 1 = difference of two opposite entries of
# the matrix, and the index of the first of the two
_SHEPPERD_ENTRIES = (((0, 1), 0, 1), ((0, 2), 0, 2), ((1, 2), 0, 5), ((0, 3), 1, 7),
                     ((1, 3), 1, 2), ((2, 3), 1, 3))
# indices for cross products without numpy's slow cross()
_NEXT, _AFTER = np.asarray([1, 2, 0]), np.asarray([2, 0, 1])


def rotmat_from_quat(quat_xyzw) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) of unit quaternions (..., 4), x y z w."""
    quat = np.asarray(quat_xyzw, dtype=np.float64)
    products = quat.take(_FIRST, -1) * quat.take(_SECOND, -1)
    return (products @ _QUADRATIC).reshape(quat.shape[:-1] + (3, 3))


def rotmat_from_rotvec(rotvec) -> np.ndarray:
    """Return rotation matrices (..., 3, 3) of rotation vectors (..., 3), radians."""
    rotvec = np.asarray(rotvec, dtype=np.float64)
    angle = np.sqrt(np.einsum('...i,...i->...', rotvec, rotvec))
    quat = np.empty(rotvec.shape[:-1] + (4,))
    half = 0.5 * angle
    factor = np.sin(half) / np.maximum(angle, 1e-15)
    np.multiply(rotvec, factor[..., None], out=quat[..., :3])
    quat[..., 3] = np.cos(half)
    return rotmat_from_quat(quat)


def rotvec_from_rotmat(rotmat) -> np.ndarray:
    """Return rotation vectors (..., 3), angle in [0, π], of rotation matrices (..., 3, 3)."""
    # the way through the quaternion is stable at 0 and at π
    quat = quat_xyzw_from_rotmat(rotmat)
    quat = np.where(quat[..., 3:] < 0, -quat, quat)
    sine = length(quat[..., :3])[..., None]
    angle = 2 * np.arctan2(sine, quat[..., 3:])
    return quat[..., :3] * np.where(sine < 1e-8, 2.0, angle / np.maximum(sine, 1e-12))


def quat_xyzw_from_rotmat(rotmat) -> np.ndarray:
    """Return unit quaternions (..., 4), x y z w, of matrices (..., 3, 3), by Shepperd 1978."""
    m = np.asarray(rotmat, dtype=np.float64)
    flat = m.reshape(m.shape[:-2] + (9,))
    mirrored = flat.take(_TRANSPOSED, -1)
    # the products 4 q qᵀ row by row; every row is the quaternion times a factor
    rows = np.empty(m.shape[:-2] + (4, 4))
    d0, d1, d2 = flat[..., 0], flat[..., 4], flat[..., 8]
    more, less = 1 + d0, 1 - d0
    rows[..., 0, 0], rows[..., 1, 1] = more - d1 - d2, less + d1 - d2
    rows[..., 2, 2], rows[..., 3, 3] = less - d1 + d2, more + d1 + d2
    total, off = flat + mirrored, flat - mirrored
    for (row, column), values, entry in _SHEPPERD_ENTRIES:
        rows[..., row, column] = rows[..., column, row] = (total, off)[values][..., entry]
    rows = rows.reshape(-1, 16)
    best = rows[:, ::5].argmax(axis=1)
    quat = rows.reshape(-1, 4, 4)[np.arange(len(rows)), best].reshape(m.shape[:-2] + (4,))
    return quat / length(quat)[..., None]


def length(v) -> np.ndarray:
    """Return the lengths (...) of vectors (..., n); numpy's own norm takes twice as long."""
    return np.sqrt(np.add.reduce(v * v, axis=-1))


def cross(a, b) -> np.ndarray:
    """Return cross products (..., 3) of vectors (..., 3); numpy's own takes ten times as long."""
    return (a.take(_NEXT, -1) * b.take(_AFTER, -1)) - (a.take(_AFTER, -1) * b.take(_NEXT, -1))


def unit(v) -> np.ndarray:
    """Return vectors (..., 3) of length 1; a zero vector stays zero."""
    v = np.asarray(v, dtype=np.float64)
    length = np.sqrt(np.einsum('...i,...i->...', v, v))
    return v / np.maximum(length, 1e-9)[..., None]


def swing_rotmat(rest, observed) -> np.ndarray:
    """
    Return the smallest rotation (..., 3, 3) from directions ``rest`` to ``observed`` (..., 3).

    For opposite directions the axis is perpendicular to ``rest`` and to x or y. A zero vector on
    either side gives the identity.
    """
    a, b = unit(rest), unit(observed)
    axis = cross(a, b)
    sine = length(axis)[..., None]
    cosine = np.einsum('...i,...i->...', a, b)[..., None]
    direction = axis / np.maximum(sine, 1e-12)
    if (sine <= 1e-7).any():
        other = np.where(np.abs(a[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
        direction = np.where(sine > 1e-7, direction, unit(cross(a, other)))
    is_zero = (length(a) < 0.5) | (length(b) < 0.5)
    angle = np.where(is_zero[..., None], 0.0, np.arctan2(sine, cosine))
    return rotmat_from_rotvec(direction * angle)


def rotmat_from_point_sets(rest, observed, weights) -> np.ndarray:
    """Return rotations (..., 3, 3) of ``rest`` to ``observed`` (..., n, 3), weighted (..., n)."""
    weighted = np.asarray(observed) * np.asarray(weights)[..., None]
    return rotmat_from_covariance(weighted.swapaxes(-1, -2) @ rest)


def rotmat_from_covariance(covariance) -> np.ndarray:
    """
    Return the rotation R (..., 3, 3) with the largest sum of R · ``covariance`` (..., 3, 3).

    Horn 1987: that sum is a quadratic form of the quaternion of R, so that the best one is an
    eigenvector. Unlike Kabsch's SVD this never gives a reflection.
    """
    covariance = np.asarray(covariance, dtype=np.float64)
    form = (covariance.reshape(-1, 9) @ _FORM).reshape(covariance.shape[:-2] + (4, 4))
    return rotmat_from_quat(np.linalg.eigh(form)[1][..., -1])


def rotmat_from_rot6d(rot6d) -> np.ndarray:
    """
    Return rotation matrices (..., 3, 3) of 6D representations (..., 6).

    Zhou et al. 2019: Gram-Schmidt on the first two rows; rows, not columns, as in PyTorch3D.
    """
    rot6d = np.asarray(rot6d, dtype=np.float64)
    out = np.empty(rot6d.shape[:-1] + (3, 3))
    first = out[..., 0, :] = unit(rot6d[..., :3])
    second = rot6d[..., 3:]
    along = np.einsum('...i,...i->...', first, second)[..., None]
    second = out[..., 1, :] = unit(second - along * first)
    out[..., 2, :] = cross(first, second)
    return out


def rot6d_from_rotmat(rotmat) -> np.ndarray:
    """Return 6D representations (..., 6), the first two rows, of matrices (..., 3, 3)."""
    rotmat = np.asarray(rotmat)
    return rotmat[..., :2, :].reshape(rotmat.shape[:-2] + (6,))


def angle_rad(a, b=None) -> np.ndarray:
    """Return angles (...), radians, between rotations (..., 3, 3); ``b`` None = the identity."""
    difference = np.asarray(a) if b is None else np.swapaxes(np.asarray(a), -1, -2) @ np.asarray(b)
    return np.linalg.norm(rotvec_from_rotmat(difference), axis=-1)
