"""Substitute images: valid, the same every time, and of no task."""

import pytest
import torch
from foolbench.core import check_images
from foolbench.datasets import Digits, substitutes
from foolbench.datasets.pictures.photographs import PhotographCrops
from foolbench.datasets.scenes.textures import PHOTOGRAPHS, photograph
from foolbench.datasets.substitutes import substitute_images
from foolbench.evaluation.engine.crafting.resizing import Resized


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 64, 64), (3, 32, 48), (3, 224, 224)])
def test_shape_and_range(shape):
    images = substitute_images(8, shape)
    check_images(images, shape)
    assert images.shape == (8, *shape)
    assert images.is_contiguous()
    assert float(images.std(dim=(1, 2, 3)).min()) > 0.005  # none is blank


def test_they_are_the_same_every_time_and_differ_by_seed():
    first = substitute_images(12, (3, 16, 16), seed=3)
    assert torch.equal(first, substitute_images(12, (3, 16, 16), seed=3))
    assert torch.equal(first[:5], substitute_images(5, (3, 16, 16), seed=3))
    assert not torch.equal(first, substitute_images(12, (3, 16, 16), seed=4))


def test_no_two_are_alike():
    images = substitute_images(64, (3, 16, 16)).flatten(1)
    distances = torch.cdist(images, images).fill_diagonal_(9)
    assert float(distances.min()) > 0.05


def test_grey_images_are_the_mean_over_the_colours():
    colour, grey = substitute_images(8, (3, 8, 8), seed=1), substitute_images(8, (1, 8, 8), seed=1)
    assert torch.allclose(grey[:, 0], colour.mean(dim=1), atol=1e-6)


def test_every_fourth_is_noise():
    images = substitute_images(64, (3, 32, 32))
    assert float(images[3::4].mean()) == pytest.approx(0.5, abs=0.03)
    assert float(images[3::4].std(dim=(1, 2, 3)).std()) < 0.02  # all of one contrast, unlike photographs


def test_none_shows_what_a_data_set_evaluates_on(monkeypatch):
    asked = []
    monkeypatch.setattr(substitutes, "photograph", lambda name: asked.append(name) or photograph(name))
    data = PhotographCrops()
    shown = substitutes.photographs_shown_by(data)
    assert {"astronaut", "china"} <= shown == substitutes.photographs_shown_by(Resized(data, (8, 8)))
    assert substitute_images(64, (3, 8, 8), without=shown).shape == (64, 3, 8, 8)
    assert set(asked) == set(PHOTOGRAPHS) - shown
    held_out = PhotographCrops(train_share=0.25).photographs_shown()
    assert held_out < shown
    assert substitutes.photographs_shown_by(Digits()) == set()


def test_they_are_what_they_always_were_where_none_is_left_out():
    assert float(substitute_images(8, (3, 8, 8)).double().sum()) == pytest.approx(647.04, abs=0.01)
