"""Before a network for maps a defense shows at each place what is there, or brings the map back, or is refused."""

import foolbench
import pytest
import torch
from foolbench.core import ConfigError, InputTransform, Model, defenses
from foolbench.core.seeding import Draws
from foolbench.datasets import SceneMaps
from foolbench.defenses import BaRT, Compose, CropEnsemble, MedianSmoothing, ResizePad, TenCrop
from foolbench.tasks import Depth, Segmentation
from torch import nn

REFUSED = {"bart", "odds-are-odd", "regroup"}
MOVING = {"crop-ensemble", "resize-pad", "ten-crop"}


def network():
    torch.manual_seed(0)
    return Model(nn.Conv2d(3, 7, 1), task=SceneMaps().task, shape=(3, 128, 128), name="small")


def test_those_that_distort_or_judge_whole_images_say_so():
    assert {name for name in defenses if getattr(defenses[name], "needs_class_scores", False)} == REFUSED


def bright_places() -> torch.Tensor:
    """Dark images with one bright square each, at another place."""
    x = torch.full((3, 3, 32, 32), 0.2)
    for image, (row, column) in enumerate(((4, 4), (20, 8), (12, 24))):
        x[image, :, row : row + 6, column : column + 6] = 0.9
    return x


PLAIN = [
    name
    for name in defenses
    if isinstance(defenses[name], type) and issubclass(defenses[name], InputTransform) and name not in MOVING | REFUSED
]


@pytest.mark.parametrize("name", PLAIN)
def test_the_others_leave_everything_at_its_place(name):
    x = bright_places()
    seen = defenses.create(name, {})(x, rng=0)
    assert seen.shape == x.shape
    for before, after in zip(x, seen, strict=True):
        inside = before[0] > 0.5
        assert after[0][inside].mean() > after[0][~inside].mean() + 0.3


@pytest.mark.parametrize("defense", [BaRT(), Compose(steps=(MedianSmoothing(), BaRT()))])
def test_a_system_of_maps_refuses_them(defense):
    sentence = r"distorts what an image shows.* expected a model of image recognition, got one for Segmentation"
    with pytest.raises(ConfigError, match=sentence):
        defense.defend(network())
    with pytest.raises(ConfigError, match=sentence):
        foolbench.evaluate(network(), "scenes-segmentation", attacks="fgsm", defenses=defense, eps=0.1, samples=2)


def test_what_smooths_an_image_defends_its_map():
    system = MedianSmoothing().defend(network())
    assert isinstance(system.task, Segmentation)
    assert system.predict(torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))).shape == (2, 128, 128)


MOVED = [
    TenCrop(),
    TenCrop(fraction=0.5),
    CropEnsemble(crops=5, fraction=0.9),
    CropEnsemble(crops=40),
    ResizePad(min_scale=0.5),
    Compose(steps=(ResizePad(), TenCrop())),
]


class Grey(nn.Module):
    """Of each pixel its own value, as a depth or as log-odds of the second of two classes."""

    def __init__(self, classes):
        super().__init__()
        self.classes = classes

    def forward(self, x):
        grey = x.mean(dim=1, keepdim=True)
        return grey if self.classes == 1 else torch.cat([torch.zeros_like(grey), grey], dim=1)


def ramps() -> torch.Tensor:
    """Images whose value is linear in the place, so that interpolation is exact: down, across, both."""
    places = torch.linspace(0.2, 0.8, 40)
    down, right = places[:, None].expand(40, 40), places[None].expand(40, 40)
    return torch.stack([down, right, (down + right) / 2])[:, None].repeat(1, 3, 1, 1)


def away_from_edges(maps):
    """Interpolation repeats the values of edges, of the image and of crops."""
    return maps[..., 3:-3, 3:-3]


@pytest.mark.parametrize("defense", MOVED, ids=repr)
def test_the_depth_of_a_pixel_comes_back_to_it(defense):
    x = ramps()
    system = defense.defend(Model(Grey(1), task=Depth(min_depth=0.01, max_depth=2.0), name="grey"))
    found = away_from_edges(system.predict(x, rng=Draws.of(0, samples=range(3))))
    assert (found - away_from_edges(x[:, 0])).abs().max() < 0.6 / 39  # a pixel's step: half of it is that of an edge
    assert (found - away_from_edges(x[:, 0])).abs().mean() < 0.1 / 39


@pytest.mark.parametrize("defense", MOVED, ids=repr)
def test_the_class_of_a_pixel_comes_back_to_it(defense):
    x = bright_places()
    system = defense.defend(Model(nn.Sequential(Grey(2), Sharp()), task=Segmentation(classes=2), name="grey"))
    found = system.predict(x, rng=Draws.of(0, samples=range(3)))
    assert ((found == 1) == (x[:, 0] > 0.5)).float().mean() > 0.98


class Sharp(nn.Module):
    def forward(self, outputs):
        return 100 * (outputs - torch.tensor([0.0, 0.5])[:, None, None])


def test_only_what_a_view_shows_counts():
    outputs = torch.tensor([1.0, 3.0, 100.0])[None, :, None, None].expand(1, 3, 2, 2)
    shown = torch.tensor([True, True, False])[None, :, None, None].expand(1, 3, 2, 2)
    depth = Depth()
    assert torch.equal(depth.average(outputs, shown), torch.full((1, 2, 2), 2.0))
    assert torch.equal(depth.average(outputs[:, :, None], shown), torch.full((1, 1, 2, 2), 2.0))
    task, logits = Segmentation(classes=4), torch.randn(2, 3, 4, 5, 5, generator=torch.Generator().manual_seed(0))
    some = torch.tensor([True, False, True])[None, :, None, None].expand(2, 3, 5, 5)
    torch.testing.assert_close(task.average(logits, some), task.average(logits[:, [0, 2]]))
    torch.testing.assert_close(task.average(logits, torch.ones_like(some)), task.average(logits))


def test_attacks_find_the_gradient_through_the_way_back():
    x = ramps().requires_grad_()
    system = ResizePad(min_scale=0.8).defend(Model(Grey(1), task=Depth(min_depth=0.01, max_depth=2.0), name="grey"))
    (gradient,) = torch.autograd.grad(system.logits(x, rng=Draws.of(0, samples=range(3))).sum(), x)
    # each output is a mean of the image around its own place: every pixel away from edges counts about once
    assert (away_from_edges(gradient).sum(dim=1) - 1).abs().mean() < 0.3


@pytest.mark.parametrize("defense", [CropEnsemble(crops=2), ResizePad(), TenCrop()])
def test_maps_of_another_size_are_refused_where_they_would_be_moved(defense):
    """By pixels of the image, which are not theirs."""
    half = Model(nn.Conv2d(3, 7, 1, stride=2), task=SceneMaps().task, shape=(3, 32, 32), name="small")
    with pytest.raises(ConfigError, match=r"expected maps of their size \(32, 32\), got \(16, 16\)"):
        defense.defend(half)(bright_places(), rng=Draws.of(0, samples=range(3)))
