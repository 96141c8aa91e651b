"""
Nearest surface in each pixel of a batch of images, by exact coverage of triangles, in torch.

The meshes of all images are packed: vertices and triangles of one image follow those of another.
A pixel is covered where its centre is; the centre of pixel (x, y) has the coordinates (x, y), as
in a crop that OpenCV resamples.
"""

from typing import NamedTuple

import torch

NEAR_M = 0.1  # triangles with a nearer corner are left out
_MIN_AREA_PX = 1e-6
# a pixel this close to an edge is covered: rounding could leave it out on both sides
_EDGE_PX = 1e-4
_MIN_SLOPE = 1e-12  # of barycentric coordinates, per pixel
_MAX_ROWS = 1 << 21  # rows of triangles that are filled at once, a bound on memory
_EMPTY = torch.iinfo(torch.int64).max


class Triangles(NamedTuple):
    """Triangles of all images, F in number."""

    corners: torch.Tensor  # (F, 3) indices of vertices; seen from outside counter-clockwise
    image: torch.Tensor  # (F,) index of the image
    two_sided: torch.Tensor  # (F,) bool: is seen from behind too
    has_holes: torch.Tensor  # (F,) bool: the texture is transparent in places


class Fragments(NamedTuple):
    """Pixels in which a surface is seen, P in number, in the order of images, rows, columns."""

    pixel: torch.Tensor  # (P,) image * size² + row * size + column
    triangle: torch.Tensor  # (P,) index of the nearest triangle
    weights: torch.Tensor  # (P, 3) barycentric in space, perspective undone
    depth_m: torch.Tensor  # (P,)


class _Setup(NamedTuple):
    """Triangles that may cover a pixel, G in number."""

    index: torch.Tensor  # (G,) of the triangle
    image: torch.Tensor  # (G,)
    rows: torch.Tensor  # (G, 2) first row, and number of rows
    # (G, 11) first corner; slopes along x, then y, of the three barycentric coordinates; 1 / depth
    # of the first corner, and its slopes along x and y
    planes: torch.Tensor


def rasterized(points_px, depth_m, triangles: Triangles, count: int, size_px: int,
               is_opaque=None) -> Fragments:
    """
    Return the nearest surface in each pixel of ``count`` images of ``size_px``².

    :param points_px: (V, 2) vertices in their image. :param depth_m: (V,) along its optical axis.
    :param is_opaque: function of triangles (C,) and weights (C, 3) in space that returns (C,)
        bool, False where a texture has a hole; it is asked for triangles with ``has_holes``.
    """
    def weights_at(triangle, pixel, depth):
        return _weights_at(points_px, depth_m, triangles.corners[triangle], pixel, depth, size_px)

    nearest = torch.full((count * size_px**2,), _EMPTY, device=points_px.device)
    for part in _parts(_set_up(points_px, depth_m, triangles, size_px)):
        pixel, triangle, depth = _filled(part, size_px)
        if is_opaque is not None:
            holed = triangles.has_holes.index_select(0, triangle)
            kept, rows = ~holed, holed.nonzero()[:, 0]
            own = triangle[rows]
            kept[rows] = is_opaque(own, weights_at(own, pixel[rows], depth[rows]))
            pixel, triangle, depth = pixel[kept], triangle[kept], depth[kept]
        # positive floats are ordered as their bits
        key = (depth.view(torch.int32).long() << 32) | triangle
        nearest.scatter_reduce_(0, pixel, key, 'amin')
    pixel = (nearest != _EMPTY).nonzero()[:, 0]
    key = nearest[pixel]
    triangle, depth = key & 0xffffffff, (key >> 32).int().view(torch.float32)
    return Fragments(pixel, triangle, weights_at(triangle, pixel, depth), depth)


def _set_up(points_px, depth_m, triangles: Triangles, size_px: int) -> _Setup:
    vertices = torch.cat([points_px, depth_m[:, None]], 1)
    a, b, c = (vertices.index_select(0, triangles.corners[:, k]) for k in range(3))
    low, high = torch.minimum(torch.minimum(a, b), c), torch.maximum(torch.maximum(a, b), c)
    ab, ac = b[:, :2] - a[:, :2], c[:, :2] - a[:, :2]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    # x right, y down, z forward: the normal of a face towards the camera has z < 0
    faces = (area < -_MIN_AREA_PX) | (triangles.two_sided & (area > _MIN_AREA_PX))
    first = low[:, :2].clamp_min(0).ceil()
    spans = high[:, :2].clamp_max(size_px - 1).floor() - first + 1
    index = (faces & (low[:, 2] > NEAR_M) & (spans[:, 0] > 0) & (spans[:, 1] > 0)).nonzero()[:, 0]
    a, b, c, ab, ac = (values.index_select(0, index) for values in (a, b, c, ab, ac))
    slopes = torch.stack([ac[:, 1], -ab[:, 1], -ac[:, 0], ab[:, 0]], 1) / area[index, None]
    x, y = slopes[:, :2], slopes[:, 2:]
    near, steps = 1 / a[:, 2:], torch.cat([1 / b[:, 2:], 1 / c[:, 2:]], 1)
    steps = steps - near
    planes = torch.cat([
        a[:, :2], -x.sum(1, keepdim=True), x, -y.sum(1, keepdim=True), y, near,
        (x * steps).sum(1, keepdim=True), (y * steps).sum(1, keepdim=True)], 1)
    rows = torch.stack([first[index, 1], spans[index, 1]], 1).long()
    return _Setup(index, triangles.image.index_select(0, index), rows, planes)


def _parts(setup: _Setup):
    """Yield parts of the triangles with few enough rows together."""
    totals = setup.rows[:, 1].cumsum(0)
    total = int(totals[-1]) if len(totals) else 0
    if 0 < total <= _MAX_ROWS:
        yield setup
    elif total:
        steps = torch.arange(_MAX_ROWS, total, _MAX_ROWS, device=totals.device)
        cuts = [0, *torch.searchsorted(totals, steps).tolist(), len(totals)]
        for first, end in zip(cuts, cuts[1:]):
            if end > first:
                yield _Setup(*(array[first:end] for array in setup))


def _repeated(counts):
    """Return for each of sum(counts) items its row of ``counts``, and its number there."""
    row = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    number = torch.arange(len(row), device=row.device)
    return row, number - (counts.cumsum(0) - counts).index_select(0, row)


def _filled(part: _Setup, size_px: int):
    """Return pixel, triangle and depth (C,) of the pixels that triangles cover, row by row."""
    row, number = _repeated(part.rows[:, 1])
    y = part.rows[:, 0].index_select(0, row) + number
    planes = part.planes.index_select(0, row)
    down = y - planes[:, 1]
    values = planes[:, 5:8] * down[:, None]
    values[:, 0] += 1
    slopes = planes[:, 2:5]
    slopes = torch.where(slopes == 0, _MIN_SLOPE, slopes)
    # a barycentric coordinate is 0 at these distances from the first corner
    zero = -values / slopes
    rises = slopes > 0
    low = torch.where(rises, zero, -torch.inf).amax(1) + planes[:, 0]
    high = torch.where(rises, torch.inf, zero).amin(1) + planes[:, 0]
    first = (low - _EDGE_PX).clamp(0, size_px).ceil()
    counts = ((high + _EDGE_PX).clamp(-1, size_px - 1).floor() - first + 1).clamp_min(0).long()
    # 1 / depth in the first of these pixels
    inverse = planes[:, 8] + down * planes[:, 10] + (first - planes[:, 0]) * planes[:, 9]
    start = part.image.index_select(0, row) * size_px**2 + y * size_px + first.long()
    span, number = _repeated(counts)
    depth = 1 / (inverse.index_select(0, span) + number * planes[:, 9].index_select(0, span))
    triangle = part.index.index_select(0, row).index_select(0, span)
    return start.index_select(0, span) + number, triangle, depth


def _weights_at(points_px, depth_m, corners, pixel, depth, size_px: int) -> torch.Tensor:
    """Return the weights (P, 3) in space of pixels (P,) on triangles with ``corners`` (P, 3)."""
    x = (pixel % size_px).to(points_px.dtype)
    y = (pixel // size_px % size_px).to(points_px.dtype)
    a, b, c = (points_px.index_select(0, corners[:, k]) for k in range(3))
    ab, ac = b - a, c - a
    dx, dy = x - a[:, 0], y - a[:, 1]
    area = ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]
    b1 = (dx * ac[:, 1] - dy * ac[:, 0]) / area
    b2 = (dy * ab[:, 0] - dx * ab[:, 1]) / area
    flat = torch.stack([1 - b1 - b2, b1, b2], 1)
    return flat / depth_m[corners] * depth[:, None]
