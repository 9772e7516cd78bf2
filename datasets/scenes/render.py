"""Ray tracer: renders a scene to an image with segmentation and depth.

Each pixel is the mean of 2 x 2 rays, each lit by another of the lamp's four bulbs; the ground truth is that of the
first ray, so that no label is a mixture.

Sums round differently on other processors and in other library versions, so nothing visible may depend on the last
bit: ray intersections are computed in float64, the planes of a texture are blended, and textures are interpolated
without fixed-point arithmetic. The remaining differences are single levels of a few pixels.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from .composition import Body, Scene
from .solids import SOLIDS, Ball

OVERSAMPLING = 2
FOCAL = 2.2  # half-width of the image plane is 1: a field of view of 49 degrees
FINENESS, COARSENESS = 80, 48  # texels per scene unit, on solids, and on floor and wall
PREFERENCE = np.array([1.0, 0.9, 0.8])  # weights of a solid's axes, which break ties of normals between two axes
BLEND = 0.05  # difference of a normal's weighted components within which two planes of a texture are mixed
BULBS = 0.25 * np.array([[-1, 0, -1], [1, 0, -1], [-1, 0, 1], [1, 0, 1]])  # positions relative to the lamp
LIFT = 1e-3  # offset of points above their surface for shadow rays

Floats = NDArray[np.floating]
FLOOR, WALL, FIRST_BODY = 0, 1, 2


class View(NamedTuple):
    """One rendered scene; in the segmentation, 0 is background and k + 1 the solid with index k."""

    image: NDArray[np.uint8]  # (size, size, 3) RGB
    segmentation: NDArray[np.uint8]  # (size, size)
    depth: Floats  # float32 (size, size), along the camera's axis, in scene units


def render(scene: Scene, size: int = 128) -> View:
    origin = np.array([0, scene.camera_y, 0])
    rays = _camera_rays(scene.pitch, size)
    depth, owner, normals = _background(scene, origin, rays)
    for number, body in enumerate(scene.bodies, start=FIRST_BODY):
        seen, t, normal = _meet(body, np.broadcast_to(origin, rays.shape), rays, depth)
        depth[seen], owner[seen], normals[seen] = t, number, normal
    points = origin + depth[:, None] * rays
    colour = _albedo(scene, points, owner, normals) * _light(scene, points, normals)[:, None]
    image = colour.reshape(size, OVERSAMPLING, size, OVERSAMPLING, 3).mean(axis=(1, 3)) * scene.exposure
    noise = np.random.default_rng(scene.noise_seed).standard_normal(image.shape, np.float32) * scene.noise
    solids = np.array([0, 0, *(body.solid + 1 for body in scene.bodies)], np.uint8)
    fine = (size, OVERSAMPLING, size, OVERSAMPLING)
    return View(
        np.clip((image + noise) * 255 + 0.5, 0, 255).astype(np.uint8),
        solids[owner].reshape(fine)[:, 0, :, 0],
        depth.astype(np.float32).reshape(fine)[:, 0, :, 0],
    )


def _camera_rays(pitch: float, size: int) -> Floats:
    """Return ray directions whose component along the camera's axis is 1, so that the ray parameter is the depth."""
    side = size * OVERSAMPLING
    grid = ((np.arange(side) + 0.5) / side * 2 - 1) / FOCAL
    right, down = np.meshgrid(grid, grid)
    cos, sin = np.cos(pitch), np.sin(pitch)
    return np.stack([right, -down * cos - sin, cos - down * sin], axis=-1).reshape(-1, 3)


def _background(scene: Scene, origin: Floats, rays: Floats) -> tuple[Floats, NDArray[np.uint8], Floats]:
    with np.errstate(divide="ignore"):
        floor = np.where(rays[:, 1] < 0, -origin[1] / rays[:, 1], np.inf)
    wall = scene.wall_z / rays[:, 2]
    owner = np.where(wall < floor, WALL, FLOOR).astype(np.uint8)
    normals = np.array([[0, 1, 0], [0, 0, -1]], np.float32)
    return np.minimum(floor, wall), owner, normals[owner]


def _meet(body: Body, origin: Floats, rays: Floats, limit: Floats | float) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the indices of rays that meet the body before `limit`, their parameters, and the unit normals there."""
    local_origin, local_rays = ((v @ body.rotation) / body.radius for v in (origin - body.center, rays))
    start, end = Ball(1).interval(local_origin, local_rays)
    near = np.flatnonzero((start < limit) & (end > 0))
    t, normal = list(SOLIDS.values())[body.solid].enter(local_origin[near], local_rays[near])
    met = t < np.broadcast_to(limit, len(rays))[near]
    normal = normal[met] @ body.rotation.T
    return near[met], t[met], normal / np.linalg.norm(normal, axis=1, keepdims=True)


def _albedo(scene: Scene, points: Floats, owner: NDArray[np.uint8], normals: Floats) -> Floats:
    albedo = np.empty(points.shape, np.float32)
    for number, (texture, axes) in enumerate([(scene.floor, (0, 2)), (scene.wall, (0, 1))]):
        here = owner == number
        albedo[here] = _sample(texture, points[here][:, axes] * COARSENESS)
    for number, body in enumerate(scene.bodies, start=FIRST_BODY):
        here = owner == number
        local = (points[here] - body.center) @ body.rotation
        albedo[here] = on_three_planes(body.texture, local, normals[here] @ body.rotation)
    return albedo


def on_three_planes(texture: Floats, points: Floats, normals: Floats) -> Floats:
    """Sample a texture by triplanar mapping, projected along the axis that the surface faces.

    `points` and `normals` are in the solid's frame.
    """
    facing = np.abs(normals) * PREFERENCE
    weights = np.maximum(facing - facing.max(axis=1, keepdims=True) + BLEND, 0)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    albedo = np.zeros(points.shape, np.float32)
    for axis in range(3):
        seen = np.flatnonzero(weights[:, axis])
        across = points[seen][:, ((axis + 1) % 3, (axis + 2) % 3)]
        albedo[seen] += weights[seen, axis, None] * _sample(texture, across * FINENESS)
    return albedo


def _sample(texture: Floats, at: Floats) -> Floats:
    """Sample a texture at positions (N, 2) in texels; tiles are mirrored, so that there are no seams."""
    side = texture.shape[0]
    grid = torch.from_numpy((at * (2 / (side - 1)) - 1).astype(np.float32))[None, None]
    tile = torch.from_numpy(texture).permute(2, 0, 1)[None]
    return F.grid_sample(tile, grid, padding_mode="reflection", align_corners=True)[0, :, 0].T.numpy()


def _light(scene: Scene, points: Floats, normals: Floats) -> Floats:
    """Return the light on each point: ambient, plus that of its bulb of the lamp unless a solid casts a shadow."""
    side = int(np.sqrt(len(points)))
    row, column = np.divmod(np.arange(len(points)), side)
    bulbs = scene.lamp + BULBS[OVERSAMPLING * (row % OVERSAMPLING) + column % OVERSAMPLING]
    to_bulb = bulbs - points
    lambert = np.einsum("ij,ij->i", normals, to_bulb) / np.linalg.norm(to_bulb, axis=1)
    lit = np.flatnonzero(lambert > 0)
    for body in scene.bodies:
        shaded, _, _ = _meet(body, points[lit] + LIFT * normals[lit], to_bulb[lit], 1.0)
        lit = np.delete(lit, shaded)
    light = np.full(len(points), scene.ambient, np.float32)
    light[lit] += (1.25 - scene.ambient) * lambert[lit]
    return light
