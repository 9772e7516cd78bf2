"""A universal attack sees the training images that its recipe says: so many, and whose."""

from dataclasses import dataclass
from typing import ClassVar

import foolbench
import numpy as np
import pytest
import torch
from foolbench.core import ConfigError, UniversalAttack, datasets, register_attack, register_dataset
from foolbench.datasets.digits import Digits
from foolbench.evaluation.engine.crafting.elsewhere import training_elsewhere
from foolbench.evaluation.engine.crafting.resizing import Resized
from foolbench.evaluation.grid.digest import digest
from foolbench.evaluation.grid.grid import spanned
from foolbench.evaluation.grid.parameters import parameters
from foolbench.evaluation.leaderboard.part import part_of
from foolbench.evaluation.opening.consistency import check_methods
from foolbench.evaluation.opening.recipes import read_document
from foolbench.evaluation.python import evaluate
from foolbench.evaluation.recipe.entries import Addressed
from PIL import Image

OTHER = {"name": "toy-negatives", "channels": 3}
SEEN: list[torch.Tensor] = []


@dataclass(frozen=True, kw_only=True)
class Onlooker(UniversalAttack):
    """Looks at its training images, and changes nothing."""

    prior: str = "data"

    access: ClassVar = "gradient"
    randomized: ClassVar = True

    def search(self, model, data, *, rng):
        SEEN.append(data.load_training())
        return torch.zeros_like(data.validation[0])


class Negatives(Digits):
    """The training images of the digits, black on white, with the same in each of several channels."""

    name = "toy-negatives"

    def __init__(self, *, channels: int = 1) -> None:
        super().__init__()
        self.channels = channels

    def training(self, count, advance=lambda images: None):
        images, labels = super().training(count, advance)
        return (255 - images).expand(-1, self.channels, -1, -1), labels


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setattr(evaluate, "publish", lambda *_: None)
    register_attack("toy-onlooker")(Onlooker)
    register_dataset("toy-negatives")(Negatives)
    SEEN.clear()


def recipe_of(*attacks):
    document = {
        "name": "tiny",
        "dataset": "digits",
        "samples": 8,
        "models": ["digits:convnet"],
        "threat": {"eps": 0.1},
        "attacks": [{"name": "toy-onlooker"} | attack for attack in attacks],
    }
    return read_document(document, "tiny", check_methods)


def test_each_attack_sees_what_its_recipe_says(tmp_path):
    attacks = [{"name": "toy-onlooker", **more} for more in ({}, {"training_images": 7}, {"training_data": OTHER})]
    facts = {"samples": 8, "eps": 0.1, "device": "cpu", "silent": True, "cache": False}
    table = foolbench.evaluate("digits:convnet", "digits", attacks=attacks, out=tmp_path, **facts)
    usual, few, other = SEEN
    own = Digits().training(512)[0].float() / 255
    assert torch.equal(usual, own)
    assert torch.equal(few, own[:7])
    torch.testing.assert_close(other, 1 - own)
    assert table.crafted.nunique() == 3
    told = [row.partition('"training_')[2] for row in table.attack_params]
    assert told == ["", 'images":7}', 'data":"toy-negatives (channels=3)"}']


def test_what_is_usual_is_called_as_if_nothing_could_be_said(tmp_path):
    ((job, _),) = spanned(recipe_of({}))
    assert job.stream == digest(job.source, job.attack_name, parameters(job.attack))


def test_a_row_leads_back_to_its_attack():
    recipe = recipe_of({}, {"training_images": 7}, {"training_images": 9})
    row = dict.fromkeys(("model", "source_model"), "digits:convnet") | {
        "attack": "toy-onlooker",
        "attack_params": '{"prior":"data","training_images":9}',
        "norm": "linf",
        "eps": "0.1",
        "knowledge": "oblivious",
        "defense": "none",
        "defense_params": "{}",
    }
    assert part_of(recipe, row).attacks[0].training_images == 9


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (
            {"prior": "range", "training_images": 7},
            'prior = "range" sees no training images: leave training_images out',
        ),
        ({"name": "pgd", "training_data": "digits"}, "pgd with no prior sees no training images"),
        ({"training_data": "digitz"}, "digitz"),
        ({"training_images": 0}, "training_images"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_one_sentence(attack, words):
    with pytest.raises(ConfigError, match=words):
        recipe_of(attack)


def test_equal_attacks_on_other_images_are_not_listed_twice():
    recipe_of({}, {"training_images": 7})
    with pytest.raises(ConfigError, match="twice"):
        recipe_of({"training_images": 7}, {"training_images": 7})


def shaped(*shape):
    dataset = Digits()
    dataset.shape = shape
    return dataset


def test_images_of_other_data_come_in_the_shape_of_the_networks_own():
    found = training_elsewhere(Addressed.model_validate("digits"), 5, shaped(3, 16, 16), lambda images: None)
    assert found.dtype == torch.uint8
    assert found.shape == (5, 3, 16, 16)
    assert torch.equal(found[:, 0], found[:, 2])
    small = Digits().training(5)[0].float()
    assert (found[:, :1].float().mean(dim=(2, 3)) - small.mean(dim=(2, 3))).abs().max() < 4


@pytest.fixture
def pictures(tmp_path):
    """The address of a folder with forty pictures of one grey level each."""
    for level in range(40):
        Image.fromarray(np.full((8, 8), 6 * level, np.uint8)).save(tmp_path / f"{level}.png")
    return f"image-folder:{tmp_path}"


def taken(data, dataset):
    images = training_elsewhere(Addressed.model_validate(data), 100, dataset, lambda images: None)
    return sorted(images[:, 0, 0, 0].tolist())


def test_no_evaluation_image_is_a_training_image(pictures):
    """Of the same folder, divided otherwise or not at all."""
    whole, divided = (datasets.bind(pictures, {"train_share": share})() for share in (0.0, 0.5))
    held_out = sorted(divided.training(100)[0][:, 0, 0, 0].tolist())
    assert 0 < len(held_out) < 40
    assert taken({"name": pictures, "train_share": 0.8}, divided) == held_out
    assert taken({"name": pictures, "train_share": 0.8}, Resized(divided, (8, 8))) == held_out
    with pytest.raises(ConfigError, match="among the evaluation images; name others"):
        taken({"name": pictures, "train_share": 0.5}, whole)


def test_nor_is_one_that_lies_elsewhere_in_another_form(pictures):
    data = {"name": pictures, "train_share": 0.5}
    *evaluated, other = sorted(datasets.bind(pictures, {"train_share": 0.5})().training(100)[0][:, 0, 0, 0].tolist())
    tensors = torch.tensor(evaluated).reshape(-1, 1, 1, 1).expand(-1, 1, 8, 8) / 255
    assert taken(data, foolbench.load_dataset(tensors)) == [other]


class Overlapping(Digits):
    """Trains on five of what others evaluate on, and on one more."""

    def training(self, count, advance=lambda images: None):
        images, labels = self.load(range(5))
        images[2] = 1.0
        return (images * 255).round().to(torch.uint8), labels


def test_nor_is_one_of_data_that_are_no_files():
    register_dataset("toy-overlapping")(Overlapping)
    assert taken("toy-overlapping", Digits()) == [255]


def test_channels_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="of 4 channels, got 3 in toy-negatives"):
        training_elsewhere(Addressed.model_validate(OTHER), 5, shaped(4, 8, 8), lambda images: None)
