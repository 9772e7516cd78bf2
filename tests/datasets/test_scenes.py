"""The embedded scenes: what ships is what the renderer makes, and the renderer is right where optics has a formula."""

import json

import numpy as np
import pytest
import torch
from foolbench.core import InputError
from foolbench.datasets import Scenes
from foolbench.datasets.scenes.composition import CLASSES, Body, Scene, compose
from foolbench.datasets.scenes.render import BLEND, FOCAL, PREFERENCE, on_three_planes, render
from foolbench.datasets.scenes.sheets import EVALUATION, read_sheets, write_sheets
from foolbench.datasets.scenes.solids import SOLIDS
from foolbench.datasets.scenes.splits import DEPTH_STEP, VERSION, fingerprint, render_one, render_shard
from foolbench.datasets.scenes.textures import MATERIALS

PINNED = {3: "ac99d8dbdb55205e"}  # of the files that ship: another one needs another VERSION


@pytest.fixture(scope="module")
def scenes():
    return Scenes().scenes


def test_the_evaluation_split_is_balanced_and_whole(scenes):
    assert scenes.images.shape == (1020, 128, 128, 3)
    assert scenes.segmentations.shape == scenes.depths.shape == (1020, 128, 128)
    assert np.bincount(scenes.labels).tolist() == [34] * len(CLASSES)
    assert int(scenes.segmentations.max()) == len(SOLIDS)
    assert scenes.depths.min() > 0.5 / DEPTH_STEP
    assert scenes.depths.max() < 65535
    assert scenes.images.std(axis=(1, 2, 3)).min() > 8  # none is blank


def test_the_labelled_solid_is_to_be_seen(scenes):
    solids = scenes.labels // len(MATERIALS)
    pixels = (scenes.segmentations == solids[:, None, None] + 1).sum(axis=(1, 2))
    assert pixels.min() >= 400


def test_the_labelled_solid_is_seen_largest(scenes):
    solids = scenes.labels // len(MATERIALS)
    counts = np.stack([(scenes.segmentations == k + 1).sum(axis=(1, 2)) for k in range(len(SOLIDS))], axis=1)
    assert np.mean(counts.argmax(axis=1) == solids) > 0.98  # two of a kind may be larger together


def test_the_fingerprint_is_the_pinned_one_and_the_cards(scenes):
    card = json.loads((EVALUATION / "card.json").read_text())
    assert fingerprint(scenes) == Scenes().fingerprint == card["fingerprint"] == PINNED[VERSION]
    assert (card["version"], card["count"], card["classes"]) == (VERSION, 1020, list(CLASSES))


@pytest.mark.parametrize("part", ["images", "segmentations", "depths", "labels"])
def test_the_fingerprint_sees_every_ground_truth(scenes, part):
    changed = getattr(scenes, part).copy()
    changed.flat[-1] += 1
    assert fingerprint(scenes._replace(**{part: changed})) != fingerprint(scenes)


@pytest.mark.parametrize("index", [0, 35, 437, 1019])
def test_rendering_anew_gives_what_ships_up_to_rounding(scenes, index):
    view = render_one("eval", index)
    difference = np.abs(view.image.astype(int) - scenes.images[index])
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1e-3
    assert np.array_equal(view.segmentation, scenes.segmentations[index])
    assert np.abs(view.depth / DEPTH_STEP - scenes.depths[index]).max() <= 0.51


@pytest.mark.parametrize("size", [64, 224])
def test_the_same_scene_at_another_size(scenes, size):
    view = render_one("eval", 3, size)
    assert view.image.shape == (size, size, 3)
    shares = [np.bincount(s.ravel(), minlength=7) / s.size for s in (view.segmentation, scenes.segmentations[3])]
    assert np.abs(shares[0] - shares[1]).max() < 0.02


def test_the_splits_have_no_scene_in_common():
    train, evaluation = (render_shard(split, 0, 3) for split in ("train", "eval"))
    assert train.labels.tolist() == evaluation.labels.tolist() == [0, 1, 2]
    for a in train.images.astype(int):
        for b in evaluation.images.astype(int):
            assert np.abs(a - b).mean() > 5


def test_the_dataset_hands_out_the_sheets(scenes):
    dataset = Scenes()
    x, y = dataset.load(range(30, 40))
    assert len(dataset) == 1020
    assert (x.shape, x.dtype, y.dtype) == ((10, 3, 128, 128), torch.float32, torch.int64)
    assert np.array_equal((x * 255).round().byte().permute(0, 2, 3, 1).numpy(), scenes.images[30:40])
    assert y.tolist() == list(range(10))


def test_sheets_are_read_as_they_were_written(scenes, tmp_path):
    part = type(scenes)(*(array[:60] for array in scenes))
    write_sheets(tmp_path, part)
    again = read_sheets(tmp_path)
    assert all(np.array_equal(a, b) for a, b in zip(again, part, strict=True))
    (tmp_path / "depth.png").unlink()
    with pytest.raises(InputError, match=r"depth\.png"):
        read_sheets(tmp_path)


def test_solids_stand_on_the_floor_and_apart():
    for label in range(0, 30, 7):
        bodies = compose(label, np.random.default_rng(label)).bodies
        for body in bodies:
            lowest = body.center[1] - body.radius * list(SOLIDS.values())[body.solid].reach(-body.rotation[1])
            assert abs(lowest) < 1e-12
            assert np.allclose(body.rotation @ body.rotation.T, np.eye(3), atol=1e-12)
        for k, a in enumerate(bodies):
            for b in bodies[:k]:
                assert np.hypot(*(a.center - b.center)[[0, 2]]) > a.radius + b.radius


GREY = np.full((128, 128, 3), 0.5, np.float32)
CAMERA_Y, PITCH, WALL_Z, CENTER, RADIUS = 1.5, 0.25, 8.0, np.array([0.3, 0.8, 4.0]), 1.0
LAMP = np.array([-3.0, 6.0, 0.0])


@pytest.fixture(scope="module")
def view():
    """A sphere of radius 0.8 that stands on the floor, before a wall."""
    body = Body(solid=0, center=CENTER, rotation=np.eye(3), radius=RADIUS, texture=GREY)
    scene = Scene(
        bodies=(body,),
        floor=GREY,
        wall=GREY,
        wall_z=WALL_Z,
        camera_y=CAMERA_Y,
        pitch=PITCH,
        lamp=LAMP,
        ambient=0.4,
        exposure=1.0,
        noise=0.0,
        noise_seed=0,
    )
    return render(scene)


@pytest.fixture(scope="module")
def rays():
    """The pixels' first rays by pinhole optics, scaled to 1 along the camera's axis; (128, 128, 3)."""
    plane = ((2 * np.arange(128) + 0.5) / 256 * 2 - 1) / FOCAL
    right, down = np.meshgrid(plane, plane)
    forward, up = np.array([0, -np.sin(PITCH), np.cos(PITCH)]), np.array([0, np.cos(PITCH), np.sin(PITCH)])
    return forward + right[..., None] * np.array([1.0, 0, 0]) - down[..., None] * up


def to_sphere(origins, rays):
    """Ray parameter where the nearer side of the sphere is; NaN where there is none."""
    offset = origins - CENTER
    a, b, c = (rays * rays).sum(-1), (rays * offset).sum(-1), (offset * offset).sum(-1) - 0.8**2
    with np.errstate(invalid="ignore"):
        return (-b - np.sqrt(b * b - a * c)) / a


def test_a_sphere_is_where_the_formula_has_it(view, rays):
    exact = to_sphere(np.array([0, CAMERA_Y, 0]), rays)
    hit = np.isfinite(exact)
    assert 1000 < hit.sum() < 6000
    assert np.array_equal(hit, view.segmentation == 1)
    assert np.abs(view.depth - exact)[hit].max() < 1e-5


def test_floor_and_wall_are_where_the_formula_has_them(view, rays):
    with np.errstate(divide="ignore"):
        floor = np.where(rays[..., 1] < 0, -CAMERA_Y / rays[..., 1], np.inf)
    exact = np.minimum(floor, WALL_Z / rays[..., 2])
    outside = view.segmentation == 0
    assert np.abs(view.depth - exact)[outside].max() < 1e-5
    assert (floor < exact.max())[outside].any()


def test_light_and_shadow_fall_where_the_lamp_says(view, rays):
    """Of grey surfaces, a pixel shows albedo times ambient + 0.85 cos(angle), or ambient alone in the shadow."""
    points = np.array([0, CAMERA_Y, 0]) + view.depth[..., None] * rays
    floor = (view.segmentation == 0) & (points[..., 2] < WALL_Z - 0.1)
    to_lamp = LAMP - points
    distance = np.linalg.norm(to_lamp, axis=-1)
    lit = 0.5 * (0.4 + 0.85 * to_lamp[..., 1] / distance)
    clear = floor & ~np.isfinite(to_sphere(points, to_lamp))
    dark = floor & np.isfinite(to_sphere(points, to_lamp))
    seen = view.image.mean(axis=2) / 255
    near_bulbs = np.abs(seen - np.where(dark, 0.2, lit))
    assert dark.sum() > 300
    assert np.quantile(near_bulbs[clear], 0.95) < 0.02
    assert np.quantile(near_bulbs[dark], 0.8) < 0.02  # the rest is penumbra


@pytest.mark.parametrize("name", ["cube", "cross"])
def test_the_texture_of_a_flat_face_comes_from_one_plane(name):
    """Where two planes were equally near, rounding would choose."""
    _, normals = surface(name)
    facing = np.sort(np.abs(normals) * PREFERENCE, axis=1)
    assert np.mean(facing[:, 2] - facing[:, 1] < BLEND) < 0.1


@pytest.mark.parametrize("name", SOLIDS)
def test_the_texture_goes_on_where_the_normal_turns(name):
    points, normals = surface(name)
    texture = np.random.default_rng(0).random((32, 32, 3)).astype(np.float32)
    nudge = np.random.default_rng(1).normal(0, 1e-5, normals.shape)
    seen, nudged = (on_three_planes(texture, points, n) for n in (normals, normals + nudge))
    assert np.abs(seen - nudged).max() < 5e-3


def surface(name):
    """Where random rays from outside enter a solid, and the unit normals there."""
    rng = np.random.default_rng(0)
    origins, aims = (unit(rng.normal(size=(4000, 3))) for _ in range(2))
    origins, aims = 2 * origins, 0.8 * aims
    t, normals = SOLIDS[name].enter(origins, aims - origins)
    hit = np.isfinite(t)
    return (origins + t[:, None] * (aims - origins))[hit], unit(normals[hit])


def unit(v):
    return v / np.linalg.norm(v, axis=1, keepdims=True)
