"""The digits: real images, split without overlap."""

import pytest
import torch
from foolbench.core import datasets
from foolbench.datasets import Digits
from foolbench.datasets import digits as digits_module
from sklearn.datasets import load_digits


@pytest.fixture(scope="module")
def digits():
    return Digits()


def test_the_evaluation_split_is_the_end_of_the_original(digits):
    x, y = digits.load(range(len(digits)))
    original = load_digits()
    assert x.shape == (512, *digits.shape) == (512, 1, 8, 8)
    assert (x.dtype, y.dtype) == (torch.float32, torch.int64)
    assert torch.allclose(x[:, 0].double(), torch.from_numpy(original.images[-512:]) / 16, atol=0.5 / 255)
    assert y.tolist() == original.target[-512:].tolist()


def test_images_are_on_the_8_bit_grid_and_use_the_whole_range(digits):
    x, y = digits.load(range(len(digits)))
    assert (float(x.min()), float(x.max())) == (0, 1)
    assert torch.equal((x * 255).round() / 255, x)
    assert set(y.tolist()) == set(range(digits.task.classes))


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (17, 40), (500, 512)])
def test_loading_a_part_is_a_part_of_the_whole(digits, start, stop):
    x, y = digits.load(range(start, stop))
    whole_x, whole_y = digits.load(range(512))
    assert torch.equal(x, whole_x[start:stop])
    assert torch.equal(y, whole_y[start:stop])


def test_training_and_evaluation_are_disjoint(digits):
    ready = []
    images, labels = digits.training(1285, ready.append)
    assert (images.shape, images.dtype) == ((1285, 1, 8, 8), torch.uint8)
    assert len(labels) == sum(ready) == 1285
    assert len(images) + len(digits) == 1797
    x, _ = digits.load(range(512))
    nearest = torch.cdist(x.flatten(1), images.flatten(1).float() / 255).min(dim=1).values
    assert float(nearest.min()) > 0.1


def test_the_training_split_has_an_end(digits):
    ready = []
    few, all_of_it = digits.training(10), digits.training(2048, ready.append)
    assert torch.equal(few[0], all_of_it[0][:10])
    assert [len(part) for part in all_of_it] == [1285, 1285]
    assert sum(ready) == 1285


def test_the_fingerprint_is_that_of_the_evaluation_data(digits, monkeypatch):
    assert digits.fingerprint == Digits().fingerprint
    images, labels = (part.clone() for part in digits_module._all())
    images[-1, 0, 0, 0] += 1
    known = digits.fingerprint
    monkeypatch.setattr(digits_module, "_all", lambda: (images, labels))
    assert Digits().fingerprint != known


def test_it_is_registered_under_its_name():
    assert datasets["digits"] is Digits
