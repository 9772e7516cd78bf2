"""Before a network for maps a defense shows at each place what is there, or it is refused in a sentence."""

import foolbench
import pytest
import torch
from foolbench.core import ConfigError, InputTransform, Model, defenses
from foolbench.datasets import SceneMaps
from foolbench.defenses import Compose, MedianSmoothing, ResizePad, TenCrop
from foolbench.tasks import Segmentation
from torch import nn

MOVING = {"bart", "crop-ensemble", "odds-are-odd", "regroup", "resize-pad", "ten-crop"}


def network():
    torch.manual_seed(0)
    return Model(nn.Conv2d(3, 7, 1), task=SceneMaps().task, shape=(3, 128, 128), name="small")


def test_those_that_move_or_judge_whole_images_say_so():
    assert {name for name in defenses if getattr(defenses[name], "needs_class_scores", False)} == MOVING


def bright_places() -> torch.Tensor:
    """Dark images with one bright square each, at another place."""
    x = torch.full((3, 3, 32, 32), 0.2)
    for image, (row, column) in enumerate(((4, 4), (20, 8), (12, 24))):
        x[image, :, row : row + 6, column : column + 6] = 0.9
    return x


PLAIN = [
    name
    for name in defenses
    if isinstance(defenses[name], type) and issubclass(defenses[name], InputTransform) and name not in MOVING
]


@pytest.mark.parametrize("name", PLAIN)
def test_the_others_leave_everything_at_its_place(name):
    x = bright_places()
    seen = defenses.create(name, {})(x, rng=0)
    assert seen.shape == x.shape
    for before, after in zip(x, seen, strict=True):
        inside = before[0] > 0.5
        assert after[0][inside].mean() > after[0][~inside].mean() + 0.3


@pytest.mark.parametrize("defense", [TenCrop(), ResizePad(), Compose(steps=(MedianSmoothing(), ResizePad()))])
def test_a_system_of_maps_refuses_them(defense):
    sentence = r"moves what an image shows.* expected a model of image recognition, got one for Segmentation"
    with pytest.raises(ConfigError, match=sentence):
        defense.defend(network())
    with pytest.raises(ConfigError, match=sentence):
        foolbench.evaluate(network(), "scenes-segmentation", attacks="fgsm", defenses=defense, eps=0.1, samples=2)


def test_what_smooths_an_image_defends_its_map():
    system = MedianSmoothing().defend(network())
    assert isinstance(system.task, Segmentation)
    assert system.predict(torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(0))).shape == (2, 128, 128)
