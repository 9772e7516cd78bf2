"""Predicted maps are scored against every pixel of the truth, in its own size: by hand, and with other libraries."""

import cv2
import foolbench
import numpy as np
import pytest
import torch
from foolbench.core import Model
from foolbench.core.fitting import fit_map, shown_of_map
from foolbench.core.preprocess import Preprocess
from foolbench.datasets import load_dataset
from foolbench.tasks import Depth, Segmentation
from foolbench.tasks.maps import nearest
from PIL import Image
from sklearn.metrics import jaccard_score
from torch import nn

SIZES = [(20, 30), (26, 34), (40, 28), (20, 30)]
INPUT = (12, 18)


class Items:
    """Pictures of several sizes, with maps that `make(generator, size)` draws."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return len(SIZES)

    def __getitem__(self, place):
        if place >= len(self):
            raise IndexError
        generator = np.random.default_rng(place)
        height, width = SIZES[place]
        coarse = generator.integers(0, 256, (5, 6, 3)).astype(np.uint8)
        return Image.fromarray(cv2.resize(coarse, (width, height))), self.make(generator, (height, width))


def depths(generator, size):
    """Some are unknown, as where no laser beam went."""
    return np.where(generator.random(size) < 0.3, 0, generator.uniform(1, 60, size)).astype(np.float32)


def classes(generator, size):
    found = generator.integers(0, 3, size).astype(np.uint8)
    found[:2] = 255
    return found


def network(task):
    torch.manual_seed(1)
    layers = [nn.Conv2d(3, 1, 1), nn.Softplus()] if isinstance(task, Depth) else [nn.Conv2d(3, 3, 1)]
    net = nn.Sequential(*layers)
    with torch.no_grad():
        net[0].weight.mul_(20)
        if isinstance(task, Depth):
            net[0].bias.fill_(20.0)
    return Model(net, task=task, shape=(3, *INPUT), name="net", preprocess=Preprocess(size=INPUT, crop="squash"))


def scored(model, data, metric, out=None):
    table = foolbench.evaluate(
        model, data, attacks=["uniform-noise"], eps="8/255", samples=len(SIZES), silent=True, out=out
    )
    return table.set_index("metric").clean[metric]


def answers(model, data):
    images, _ = data.for_model(model).load(range(len(SIZES)))
    with torch.no_grad():
        return model.task.predict(model(images)).numpy()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def test_depths_are_interpolated_to_the_size_of_their_truth(tmp_path):
    model, data = network(Depth()), load_dataset(Items(depths))
    errors = []
    for place, found in enumerate(answers(model, data)):
        truth = Items(depths)[place][1]
        known = truth > 0
        at_its_size = cv2.resize(found, truth.shape[::-1], interpolation=cv2.INTER_LINEAR)
        errors.append(np.mean(np.abs(at_its_size - truth)[known] / truth[known]))
    assert scored(model, data, "abs-rel", tmp_path / "run") == pytest.approx(np.mean(errors), rel=1e-4)
    each = foolbench.image_scores(tmp_path / "run")
    assert each[each.metric == "abs-rel"].clean.tolist() == pytest.approx(errors, rel=1e-4)


def test_the_crop_is_of_the_truth_in_its_own_size():
    model, data = network(Depth(crop="garg")), load_dataset(Items(depths))
    near = []
    for place, found in enumerate(answers(model, data)):
        truth = Items(depths)[place][1]
        height, width = truth.shape
        top, bottom, left, right = (
            np.array([0.40810811, 0.99189189, 0.03594771, 0.96405229]) * [height, height, width, width]
        ).astype(np.int32)
        inside = np.zeros_like(truth, bool)
        inside[top:bottom, left:right] = True
        counts = inside & (truth > 0)
        at_its_size = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR).clip(1e-3, 80)
        ratio = np.maximum(at_its_size / truth.clip(1e-3), truth / at_its_size)[counts]
        near.append(np.mean(ratio < 1.25))
    assert scored(model, data, "delta1") == pytest.approx(100 * np.mean(near), abs=0.006)  # tables round to 0.01


def test_classes_are_those_of_the_nearest_prediction():
    model, data = network(Segmentation(classes=3, background=None)), load_dataset(Items(classes))
    said, true = [], []
    for place, found in enumerate(answers(model, data)):
        truth = Items(classes)[place][1]
        at_its_size = np.array(
            Image.fromarray(found.astype(np.uint8)).resize(truth.shape[::-1], Image.Resampling.NEAREST)
        )
        said.append(at_its_size[truth != 255])
        true.append(truth[truth != 255])
    expected = jaccard_score(np.concatenate(true), np.concatenate(said), average="macro")
    assert scored(model, data, "miou") == pytest.approx(100 * expected, abs=0.006)  # tables round to 0.01


def test_of_a_cut_picture_the_part_that_is_shown_counts():
    """16 x 24 of a shorter side resized to 20: of 20 x 30 pixels none are resized, of 40 x 28 the middle."""
    model = network(Segmentation(classes=3))
    model.preprocess = Preprocess(size=(16, 24), resize=20)
    found = load_dataset(Items(classes)).for_model(model).truths([0, 2])
    assert np.array_equal(found[0], Items(classes)[0][1][2:18, 3:27])
    assert found[1].shape == (
        18,
        28,
    )  # 20 x 28 is less wide than the image: resized to 34 x 24, of which 16 x 24 are cut


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("size", [(37, 53), (151, 97), (375, 500), (61, 600)])
@pytest.mark.parametrize(("resize", "cut"), [(256, (224, 224)), (146, (128, 128)), (300, (300, 310)), (20, (16, 16))])
def test_image_and_truth_show_the_same_part(size, resize, cut, axis):
    """Maps whose values are their rows or columns: on the average they are off by less than half a pixel of either."""
    preprocess = Preprocess(size=cut, resize=resize)
    values = np.indices(size)[axis].astype(np.float32)
    answer, truth = fit_map(values, preprocess)[None], shown_of_map(values, preprocess)
    off = (nearest(answer, tuple(truth.shape))[0] - truth).mean()
    assert abs(off) < 0.5 * max(1, truth.shape[axis] / cut[axis])


def test_truths_of_the_size_of_the_images_are_the_targets():
    model = network(Segmentation(classes=3))
    model.preprocess = Preprocess(size=SIZES[0], crop="squash")
    data = load_dataset(Items(classes)).for_model(model)
    _, targets = data.load([0, 3])
    assert torch.equal(targets, torch.stack(data.truths([0, 3])))
