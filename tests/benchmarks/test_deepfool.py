"""DeepFool against foolbox's, and what the shortlist of classes saves."""

import warnings

import pytest
import torch
from foolbench.attacks import DeepFool
from foolbench.core.norms import size

with warnings.catch_warnings():  # foolbox 3.3.4 imports the filter from its old place
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox

PEERS = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}


@pytest.mark.parametrize("norm", PEERS)
def test_deepfool_against_foolbox(norm, googlenet, ratio):
    model, x, y, net = googlenet
    theirs = foolbox.PyTorchModel(net, bounds=(0, 1), device=x.device)

    def ours():
        return DeepFool(norm=norm)(model, x, y)

    def peer():
        return PEERS[norm]()(theirs, x, y, epsilons=None)[1]

    found, expected = ours(), peer()
    assert (model.predict(found) != y).all()
    torch.testing.assert_close(size(found - x, norm).mean(), size(expected - x, norm).mean(), rtol=0.01, atol=0)
    ratio(ours, peer, limit=0.35, rounds=3)


def test_a_shortlist_of_10_against_all_1000_classes(resnet18_1000, ratio):
    model, x, y, _ = resnet18_1000
    few, steps = x[:2], 1  # one step of 1,000 classes takes seconds an image
    attacks = [DeepFool(classes=classes, steps=steps) for classes in (10, 1000)]
    ratio(*(lambda attack=attack: attack(model, few, y[:2]) for attack in attacks), limit=0.1, rounds=2)
