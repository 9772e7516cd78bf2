"""The ten solids of the scenes, as signed distance functions.

Each function maps points in the solid's own frame, shape (N, 3), to a lower bound of the distance to its surface
(negative inside). Every solid fits into the unit ball, which is what the renderer culls rays with.
Formulas: https://iquilezles.org/articles/distfunctions/
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Distance = Callable[[Floats], Floats]


def _length(*components: Floats) -> Floats:
    return np.sqrt(sum(c * c for c in components))


def _from_box(p: Floats, half: tuple[float, float, float]) -> Floats:
    x, y, z = (np.abs(c) - np.float32(h) for c, h in zip(p.T, half, strict=True))
    outside = _length(*(np.maximum(c, 0) for c in (x, y, z)))
    return outside + np.minimum(np.maximum(np.maximum(x, y), z), 0)


def _from_planes(p: Floats, normals: Floats, offsets: Floats) -> Floats:
    return (normals @ p.T - offsets[:, None]).max(axis=0)


def _unit(rows: list[list[float]]) -> Floats:
    normals = np.asarray(rows, np.float32)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def sphere(p: Floats) -> Floats:
    return _length(*p.T) - np.float32(0.8)


def cube(p: Floats) -> Floats:
    return _from_box(p, (0.57, 0.57, 0.57))


def cylinder(p: Floats) -> Floats:
    radial, axial = _length(p[:, 0], p[:, 2]) - np.float32(0.5), np.abs(p[:, 1]) - np.float32(0.8)
    return np.minimum(np.maximum(radial, axial), 0) + _length(np.maximum(radial, 0), np.maximum(axial, 0))


def cone(p: Floats) -> Floats:
    slope = _unit([[1.5, 0.65]])[0]  # outward normal of the flank in the (radius, height) half-plane
    flank = _length(p[:, 0], p[:, 2]) * slope[0] + (p[:, 1] - np.float32(0.9)) * slope[1]
    return np.maximum(flank, -p[:, 1] - np.float32(0.6))


def torus(p: Floats) -> Floats:
    return _length(_length(p[:, 0], p[:, 1]) - np.float32(0.68), p[:, 2]) - np.float32(0.25)


def capsule(p: Floats) -> Floats:
    along = p[:, 0] - np.clip(p[:, 0], -0.6, 0.6)
    return _length(along, p[:, 1], p[:, 2]) - np.float32(0.34)


_PYRAMID = _unit([[1.4, 0.62, 0], [-1.4, 0.62, 0], [0, 0.62, 1.4], [0, 0.62, -1.4], [0, -1, 0]])


def pyramid(p: Floats) -> Floats:
    apex = np.float32(0.9) * _PYRAMID[:, 1]
    return _from_planes(p, _PYRAMID, np.where(_PYRAMID[:, 1] < 0, np.float32(0.5), apex).astype(np.float32))


_OCTAHEDRON = _unit([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])


def octahedron(p: Floats) -> Floats:
    return _from_planes(p, _OCTAHEDRON, np.full(8, 0.97 / 3**0.5, np.float32))


_WEDGE = _unit([[0, -1, 0], [0.87, 0.5, 0], [-0.87, 0.5, 0], [0, 0, 1], [0, 0, -1]])


def wedge(p: Floats) -> Floats:
    return _from_planes(p, _WEDGE, np.asarray([0.32, 0.32, 0.32, 0.7, 0.7], np.float32))


def cross(p: Floats) -> Floats:
    beams = [(0.9, 0.24, 0.24), (0.24, 0.9, 0.24), (0.24, 0.24, 0.9)]
    return np.minimum.reduce([_from_box(p, half) for half in beams])


SOLIDS: dict[str, Distance] = {
    f.__name__: f for f in (sphere, cube, cylinder, cone, torus, capsule, pyramid, octahedron, wedge, cross)
}
"""Name -> distance function, in the order of the class labels 0..9."""


@cache
def surface_points(name: str) -> Floats:
    """About 2,000 points on the solid's surface, shape (N, 3): what stands on the floor when the solid is turned."""
    index = np.arange(2048, dtype=np.float32) + np.float32(0.5)  # a Fibonacci lattice over the sphere of directions
    polar, azimuth = np.arccos(1 - 2 * index / 2048), np.pi * (1 + 5**0.5) * index
    directions = np.stack([np.cos(azimuth) * np.sin(polar), np.cos(polar), np.sin(azimuth) * np.sin(polar)], axis=1)
    points = directions.astype(np.float32)
    for _ in range(64):  # walk inwards from the unit sphere until the surface is met
        points -= directions * np.maximum(SOLIDS[name](points), 0)[:, None]
    return points[np.abs(SOLIDS[name](points)) < 1e-2]
