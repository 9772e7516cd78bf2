"""What stands where: a random still life of one to three solids before a wall."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .solids import SOLIDS, surface_points
from .textures import random_patch

FLOOR_SPAN = 1.6  # how far from the middle a solid may stand, in scene units
GAP = 0.35  # how much nearer the labelled solid must be than every other, in scene units


@dataclass(frozen=True, kw_only=True)
class Body:
    """One solid in the scene: `label` 0..9, pose (rotation is frame -> world), radius of its ball, texture patch."""

    label: int
    center: NDArray[np.floating]
    rotation: NDArray[np.floating]
    radius: float
    texture: NDArray[np.floating]

    @property
    def name(self) -> str:
        return list(SOLIDS)[self.label]


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Everything the renderer needs. Scene units; x to the right, y up, z away from the camera; the floor is y = 0."""

    bodies: tuple[Body, ...]
    floor: NDArray[np.floating]
    wall: NDArray[np.floating]
    wall_z: float
    camera_y: float
    pitch: float  # radians below the horizon
    light: NDArray[np.floating]  # position
    ambient: float
    noise_seed: int


def _rotation(yaw: float, tilt: float, roll: float) -> NDArray[np.floating]:
    (cy, sy), (ct, st), (cr, sr) = ((np.cos(a), np.sin(a)) for a in (yaw, tilt, roll))
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, ct, -st], [0, st, ct]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return (about_y @ about_x @ about_z).astype(np.float32)


def _body(label: int, x: float, z: float, radius: float, rng: np.random.Generator) -> Body:
    yaw = rng.uniform(0, 2 * np.pi)
    tilt, roll = rng.uniform(-0.2, 0.2, size=2)
    rotation = _rotation(yaw, tilt, roll)
    lowest = float((surface_points(list(SOLIDS)[label]) @ rotation.T)[:, 1].min())
    center = np.array([x, -lowest * radius, z], np.float32)
    return Body(label=label, center=center, rotation=rotation, radius=radius, texture=random_patch(rng))


def compose(label: int, rng: np.random.Generator) -> Scene:
    """Draw a scene whose nearest solid has class `label` (0..9); the others have other classes and stand farther."""
    front_z = rng.uniform(3.1, 3.8)
    places = [(rng.uniform(-0.45, 0.45), front_z, rng.uniform(0.9, 1.15))]
    for _ in range(int(rng.integers(0, 3))):
        place = (rng.uniform(-FLOOR_SPAN, FLOOR_SPAN), front_z + rng.uniform(1.4, 2.8), rng.uniform(0.55, 0.85))
        apart = all(np.hypot(place[0] - x, place[1] - z) > place[2] + r for x, z, r in places)
        behind = place[1] - place[2] > front_z - places[0][2] + GAP
        if apart and behind:
            places.append(place)
    others = rng.permutation([k for k in range(len(SOLIDS)) if k != label])
    labels = [label, *(int(k) for k in others)]
    bodies = tuple(_body(k, *place, rng) for k, place in zip(labels, places, strict=False))
    return Scene(
        bodies=bodies,
        floor=random_patch(rng),
        wall=random_patch(rng),
        wall_z=float(rng.uniform(7.0, 9.0)),
        camera_y=float(rng.uniform(1.2, 2.0)),
        pitch=float(rng.uniform(0.18, 0.32)),
        light=np.array([rng.uniform(-4, 4), rng.uniform(4, 7), rng.uniform(-1, 3)], np.float32),
        ambient=float(rng.uniform(0.3, 0.5)),
        noise_seed=int(rng.integers(2**31)),
    )
