"""What was crafted at one size, at another one: within its budget, and of data that are known to be others."""

import pytest
import torch
from foolbench.core import ConfigError
from foolbench.core.threat import Threat
from foolbench.datasets import Digits
from foolbench.evaluation.engine.crafting.crafted import Crafted
from foolbench.evaluation.engine.crafting.resizing import Resized, carried_over
from foolbench.evaluation.ledger.ledger import Costs


def test_changes_are_brought_back_into_a_budget_that_resizing_breaks():
    x, change = torch.full((2, 1, 8, 8), 0.5), torch.full((2, 1, 4, 4), 0.1)  # L2 0.4, and 0.8 at twice the size
    crafted = Crafted(stored=x, undone=torch.zeros(2, dtype=torch.bool), costs=Costs())
    found = carried_over(crafted, change, x, Threat(norm="l2", eps=0.5)).x_adv - x
    assert found.flatten(1).norm(dim=1).tolist() == pytest.approx([0.5, 0.5])
    assert found.std() < 1e-6
    same = carried_over(crafted, change, x, Threat(norm="l2", eps=1)).x_adv - x
    assert same.flatten(1).norm(dim=1).tolist() == pytest.approx([0.8, 0.8])


def test_no_change_of_other_channels_is_carried_over():
    x = torch.full((2, 1, 8, 8), 0.5)
    crafted = Crafted(stored=x, undone=torch.zeros(2, dtype=torch.bool), costs=Costs())
    with pytest.raises(ConfigError, match="3 channels"):
        carried_over(crafted, torch.zeros(2, 3, 8, 8), x, Threat(norm="linf", eps=0.1))


def test_resized_data_are_other_data_with_the_same_targets():
    plain = Digits()
    large = Resized(plain, (16, 12))
    assert large.shape == (1, 16, 12)
    assert len(large) == len(plain)
    assert large.fingerprint != plain.fingerprint
    assert torch.equal(large.load([3, 5])[1], plain.load([3, 5])[1])
    assert large.load([3, 5])[0].shape == (2, 1, 16, 12)
    training, labels = large.training(5)
    assert (training.shape, training.dtype) == ((5, 1, 16, 12), torch.uint8)
    assert torch.equal(labels, plain.training(5)[1])
