"""What no image attack of the registry may do besides: change what it is given, or fill the memory."""

import copy
import gc
import weakref
from dataclasses import replace

import torch
from foolbench.core import Model
from foolbench.core.ensemble import Ensemble


def test_no_side_effects(attack, digits_model, images):
    x, y = images.clone(), torch.arange(10)
    before = copy.deepcopy(digits_model.net.state_dict())
    attack(digits_model, x, y, rng=0)
    assert torch.equal(x, images)
    assert not x.requires_grad
    assert torch.equal(y, torch.arange(10))
    assert all(torch.equal(digits_model.net.state_dict()[key], tensor) for key, tensor in before.items())
    assert all(p.grad is None and not p.requires_grad for p in digits_model.net.parameters())
    assert not digits_model.net.training


def test_images_that_require_a_gradient_get_none(attack, digits_model, images, found):
    x = images.clone().requires_grad_()
    assert torch.equal(attack(digits_model, x, rng=0), found)
    assert x.grad is None


def test_works_where_gradients_are_switched_off(attack, digits_model, images, found):
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            assert torch.equal(attack(digits_model, images.clone(), rng=0), found), off


def test_no_graph_is_left_behind(found):
    assert found.grad_fn is None
    gc.collect()
    assert not [t for t in gc.get_objects() if issubclass(type(t), torch.Tensor) and t.grad_fn is not None]


class Stubborn(torch.nn.Module):
    """One class leads by 100, so that no attack is ever done. Notes what is in memory whenever it is asked."""

    def __init__(self, net):
        super().__init__()
        self.net, self.saved, self.alive, self.python = net, set(), [], []

    def forward(self, x):
        self.alive.append(len(self.saved))
        if len(self.alive) in (EARLY, LATE):
            gc.collect()
            self.python.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
        return self.net(x) + 100 * (torch.arange(10) == 3)

    def pack(self, tensor):
        """For each tensor that autograd saves, an object that lives as long."""
        kept = Kept(tensor.detach())  # a result with its history would be a cycle
        self.saved.add(id(kept))
        weakref.finalize(kept, self.saved.discard, id(kept))
        return kept


class Kept:
    def __init__(self, tensor):
        self.tensor = tensor


EARLY, LATE = 8, 24
LONG = {  # so that each of them asks more than 24 times
    "apgd": {"steps": 30},
    "bim": {"steps": 30},
    "carlini-wagner": {"steps": 30},
    "confident-pgd": {"steps": 30},
    "cospgd": {"steps": 30},
    "fab": {"steps": 30},
    "jsma": {"theta": 0.05, "gamma": 1.0},
    "momentum": {"steps": 30},
    "pgd": {"steps": 30},
    "segpgd": {"steps": 30},
}


def test_memory_does_not_grow_with_the_steps(request, attack, digits_model, images):
    name = request.node.callspec.params["attack"][0]
    if attack.one_step or attack.access == "none" or isinstance(attack, Ensemble):  # its members are tested
        return
    net = Stubborn(digits_model.net)
    model = Model(net, task=digits_model.task, mean=(0.5,), std=(0.5,))
    net = model.net  # the copy
    with torch.autograd.graph.saved_tensors_hooks(net.pack, lambda kept: kept.tensor):
        outputs = model.logits(images[:3].clone().requires_grad_())
        one = len(net.saved)
        del outputs
        net.alive.clear()
        replace(attack, **LONG.get(name, {}))(model, images[:3], rng=0)
    assert one > 5
    assert len(net.alive) >= LATE
    assert max(net.alive) < 3 * one, "the graphs of three passes and more are in memory"
    assert net.python[1] - net.python[0] < 0.5 * (LATE - EARLY), "a tensor a step, or every other"
