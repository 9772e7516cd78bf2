"""No data set is read by two threads at once, whoever asks for its images."""

import threading
import time
from types import SimpleNamespace

import pytest
import torch
from foolbench.datasets import Digits
from foolbench.defenses import PCA
from foolbench.evaluation.engine.cache.shelf import Shelf
from foolbench.evaluation.engine.crafting.elsewhere import original, training_elsewhere
from foolbench.evaluation.engine.networks.networks import Networks
from foolbench.evaluation.engine.provenance.glimpse import glimpse
from foolbench.evaluation.opening.recipes import load_recipe
from foolbench.evaluation.recipe.entries import Addressed

SAMPLES = (3, 1, 2)


class Busy(Digits):
    """Reads slowly, and refuses whoever comes meanwhile."""

    def __init__(self):
        self._lock = threading.Lock()

    def load(self, samples):
        return self._alone(super().load, samples)

    def training(self, count, advance=lambda images: None):
        return self._alone(super().training, count, advance)

    def _alone(self, read, *arguments):
        assert self._lock.acquire(blocking=False), "two read at once"
        time.sleep(0.05)
        found = read(*arguments)
        self._lock.release()
        return found


@pytest.fixture
def networks(digits_model, recipe_file, silent, tmp_path):
    recipe = load_recipe(str(recipe_file))
    setup = SimpleNamespace(recipe=recipe, cache=None, own=Shelf(tmp_path), device="cpu", samples=SAMPLES)
    return Networks(setup, lambda name: (digits_model, Busy()), silent)


READERS = {
    "a look": lambda network: glimpse(network.dataset),
    "training images": lambda network: network.dataset.training(5),
    "those of other data": lambda network: training_elsewhere(
        Addressed(name="digits"), 5, network.dataset, lambda images: None
    ),
    "a defense that learns": lambda network: network.systems.school.dataset.training(5),
    "the name of what is learned": lambda network: network.systems.school.name(PCA()),
    "a look at gradients": lambda network: network.systems.dataset.load([7]),
    "another shard": lambda network: network.shard([7]),
}


@pytest.mark.parametrize("what", READERS)
def test_nobody_reads_a_data_set_while_it_is_read_ahead(networks, what):
    network = networks.use("digits")
    networks.foresee("digits", SAMPLES)
    READERS[what](network)
    networks.foresee("digits", SAMPLES)
    networks.leave()  # which drops what was begun, but it may go on
    READERS[what](networks.use("digits"))


def test_but_for_that_it_is_the_data_set(networks):
    network, data = networks.use("digits"), Digits()
    assert isinstance(original(network.dataset), Busy)
    assert (len(network.dataset), network.dataset.fingerprint) == (len(data), data.fingerprint)
    networks.foresee("digits", SAMPLES)
    shard = network.shard(SAMPLES)
    images, labels = data.load(SAMPLES)
    assert torch.equal(shard.x, images)
    assert torch.equal(shard.y, labels)
    assert torch.equal(network.dataset.training(9)[0], data.training(9)[0])
