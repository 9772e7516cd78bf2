"""Where rays enter the solids, against the solids' definitions as sets of points."""

import numpy as np
import pytest
from foolbench.datasets.scenes.solids import SOLIDS

EPS = 1e-5


def in_box(p, *half):
    return (np.abs(p) <= half).all(axis=-1)


INSIDE = {
    "sphere": lambda p: np.linalg.norm(p, axis=-1) <= 0.8,
    "cube": lambda p: in_box(p, 0.57, 0.57, 0.57),
    "cylinder": lambda p: (np.hypot(p[..., 0], p[..., 2]) <= 0.5) & (np.abs(p[..., 1]) <= 0.8),
    "cone": lambda p: (p[..., 1] >= -0.6) & (np.hypot(p[..., 0], p[..., 2]) <= 0.65 / 1.5 * (0.9 - p[..., 1])),
    "torus": lambda p: np.hypot(np.hypot(p[..., 0], p[..., 1]) - 0.68, p[..., 2]) <= 0.25,
    "cross": lambda p: in_box(p, 0.9, 0.24, 0.24) | in_box(p, 0.24, 0.9, 0.24) | in_box(p, 0.24, 0.24, 0.9),
}


@pytest.fixture(scope="module", params=SOLIDS)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def shot(name):
    """Rays from outside the unit ball towards points in it: origins, directions, entries, normals."""
    rng = np.random.default_rng(3)
    origins, aims = rng.normal(size=(2, 3000, 3))
    origins *= 1.5 / np.linalg.norm(origins, axis=1, keepdims=True)
    aims *= rng.uniform(0, 1, (3000, 1)) / np.linalg.norm(aims, axis=1, keepdims=True)
    directions = aims - origins
    return origins, directions, *SOLIDS[name].enter(origins, directions)


def test_a_ray_is_outside_before_its_entry_and_inside_after_it(name, shot):
    origins, directions, t, normals = shot
    hit = np.flatnonzero(np.isfinite(t))
    cosine = -(normals[hit] * directions[hit]).sum(1) / np.linalg.norm(normals[hit], axis=1)
    steep = hit[cosine > 0.05]  # grazing rays leave at once
    assert len(steep) > 1000
    after = origins[steep] + (t[steep, None] + EPS) * directions[steep]
    assert INSIDE[name](after).all()
    shares = np.linspace(0, 1 - EPS, 400)[:, None]
    for ray in hit:
        before = origins[ray] + shares * t[ray] * directions[ray]
        assert not INSIDE[name](before).any()


def test_a_ray_that_enters_nowhere_is_never_inside(name, shot):
    origins, directions, t, _ = shot
    missed = np.flatnonzero(~np.isfinite(t))
    steps = np.linspace(0, 3, 600)[:, None]
    for ray in missed[:1000]:
        assert not INSIDE[name](origins[ray] + steps * directions[ray]).any()


def test_normals_point_outwards(name, shot):
    origins, directions, t, normals = shot
    hit = np.isfinite(t)
    points = (origins + np.where(hit, t, 0)[:, None] * directions)[hit]
    out = normals[hit] / np.linalg.norm(normals[hit], axis=1, keepdims=True)
    assert ((out * directions[hit]).sum(axis=1) < EPS).all()
    assert np.mean(INSIDE[name](points + 1e-4 * out)) < 0.01  # but where a cross has its inner edges
    assert np.mean(INSIDE[name](points - 1e-4 * out)) > 0.99


def test_it_reaches_as_far_as_its_surface_and_fits_the_unit_ball(name, shot):
    origins, directions, t, _ = shot
    hit = np.isfinite(t)
    points = (origins + np.where(hit, t, 0)[:, None] * directions)[hit]
    assert np.linalg.norm(points, axis=1).max() <= 1 + EPS
    for u in np.random.default_rng(0).normal(size=(20, 3)):
        u /= np.linalg.norm(u)
        reach, seen = SOLIDS[name].reach(u), (points @ u).max()
        assert seen - EPS <= reach < seen + 0.08  # rays seldom meet a corner
