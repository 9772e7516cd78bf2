"""Ray-march a scene into an image and its three ground truths.

Each ray is culled against the ball around every solid and marched only inside it (sphere tracing, Hart 1996,
https://doi.org/10.1007/s003710050084). Colour is averaged over 2 x 2 rays per pixel; the ground truths belong to the
first of the four, so that no label is a mixture.

Sums round otherwise on another processor and in another version of a library, so nothing that is seen may hang on the
last bit: hits lie between two steps, planes of a texture are blended. What is left is a level here and there.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from .composition import Body, Scene
from .solids import SOLIDS

SIZE = 64
OVERSAMPLING = 2
FOCAL = 2.2  # half-width of the image plane is 1: a field of view of 49 degrees
STEPS = 32
HIT = 2e-3
SENSOR_NOISE = 2 / 255
PREFERENCE = np.array([1.0, 0.9, 0.8], np.float32)  # of a solid's axes: an octahedron's faces favour none by themselves
BLEND = 0.05  # difference of the preferred components of a normal within which two planes of a texture are mixed

Floats = NDArray[np.floating]


class View(NamedTuple):
    """One rendered scene. Classes in the segmentation: 0 is background, k + 1 the solid with label k."""

    image: NDArray[np.uint8]  # (64, 64, 3) RGB
    segmentation: NDArray[np.uint8]  # (64, 64)
    depth: Floats  # (64, 64), along the camera's axis, in scene units


def render(scene: Scene) -> View:
    origin = np.array([0, scene.camera_y, 0], np.float32)
    rays = _camera_rays(scene.pitch)
    depth, owner = _background(scene, origin, rays)
    for index, body in enumerate(scene.bodies, start=2):
        t = _march(body, origin, rays, depth)
        nearer = t < depth
        depth, owner = np.where(nearer, t, depth), np.where(nearer, np.uint8(index), owner)
    points = origin + depth[:, None] * rays
    colour = _shade(scene, points, owner)
    side = SIZE * OVERSAMPLING
    fine = colour.reshape(side, side, 3)
    image = cv2.resize(fine, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    noise = np.random.default_rng(scene.noise_seed).normal(0, SENSOR_NOISE, image.shape)
    labels = np.array([0, 0, *(body.label + 1 for body in scene.bodies)], np.uint8)
    return View(
        np.clip((image + noise) * 255 + 0.5, 0, 255).astype(np.uint8),
        labels[owner].reshape(side, side)[::OVERSAMPLING, ::OVERSAMPLING],
        depth.reshape(side, side)[::OVERSAMPLING, ::OVERSAMPLING],
    )


def _camera_rays(pitch: float) -> Floats:
    """Directions whose component along the camera's axis is 1, so that the ray parameter is the depth."""
    side = SIZE * OVERSAMPLING
    grid = ((np.arange(side, dtype=np.float32) + 0.5) / side * 2 - 1) / np.float32(FOCAL)
    right, down = np.meshgrid(grid, grid)
    cos, sin = np.float32(np.cos(pitch)), np.float32(np.sin(pitch))
    return np.stack([right, -down * cos - sin, cos - down * sin], axis=-1).reshape(-1, 3)


def _background(scene: Scene, origin: Floats, rays: Floats) -> tuple[Floats, NDArray[np.uint8]]:
    with np.errstate(divide="ignore"):
        floor = np.where(rays[:, 1] < 0, -origin[1] / rays[:, 1], np.inf).astype(np.float32)
    wall = (np.float32(scene.wall_z) / rays[:, 2]).astype(np.float32)
    return np.minimum(floor, wall), (wall < floor).astype(np.uint8)


def _enter_ball(offset: Floats, rays: Floats, radius: float) -> tuple[Floats, Floats, Floats]:
    """Ray parameters where each ray enters and leaves the ball (entry > exit where it misses), and ray lengths."""
    a = np.einsum("ij,ij->i", rays, rays)
    b = np.einsum("ij,ij->i", rays, np.broadcast_to(offset, rays.shape))
    c = np.einsum("...j,...j->...", offset, offset) - np.float32(radius) ** 2
    discriminant = b * b - a * c
    root = np.sqrt(np.maximum(discriminant, 0))
    start = np.where(discriminant > 0, np.maximum((-b - root) / a, 1e-3), np.inf)
    return start.astype(np.float32), ((-b + root) / a).astype(np.float32), np.sqrt(a)


def _distance(body: Body, points: Floats) -> Floats:
    local = (points - body.center) @ body.rotation / np.float32(body.radius)
    return SOLIDS[body.name](local) * np.float32(body.radius)


def _march(body: Body, origin: Floats, rays: Floats, limit: Floats) -> Floats:
    """Ray parameter where `body` is HIT away, infinity where the ray misses it or `limit` comes first."""
    start, end, length = _enter_ball(origin - body.center, rays, body.radius)
    result = np.full(len(rays), np.inf, np.float32)
    active = np.flatnonzero(start < np.minimum(end, limit))
    t, step, before = start[active], np.zeros(len(active), np.float32), np.full(len(active), 2 * HIT, np.float32)
    for _ in range(STEPS):
        if not len(active):
            break
        distance = _distance(body, origin + t[:, None] * rays[active])
        hit = distance < HIT
        beyond = (HIT - distance[hit]) / (before[hit] - distance[hit])  # share of the last step: linear in between
        result[active[hit]] = t[hit] - beyond * step[hit]
        step, before = distance / length[active], distance
        t = t + step
        going = ~hit & (t < end[active])
        active, t, step, before = active[going], t[going], step[going], before[going]
    return result


def _normals(body: Body, points: Floats) -> Floats:
    corners = np.array([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]], np.float32)
    gradient = sum(k * _distance(body, points + np.float32(4e-3) * k)[:, None] for k in corners)
    return gradient / np.maximum(np.linalg.norm(gradient, axis=1, keepdims=True), 1e-9)


def _sample(texture: Floats, u: Floats, v: Floats) -> Floats:
    """Mirrored tiles: no seams. Coordinates in scene units."""
    at = np.float32(48) * np.stack([v, u])
    channels = [map_coordinates(channel, at, order=1, mode="mirror") for channel in np.moveaxis(texture, 2, 0)]
    return np.stack(channels, axis=1)


def _on_three_planes(texture: Floats, points: Floats, normal: Floats) -> Floats:
    """Points and normals in the solid's frame: the texture seen along the axis that the surface faces."""
    facing = np.abs(normal) * PREFERENCE
    weights = np.maximum(facing - facing.max(axis=1, keepdims=True) + np.float32(BLEND), 0)
    weights /= weights.sum(axis=1, keepdims=True)
    albedo = np.zeros_like(points)
    for axis in range(3):
        seen = np.flatnonzero(weights[:, axis])
        u, v = points[seen, (axis + 1) % 3], points[seen, (axis + 2) % 3]
        albedo[seen] += weights[seen, axis, None] * _sample(texture, u, v)
    return albedo


def _surface(scene: Scene, owner: int, points: Floats) -> tuple[Floats, Floats]:
    """Albedo and normal of points that belong to one surface: 0 the floor, 1 the wall, k + 2 the body k."""
    if owner == 0:
        return _sample(scene.floor, points[:, 0], points[:, 2]), np.tile([0.0, 1.0, 0.0], (len(points), 1))
    if owner == 1:
        return _sample(scene.wall, points[:, 0], points[:, 1]), np.tile([0.0, 0.0, -1.0], (len(points), 1))
    body = scene.bodies[owner - 2]
    normal = _normals(body, points)
    local = (points - body.center) @ body.rotation
    return _on_three_planes(body.texture, local, normal @ body.rotation), normal


def _shade(scene: Scene, points: Floats, owner: NDArray[np.uint8]) -> Floats:
    albedo, normal = np.empty_like(points), np.empty_like(points)
    for index in np.unique(owner):
        here = owner == index
        albedo[here], normal[here] = _surface(scene, int(index), points[here])
    to_light = scene.light - points
    lambert = np.einsum("ij,ij->i", normal, to_light) / np.linalg.norm(to_light, axis=1)
    lit = np.flatnonzero(lambert > 0)
    light = np.zeros(len(points), np.float32)
    light[lit] = lambert[lit] * _visibility(scene, points[lit] + 0.02 * normal[lit], to_light[lit])
    return albedo * (scene.ambient + (1.25 - scene.ambient) * light)[:, None]


def _visibility(scene: Scene, points: Floats, to_light: Floats) -> Floats:
    """Share of the lamp each point sees: the narrowest miss along the ray sets the penumbra."""
    visible = np.ones(len(points), np.float32)
    for body in scene.bodies:
        start, end, length = _enter_ball(points - body.center, to_light, body.radius * 1.1)
        active = np.flatnonzero(start < np.minimum(end, 1))
        t = start[active]
        for _ in range(STEPS // 2):
            if not len(active):
                break
            distance = _distance(body, points[active] + t[:, None] * to_light[active])
            opening = 10 * distance / (t * length[active])
            visible[active] = np.minimum(visible[active], np.clip(opening, 0, 1))
            t = t + np.maximum(distance, 0.03) / length[active]
            going = (distance > HIT) & (t < np.minimum(end[active], 1))
            active, t = active[going], t[going]
    return visible
