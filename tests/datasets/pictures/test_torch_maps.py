"""A torch Dataset of (image, map) as people have it."""

import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, Model
from foolbench.core.preprocess import Preprocess
from foolbench.datasets import load_dataset
from foolbench.tasks import Depth, Recognition, Segmentation
from PIL import Image
from torch import nn

HEIGHT, WIDTH = 10, 12


def class_map(seed):
    values = np.random.default_rng(seed).integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8)
    values[0] = 255
    return values


class Items:
    """Six pictures with what `make(number)` gives as target."""

    def __init__(self, make):
        self.make = make

    def __len__(self):
        return 6

    def __getitem__(self, place):
        if place >= len(self):
            raise IndexError
        pixels = np.random.default_rng(100 + place).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        return Image.fromarray(pixels), self.make(place)


def network(task, size=(HEIGHT, WIDTH)):
    net = nn.Conv2d(3, task.classes if isinstance(task, Segmentation) else 1, 1)
    return Model(net, task=task, shape=(3, *size), name="net", preprocess=Preprocess(size=size, crop="squash"))


@pytest.mark.parametrize(
    "as_given",
    [
        lambda values: values,
        lambda values: torch.from_numpy(values).long(),
        lambda values: torch.from_numpy(values)[None],
        lambda values: Image.fromarray(values),
    ],
    ids=["array", "int64", "one channel", "picture"],
)
def test_classes_in_every_form(as_given):
    data = load_dataset(Items(lambda place: as_given(class_map(place))))
    assert data.task == Segmentation(classes=3)
    images, maps = data.for_model(network(Segmentation(classes=5))).load([1, 4])
    assert (images.shape, maps.dtype) == ((2, 3, HEIGHT, WIDTH), torch.int64)
    assert np.array_equal(maps[1], class_map(4))


def test_depths_are_floats_and_0_where_nobody_knows():
    depths = np.random.default_rng(0).random((HEIGHT, WIDTH)) + 1
    depths[:2] = 0
    data = load_dataset(Items(lambda place: depths)).for_model(network(Depth(), (5, 6)))
    _, maps = data.load([0])
    assert (maps.shape, maps.dtype) == ((1, 5, 6), torch.float32)
    assert set(maps.unique().tolist()) <= set(depths.astype(np.float32).flat)
    data.task.check_targets(maps, 1)


def test_a_share_is_held_out_with_its_maps():
    data = load_dataset(Items(class_map), train_share=0.5).for_model(network(Segmentation(classes=3)))
    images, maps = data.training(9)
    assert 0 < len(images) == len(maps) < 6
    assert len(data) + len(images) == 6
    seen = {one.numpy().astype(np.uint8).tobytes() for one in (*data.load(range(len(data)))[1], *maps)}
    assert seen == {class_map(place).tobytes() for place in range(6)}


class Twice(Items):
    """Each picture of twelve twice, with two maps."""

    def __len__(self):
        return 24

    def __getitem__(self, place):
        if place >= len(self):
            raise IndexError
        pixels = np.random.default_rng(place // 2).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)
        return Image.fromarray(pixels), self.make(place)


def test_a_picture_with_another_map_is_the_same_picture():
    data = load_dataset(Twice(class_map), train_share=0.5)
    images, _ = data.training(99)
    evaluated, _ = data.load(range(len(data)))
    assert 0 < len(images) == 24 - len(evaluated)
    levels = {image.numpy().tobytes() for image in (evaluated * 255).round().byte()}
    assert levels.isdisjoint(image.numpy().tobytes() for image in images)
    assert load_dataset(Items(lambda n: class_map(n + 1))).evaluated == load_dataset(Items(class_map)).evaluated


def test_the_fingerprint_is_also_that_of_the_maps():
    assert load_dataset(Items(class_map)).fingerprint == load_dataset(Items(class_map)).fingerprint
    assert load_dataset(Items(class_map)).fingerprint != load_dataset(Items(lambda n: class_map(n + 1))).fingerprint


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (
            lambda place: class_map(place)[:5],
            r"Item 0 .* Expected a map of the image's size \(10, 12\), got .*\(5, 12\)",
        ),
        (lambda place: class_map(place).astype(int) - 1, "Item 0 .* Expected classes 0..254, 255 for void"),
        (lambda place: class_map(place) / 0.0 if place else class_map(place) * 1.0, "Item 1 .* Expected finite depths"),
        (lambda place: class_map(place) * (1.0 if place else 1), "classes with every image of .* or depths, got both"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_what_is_no_map_is_told(make, sentence):
    with pytest.raises(ConfigError, match=sentence):
        load_dataset(Items(make))


@pytest.mark.parametrize("task", [Segmentation(classes=2), Depth(), Recognition(classes=3)])
def test_a_network_for_something_else_is_refused(task):
    with pytest.raises(ConfigError, match=r"net does .* the maps of Items are for"):
        load_dataset(Items(class_map)).for_model(network(task))


def test_training_maps_of_another_task_are_none(tmp_path):
    (tmp_path / "maps.py").write_text(
        "import numpy as np\n"
        "grey = [np.full((10, 12, 3), 30 * k, np.uint8) for k in range(4)]\n"
        "depths = [(image, np.ones((10, 12), np.float32)) for image in grey]\n"
        "classes = [(image, np.full((10, 12), 8, np.uint8)) for image in grey]\n"
    )
    for other in ("depths", "classes"):  # nine classes, where the network knows three
        data = load_dataset(Items(class_map), train=f"{tmp_path}/maps.py:{other}")
        images, targets = data.for_model(network(Segmentation(classes=3))).training(10)
        assert (len(images), targets) == (4, None)


def test_what_has_the_size_already_keeps_its_map():
    """Whatever its network does to larger pictures."""
    net = nn.Conv2d(3, 3, 1)
    zooming = Preprocess(size=(HEIGHT, WIDTH), resize=2 * HEIGHT)
    model = Model(net, task=Segmentation(classes=3), shape=(3, HEIGHT, WIDTH), name="net", preprocess=zooming)
    _, maps = load_dataset(Items(class_map)).for_model(model).load([2])
    assert np.array_equal(maps[0], class_map(2))
