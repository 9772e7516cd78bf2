"""Composition of random scenes: a labelled solid, others around it, a floor, a wall, a lamp and a camera."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .solids import SOLIDS
from .textures import BACKGROUNDS, CONTRAST, MATERIALS, QUIET, random_patch

CLASSES = tuple(f"{material} {solid}" for solid in SOLIDS for material in MATERIALS)
"""Names of the classes: label // 5 is the index of the solid, label % 5 that of the material."""

MOST_OTHERS = 3
LARGEST_OTHER = 0.65  # largest apparent radius of another solid, as a share of the labelled one's
NEAREST_OTHER = 0.85  # least distance in the picture between centres of solids in front, in radii of the labelled one


@dataclass(frozen=True, kw_only=True)
class Body:
    """A solid in the scene: its index in `SOLIDS`, pose (rotation is frame -> world), bounding radius and texture."""

    solid: int
    center: NDArray[np.floating]
    rotation: NDArray[np.floating]
    radius: float
    texture: NDArray[np.floating]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything that the renderer needs, in scene units: x right, y up, z away from the camera, floor at y = 0."""

    bodies: tuple[Body, ...]
    floor: NDArray[np.floating]
    wall: NDArray[np.floating]
    wall_z: float
    camera_y: float
    pitch: float  # radians below the horizon
    lamp: NDArray[np.floating]  # position
    ambient: float
    exposure: float
    noise: float  # standard deviation, for pixels in 0..1
    noise_seed: int


def compose(label: int, rng: np.random.Generator) -> Scene:
    """Draw a scene whose largest solid has the class `label` (0..29); the solids around it appear smaller.

    Other solids may be in front of the labelled one, but do not cover its centre.
    """
    solid, material = divmod(label, len(MATERIALS))
    places = _places(rng)
    solids = [solid, *rng.integers(len(SOLIDS), size=MOST_OTHERS)]
    materials = [material, *rng.integers(len(MATERIALS), size=MOST_OTHERS)]
    names = list(MATERIALS.values())
    bodies = tuple(
        _body(int(one), place, random_patch([names[made_of]], CONTRAST, rng), rng)
        for one, made_of, place in zip(solids, materials, places, strict=False)
    )
    return Scene(
        bodies=bodies,
        floor=random_patch(BACKGROUNDS, QUIET, rng),
        wall=random_patch(BACKGROUNDS, QUIET, rng),
        wall_z=float(rng.uniform(7.5, 10.0)),
        camera_y=float(rng.uniform(1.1, 2.0)),
        pitch=float(rng.uniform(0.15, 0.32)),
        lamp=np.array([rng.uniform(-4, 4), rng.uniform(3.5, 7), rng.uniform(-1, 3)]),
        ambient=float(rng.uniform(0.25, 0.5)),
        exposure=float(rng.uniform(0.8, 1.25)),
        noise=float(rng.uniform(1, 3)) / 255,
        noise_seed=int(rng.integers(2**31)),
    )


def _places(rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """Draw (x, z, radius) of every solid, the labelled one first."""
    z = rng.uniform(3.2, 4.2)
    places = [(rng.uniform(-0.2, 0.2) * z, z, rng.uniform(0.9, 1.15))]
    for _ in range(2 * int(rng.integers(0, MOST_OTHERS + 1))):
        far = rng.uniform(2.2, 6.8)
        place = (rng.uniform(-0.42, 0.42) * far, far, rng.uniform(0.35, 0.95))
        if len(places) <= MOST_OTHERS and _fits(place, places):
            places.append(place)
    return places


def _fits(place: tuple[float, float, float], places: list[tuple[float, float, float]]) -> bool:
    (x, z, radius), (main_x, main_z, main_radius) = place, places[0]
    apart = all(np.hypot(x - other_x, z - other_z) > radius + r for other_x, other_z, r in places)
    smaller = radius / z < LARGEST_OTHER * main_radius / main_z
    beside = abs(x / z - main_x / main_z) > NEAREST_OTHER * main_radius / main_z
    return apart and smaller and (beside or z > main_z)


def _body(
    solid: int, place: tuple[float, float, float], texture: NDArray[np.floating], rng: np.random.Generator
) -> Body:
    """Draw a pose, and place the solid so that it touches the floor."""
    x, z, radius = place
    rotation = _rotation(rng)
    below = list(SOLIDS.values())[solid].reach(-rotation[1])  # the world's downward direction, in the solid's frame
    center = np.array([x, radius * below, z])
    return Body(solid=solid, center=center, rotation=rotation, radius=radius, texture=texture)


def _rotation(rng: np.random.Generator) -> NDArray[np.floating]:
    """Draw a uniformly distributed rotation matrix, from a random unit quaternion."""
    w, x, y, z = (q := rng.normal(size=4)) / np.sqrt((q * q).sum())
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
