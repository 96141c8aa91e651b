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
    sine = np.linalg.norm(quat[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, quat[..., 3:])
    return quat[..., :3] * np.where(sine < 1e-8, 2.0, angle / np.maximum(sine, 1e-12))


def quat_xyzw_from_rotmat(rotmat) -> np.ndarray:
    """Return unit quaternions (..., 4), x y z w, of matrices (..., 3, 3), by Shepperd 1978."""
    m = np.asarray(rotmat, dtype=np.float64)
    d0, d1, d2 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    four = np.stack([1 + d0 - d1 - d2, 1 - d0 + d1 - d2, 1 - d0 - d1 + d2, 1 + d0 + d1 + d2], -1)
    a, b, c = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    p, q, r = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    rows = np.stack([
        np.stack([four[..., 0], p, q, a], -1), np.stack([p, four[..., 1], r, b], -1),
        np.stack([q, r, four[..., 2], c], -1), np.stack([a, b, c, four[..., 3]], -1)], -2)
    best = np.argmax(four, axis=-1)[..., None, None]
    quat = np.take_along_axis(rows, np.broadcast_to(best, rows.shape[:-2] + (1, 4)), axis=-2)
    quat = quat[..., 0, :]
    return quat / np.linalg.norm(quat, axis=-1, keepdims=True)


def skew(v) -> np.ndarray:
    """Return cross-product matrices (..., 3, 3) of v (..., 3); their product with w is v × w."""
    v = np.asarray(v)
    out = np.zeros(v.shape[:-1] + (3, 3), dtype=v.dtype)
    out[..., 0, 1], out[..., 0, 2], out[..., 1, 2] = -v[..., 2], v[..., 1], -v[..., 0]
    out[..., 1, 0], out[..., 2, 0], out[..., 2, 1] = v[..., 2], -v[..., 1], v[..., 0]
    return out


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
    sine = np.linalg.norm(axis, axis=-1, keepdims=True)
    cosine = np.einsum('...i,...i->...', a, b)[..., None]
    other = np.where(np.abs(a[..., :1]) < 0.9, [1.0, 0.0, 0.0], [0.0, 1.0, 0.0])
    across = unit(cross(a, other))
    direction = np.where(sine > 1e-7, axis / np.maximum(sine, 1e-12), across)
    angle = np.arctan2(sine, cosine)
    is_zero = (np.linalg.norm(a, axis=-1) < 0.5) | (np.linalg.norm(b, axis=-1) < 0.5)
    return rotmat_from_rotvec(np.where(is_zero[..., None], 0.0, direction * angle))


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
