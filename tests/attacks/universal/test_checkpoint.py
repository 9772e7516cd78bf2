"""A search that is broken off goes on from its last validation, to the result of one that was not."""

from dataclasses import replace

import pytest
import torch
from foolbench.attacks import FFF, GDUAP, UAP, UniversalPGD
from foolbench.core import CraftingData
from foolbench.datasets import Digits
from foolbench.models import ENTRIES

ATTACKS = [
    GDUAP(eps=0.1, prior="data", max_iterations=12, validate_every=3, settle=1, learning_rate=0.3, patience=50),
    FFF(eps=0.1, max_iterations=16, halve_every=4, validate_after=2, patience=50),
    UAP(eps=0.05, batch_size=16, passes=4, target_rate=1.0),
    UniversalPGD(eps=0.1, max_iterations=12, validate_every=3, patience=50, batch_size=8),
]


class Kept:
    """A checkpoint in memory; the `breaks`-th time that a state is saved, the plug is pulled right after."""

    def __init__(self, breaks=0):
        self.state, self.saved, self.breaks = {}, 0, breaks

    def load(self):
        return {name: tensor.clone() for name, tensor in self.state.items()}

    def save(self, state):
        self.state, self.saved = {name: tensor.detach().clone() for name, tensor in state.items()}, self.saved + 1
        if self.saved == self.breaks:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def data():
    images, _ = Digits().training(48)
    images = images.float() / 255
    return CraftingData(validation=images[:24], load_training=lambda: images)


@pytest.mark.parametrize("breaks", [1, 3])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: type(attack).__name__)
def test_the_result_is_that_of_an_undisturbed_search(attack, data, breaks):
    model, whole = ENTRIES["digits:convnet"].load(), Kept()
    expected = attack.craft(model, replace(data, checkpoint=whole), rng=0).delta
    assert whole.saved > breaks
    checkpoint = Kept(breaks)
    with pytest.raises(KeyboardInterrupt):
        attack.craft(model, replace(data, checkpoint=checkpoint), rng=0)
    checkpoint.breaks, before = 0, model.passes.forwards
    assert torch.equal(attack.craft(model, replace(data, checkpoint=checkpoint), rng=0).delta, expected)
    assert checkpoint.saved == whole.saved, "it began at the beginning"
    assert model.passes.forwards > before
