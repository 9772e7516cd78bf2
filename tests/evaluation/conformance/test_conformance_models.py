"""A model that breaks a promise is told which, what was seen, and what to do."""

import pytest
import torch
from foolbench.core import Model
from foolbench.evaluation.conformance import check
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (3, 8, 8)


class Net(nn.Module):
    """Linear; `fault` happens on the way."""

    def __init__(self, fault=lambda net, x: x, after=lambda outputs: outputs):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = nn.Linear(3 * 8 * 8, 4)
        self.register_buffer("queries", torch.zeros(()))
        self.norm = nn.BatchNorm2d(3, track_running_stats=False)
        self.fault, self.after = fault, after

    def forward(self, x):
        return self.after(self.linear(self.fault(self, x).flatten(1)))


def counting(net, x):
    net.queries += 1
    return x


def remembering(net, x):
    net.queries += 0.1
    return x + net.queries


def model(*faults, classes=4, **facts):
    return Model(Net(*faults), task=Recognition(classes=classes), shape=SHAPE, **facts)


def first(net, x):
    return x


@pytest.mark.parametrize(
    ("subject", "promise", "sentence"),
    [
        (model(classes=5), "outputs_fit_the_task", r"Expected logits of shape \(4, 5\)"),
        (model(first, lambda outputs: outputs / 0), "outputs_fit_the_task", "Expected finite logits"),
        (model(lambda net, x: net.train().norm(x)), "network_is_in_eval_mode", "the network is in training mode"),
        (model(lambda net, x: x + torch.rand(1)), "equal_images_give_equal_outputs", "draw no random numbers"),
        (model(lambda net, x: x + torch.rand(1)), "global_random_state_is_left_alone", "drew from a global"),
        (model(remembering), "equal_images_give_equal_outputs", "asked again.*keep nothing"),
        (model(lambda net, x: net.norm(x)), "batch_does_not_matter", "this begins in layer norm"),
        (model(counting), "network_is_left_alone", "queries of Net"),
        (model(lambda net, x: x.detach()), "gradient_reaches_the_images", "No gradient comes through"),
        (model(lambda net, x: x * 0), "gradient_reaches_the_images", "zero everywhere"),
        (model(lambda net, x: (x * 0).sqrt() + x), "gradient_reaches_the_images", "is not finite"),
    ],
    ids=lambda case: case if isinstance(case, str) and "_" in case else None,
)
def test_a_model_that_breaks_a_promise_is_told(subject, promise, sentence):
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(check(subject)[promise])


def test_a_good_one_is_told_nothing():
    assert set(check(model(features=("linear",))).values()) == {None}


class Twice(nn.Module):
    """One activation for two layers, the second of which may give NaN."""

    def __init__(self, factor=1.0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.out = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3 * 8 * 8, 4)
        self.act, self.factor = nn.Tanh(), factor

    def forward(self, x):
        x = self.act(self.first(x))
        return self.out((self.act(x * self.factor)).nan_to_num().flatten(1) + x.flatten(1))


@pytest.mark.parametrize(("factor", "sentence"), [(1.0, None), (float("nan"), "layer of act gives NaN")])
def test_a_layer_that_is_used_twice_is_looked_at_twice(factor, sentence):
    named = Model(Twice(factor), task=Recognition(classes=4), shape=SHAPE, features=("act",))
    seen = check(named)["features_are_recorded"]
    assert seen is None if sentence is None else sentence in seen
