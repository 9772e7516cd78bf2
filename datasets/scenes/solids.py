"""The six solids of the scenes: ray intersections, and extents.

All but the torus, which is met by sphere tracing, are unions of convex pieces, each an intersection of half-spaces,
balls, tubes and cones, which a ray crosses in one interval (Kay and Kajiya 1986, https://doi.org/10.1145/15886.15916).
Every solid fits into the unit ball, with which the renderer culls rays. Points and directions are float64 (N, 3) in the
solid's own frame.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
NOWHERE = np.inf
CRAWL = 600  # most steps of sphere tracing; rays that graze a torus need many
ARRIVED = 1e-7  # distance from the surface at which sphere tracing stops


class Part(Protocol):
    """A convex body with a smooth surface, which may be unbounded."""

    def interval(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """Return the ray parameters (N,) of entry and exit; entry is infinite for rays that are never inside."""
        ...

    def normal(self, points: Floats) -> Floats:
        """Return outward normals (N, 3), of any length, at points of the surface."""
        ...


class Solid(Protocol):
    """A body that can be placed in a scene."""

    def enter(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        """Return the ray parameters (N,) at which rays from outside enter, infinite for misses, and normals (N, 3)."""
        ...

    def reach(self, direction: Floats) -> float:
        """Return the extent along a unit vector (3,), from the origin of the frame."""
        ...


def _roots(a: Floats, b: Floats, c: Floats) -> tuple[Floats, Floats]:
    """Return both roots of a t^2 + 2 b t + c for a > 0; the first is infinite where there are none."""
    discriminant = b * b - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    return np.where(discriminant > 0, (-b - root) / a, NOWHERE), (-b + root) / a


class HalfSpace(NamedTuple):
    """Half-space of all points p with `outward` . p <= `offset`."""

    outward: tuple[float, float, float]
    offset: float

    def interval(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        speed, room = direction @ self.outward, self.offset - origin @ self.outward
        with np.errstate(divide="ignore", invalid="ignore"):
            t = room / speed
        inside = (speed == 0) & (room >= 0)
        return (
            np.where(speed < 0, t, np.where((speed > 0) | inside, -np.inf, NOWHERE)),
            np.where(speed > 0, t, np.inf),
        )

    def normal(self, points: Floats) -> Floats:
        return np.broadcast_to(np.asarray(self.outward), points.shape)


class Ball(NamedTuple):
    """Ball of all points within `radius` of the origin."""

    radius: float

    def interval(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        square = np.einsum("ij,ij->i", origin, origin) - self.radius**2
        along = np.einsum("ij,ij->i", origin, direction)
        return _roots(np.einsum("ij,ij->i", direction, direction), along, square)

    def normal(self, points: Floats) -> Floats:
        return points


class Tube(NamedTuple):
    """Infinite cylinder of all points within `radius` of the coordinate axis with index `axis`."""

    radius: float
    axis: int

    def interval(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        o, d = np.delete(origin, self.axis, axis=1), np.delete(direction, self.axis, axis=1)
        a = np.maximum(np.einsum("ij,ij->i", d, d), 1e-18)  # a ray along the axis stays in or out
        return _roots(a, np.einsum("ij,ij->i", o, d), np.einsum("ij,ij->i", o, o) - self.radius**2)

    def normal(self, points: Floats) -> Floats:
        return points * (np.arange(3) != self.axis)


class Nappe(NamedTuple):
    """Infinite cone around the y axis, open downwards from its `apex`, with radius `slope` times the depth below it."""

    apex: float
    slope: float

    def interval(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        weights = np.array([1, -(self.slope**2), 1])
        o = origin - np.array([0, self.apex, 0])
        a, b, c = ((u * v) @ weights for u, v in ((direction, direction), (o, direction), (o, o)))
        falling = direction[:, 1] < 0
        steep = a < 0  # such a ray meets the cone and its mirror image above the apex
        size = np.where(steep, -1, 1) * np.maximum(np.abs(a), 1e-18)
        root = np.sqrt(np.maximum(b * b - a * c, 0))
        first, second = (-b - np.abs(root)) / size, (-b + np.abs(root)) / size
        first, second = np.minimum(first, second), np.maximum(first, second)
        below = (b * b - a * c > 0) & (o[:, 1] - b / size * direction[:, 1] < 0)
        enter = np.where(steep, np.where(falling, second, -np.inf), np.where(below, first, NOWHERE))
        return enter, np.where(steep, np.where(falling, np.inf, first), second)

    def normal(self, points: Floats) -> Floats:
        below = self.apex - points[:, 1]
        return np.stack([points[:, 0], self.slope**2 * below, points[:, 2]], axis=1)


@dataclass(frozen=True, kw_only=True)
class Union:
    """Union of `pieces`, each the intersection of its parts; `support` gives the extent along a unit vector."""

    pieces: tuple[tuple[Part, ...], ...]
    support: Callable[[Floats], float]

    def reach(self, direction: Floats) -> float:
        return float(self.support(direction))

    def enter(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        nearest, normals = np.full(len(origin), NOWHERE), np.zeros_like(origin)
        for piece in self.pieces:
            enter, leave = np.full(len(origin), -np.inf), np.full(len(origin), np.inf)
            last = np.zeros(len(origin), int)  # the part whose surface the ray meets
            for number, part in enumerate(piece):
                start, end = part.interval(origin, direction)
                last[start > enter] = number
                enter, leave = np.maximum(enter, start), np.minimum(leave, end)
            hit = (enter < leave) & (enter > 0) & (enter < nearest)
            nearest[hit] = enter[hit]
            for number, part in enumerate(piece):
                here = np.flatnonzero(hit & (last == number))
                normals[here] = part.normal(origin[here] + enter[here, None] * direction[here])
        return nearest, normals


@dataclass(frozen=True)
class Torus:
    """Torus around the z axis, intersected by sphere tracing (Hart 1996, https://doi.org/10.1007/s003710050084)."""

    ring: float
    radius: float

    def reach(self, direction: Floats) -> float:
        return float(self.ring * np.hypot(direction[0], direction[1]) + self.radius)

    def enter(self, origin: Floats, direction: Floats) -> tuple[Floats, Floats]:
        start, end = Ball(self.ring + self.radius).interval(origin, direction)
        t, met = np.maximum(start, 0), np.zeros(len(start), bool)
        speed = np.sqrt(np.einsum("ij,ij->i", direction, direction))
        active = np.flatnonzero(np.isfinite(start) & (end > 0))
        for _ in range(CRAWL):
            if not len(active):
                break
            distance = self._distance(origin[active] + t[active, None] * direction[active])
            t[active] += distance / speed[active]
            arrived = distance < ARRIVED
            met[active[arrived]] = True
            active = active[~arrived & (t[active] < end[active])]
        t[~met] = NOWHERE
        points = np.where(met[:, None], origin + np.where(met, t, 0)[:, None] * direction, 1)
        return t, self._normal(points)

    def _distance(self, p: Floats) -> Floats:
        return np.hypot(np.hypot(p[:, 0], p[:, 1]) - self.ring, p[:, 2]) - self.radius

    def _normal(self, p: Floats) -> Floats:
        middle = p * [1, 1, 0]
        return p - self.ring * middle / np.linalg.norm(middle, axis=1, keepdims=True)


def _between(axis: int, low: float, high: float) -> tuple[Part, Part]:
    unit = np.eye(3)[axis]
    return HalfSpace(tuple(unit), high), HalfSpace(tuple(-unit), -low)


def _boxes(*halves: tuple[float, float, float]) -> Union:
    """Return the union of boxes around the origin with these half sides."""
    pieces = tuple(tuple(part for k in range(3) for part in _between(k, -half[k], half[k])) for half in halves)
    return Union(pieces=pieces, support=lambda u: max(float(np.abs(u) @ half) for half in halves))


def _disc(u: Floats) -> float:
    """Return the extent of the unit disc around the y axis."""
    return float(np.hypot(u[0], u[2]))


_BEAM, _ARM = 0.24, 0.9
SOLIDS: dict[str, Solid] = {
    "sphere": Union(pieces=((Ball(0.8),),), support=lambda u: 0.8),
    "cube": _boxes((0.57, 0.57, 0.57)),
    "cylinder": Union(
        pieces=((Tube(0.5, 1), *_between(1, -0.8, 0.8)),),
        support=lambda u: 0.5 * _disc(u) + 0.8 * abs(u[1]),
    ),
    "cone": Union(
        pieces=((Nappe(0.9, 0.65 / 1.5), HalfSpace((0, -1, 0), 0.6)),),
        support=lambda u: max(0.9 * u[1], 0.65 * _disc(u) - 0.6 * u[1]),
    ),
    "torus": Torus(0.68, 0.25),
    "cross": _boxes((_ARM, _BEAM, _BEAM), (_BEAM, _ARM, _BEAM), (_BEAM, _BEAM, _ARM)),
}
"""Solids by name, in the order of labels and segmentation classes."""
