"""A defense that changes the network or the decision is a shell like any other, and keeps what every model promises."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.attacks import PGD, Momentum
from foolbench.attacks._gradient import loss_and_gradient
from foolbench.core import (
    ConfigError,
    Draws,
    InputError,
    InputTransform,
    LearnedNetworkDefense,
    Model,
    NetworkDefense,
    rewired,
)
from foolbench.defenses import BPDA, BitDepth, Compose, OddsAreOdd, RandomNoise, adaptive
from foolbench.tasks import Recognition
from torch import nn
from torch.nn import functional as F

SHAPE = (1, 3, 5)


@dataclass(frozen=True, kw_only=True)
class Flat(NetworkDefense):
    """Negative activations count, too: ReLU is the identity."""

    differentiable = True
    randomized = False

    def answer(self, inside, x, *, rng):
        relus = [module for module in inside.net.modules() if isinstance(module, nn.ReLU)]
        with rewired(inside.net, relus, lambda forward, activations: activations):
            return inside(x)


@dataclass(frozen=True, kw_only=True)
class Rounded(NetworkDefense):
    """Another rule, without a gradient: the logits are rounded."""

    differentiable = False
    randomized = False

    def answer(self, inside, x, *, rng):
        return inside(x).round()

    @property
    def surrogates(self):
        return {"tenth": lambda inside, x, *, rng: 0.1 * inside(x), "straight": lambda inside, x, *, rng: inside(x)}


@dataclass(frozen=True, kw_only=True)
class Jittered(NetworkDefense):
    """Two noisy looks at every image."""

    differentiable = True
    randomized = True

    def answer(self, inside, x, *, rng):
        noise = rng.uniform((2, *x.shape[1:]), -0.1, 0.1)
        return inside((x[:, None] + noise).clamp(0, 1))


@dataclass(frozen=True, kw_only=True)
class Templates(LearnedNetworkDefense):
    """The mean hidden activations of each class; the nearest is the answer."""

    differentiable = True
    randomized = False
    needs_model = True

    def learn(self, data, *, rng):
        hidden = data.model.features(data.images)[0]
        return {"templates": torch.stack([hidden[data.labels == label].mean(dim=0) for label in range(3)])}

    def answer(self, inside, x, learned, *, rng):
        found = []

        def keep(forward, activations):
            found.append(forward(activations))
            return found[0]

        with rewired(inside.net, [inside.net[2]], keep):
            inside(x)
        return -torch.cdist(found[0], learned["templates"])


def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(15, 12), nn.ReLU(inplace=True), nn.Linear(12, 3))


@pytest.fixture
def model():
    return Model(network(), task=Recognition(classes=3), shape=SHAPE, features=("2",), mean=0.5, std=0.1)


@pytest.fixture
def images(mid_images):
    return mid_images(6, SHAPE)


def streams(seed=0, count=6):
    return Draws.of(seed, samples=range(count))


def test_the_network_computes_something_else_inside(model, images):
    other = nn.Sequential(model.net[0], model.net[1], model.net[3])
    assert torch.equal(Flat().defend(model)(images), other((images - 0.5) / 0.1))
    assert not torch.allclose(Flat().defend(model)(images), model(images))


def test_the_model_itself_stays_as_it_is(model, images):
    before, facts = model(images), (model.sha, repr(model), [vars(module).keys() for module in model.net.modules()])
    system = Flat().defend(model)
    system(images)
    assert torch.equal(model(images), before)
    assert (model.sha, repr(model), [vars(module).keys() for module in model.net.modules()]) == facts
    assert torch.equal(system.through(())(images), before)


def test_a_failure_inside_leaves_no_trace(model, images):
    before = model(images)
    with pytest.raises(ZeroDivisionError), rewired(model.net, [model.net[2]], lambda forward, x: 1 / 0):
        model(images)
    assert torch.equal(model(images), before)


def test_layers_may_be_rewired_twice(model):
    layer, x = model.net[2], torch.tensor([-1.0, 2.0])
    with rewired(model.net, [layer], lambda forward, x: forward(x) + 1):
        with rewired(model.net, [layer], lambda forward, x: 10 * forward(x)):
            assert torch.equal(layer(x.clone()), torch.tensor([10.0, 30.0]))
        assert torch.equal(layer(x.clone()), torch.tensor([1.0, 3.0]))
    assert torch.equal(layer(x.clone()), torch.tensor([0.0, 2.0]))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_what_cannot_be_looked_into_is_refused():
    net = torch.jit.trace(network(), torch.rand(2, *SHAPE), check_trace=False)
    with pytest.raises(ConfigError, match="TorchScript"):
        Flat().defend(Model(net, task=Recognition(classes=3)))(torch.rand(2, *SHAPE))


def test_features_are_those_of_the_changed_network(model, images):
    (found,) = Flat().defend(model).features(images)
    assert torch.equal(found, F.linear(((images - 0.5) / 0.1).flatten(1), model.net[1].weight, model.net[1].bias))


def test_passes_are_counted_at_the_network(model, images):
    system, y = Templates().fit(images, torch.arange(6) % 3, model=model).defend(model), torch.zeros(6).long()
    before = (model.passes.forwards, model.passes.backwards)
    loss_and_gradient(system, images, y)
    assert (model.passes.forwards - before[0], model.passes.backwards - before[1]) == (6, 6)
    loss_and_gradient(Jittered().defend(model), images, y, rng=streams())
    assert (model.passes.forwards - before[0], model.passes.backwards - before[1]) == (18, 18)


def test_several_looks_are_averaged_and_have_streams_of_their_own(model, images):
    system, inner = Compose(steps=(Jittered(), RandomNoise())).defend(model), streams().split(2)
    noise = streams().fork(0).uniform((2, *SHAPE), -0.1, 0.1)
    looks = RandomNoise().transform((images[:, None] + noise).clamp(0, 1).flatten(0, 1), rng=inner.fork(1))
    assert torch.equal(system.seen(images, rng=streams()), looks)
    chances = model(looks).softmax(dim=1).unflatten(0, (6, 2)).mean(dim=1)
    torch.testing.assert_close(system(images, rng=streams()).softmax(dim=1), chances)


def test_randomness_is_of_the_image_alone(model, images):
    system = Jittered().defend(model)
    outputs = system(images, rng=streams())
    rows = torch.tensor([4, 1])
    torch.testing.assert_close(system(images[rows], rng=streams()[rows]), outputs[rows])
    assert not torch.allclose(system(images, rng=streams(1)), outputs)
    with pytest.raises(ConfigError, match="is randomized: give rng"):
        system(images)


@dataclass(frozen=True, kw_only=True)
class Twice(NetworkDefense):
    """The difference of two looks."""

    differentiable = True
    randomized = False

    def answer(self, inside, x, *, rng):
        return inside(x) - inside(x)


@pytest.mark.parametrize("depth", [1, 2])
def test_one_that_asks_again_meets_new_draws(model, images, depth):
    """Also of what lies deeper; asked once, all is as it was."""
    steps = (Twice(), *([BitDepth()] if depth == 2 else []), RandomNoise(scale=0.1))
    system = Compose(steps=steps).defend(model)
    first, again, other = (system(images, rng=Draws.of(seed, samples=range(len(images)))) for seed in (0, 0, 1))
    assert first.abs().min() > 0
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_shells_lie_within_each_other_in_their_order(model, images):
    outside = Compose(steps=(Rounded(), Flat(), BitDepth(bits=2))).defend(model)
    assert torch.equal(outside(images), Flat().defend(model)(BitDepth(bits=2)(images)).round())
    assert repr(outside).endswith(" < Flat() < Rounded())")
    assert len({system.sha for system in (model, Flat().defend(model), Rounded().defend(model), outside)}) == 4


def test_what_a_shell_hands_on_is_checked(model, images):
    @dataclass(frozen=True, kw_only=True)
    class Bright(InputTransform):
        differentiable = True
        randomized = False

        def transform(self, x, *, rng):
            return x + 1

    with pytest.raises(InputError, match=r"Bright.* makes of images"):
        Compose(steps=(Flat(), Bright(), Flat())).defend(model)(images)


def gradient(system, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(system.logits(x)[:, 1].sum(), x)[0]


def test_an_adaptive_attack_follows_surrogates_of_the_answer(model, images):
    system = adaptive(Compose(steps=(Flat(), Rounded())), model)
    assert [type(shell) for shell in system.shells] == [Flat, BPDA]
    assert torch.equal(system.logits(images.clone().requires_grad_()), system(images))
    own = gradient(Flat().defend(model), images)
    torch.testing.assert_close(gradient(system, images), 0.1 * own)
    found = {name: gradient(other, images) for name, other in system.alternatives.items()}
    assert list(found) == ["tenth", "straight"]
    torch.testing.assert_close(found["straight"], own)


@dataclass(frozen=True, kw_only=True)
class Sharpened(Twice):
    """The same, rounded, with surrogates that ask more often, as often, and less often."""

    differentiable = False

    def answer(self, inside, x, *, rng):
        return (100 * super().answer(inside, x, rng=rng)).round()

    @property
    def surrogates(self):
        return {
            "thrice": lambda inside, x, *, rng: inside(x) - inside(x) + inside(x),
            "twice": super().answer,
            "once": lambda inside, x, *, rng: inside(x),
        }


def test_a_surrogate_asks_without_a_change_of_what_is_answered(model, images):
    """Draws of what lies inside are numbered by call: it meets the draws that the answer meets."""
    defense, x = Compose(steps=(Sharpened(), RandomNoise(scale=0.1))), images.clone().requires_grad_()
    expected = defense.defend(model)(images, rng=streams())
    assert expected.abs().min() > 0
    found = adaptive(defense, model).alternatives
    for system in found.values():
        assert torch.equal(system(x, rng=streams()), expected)
    slopes = [
        torch.autograd.grad(system(x, rng=streams())[:, 1].sum(), x)[0]
        for system in (found["twice"], Compose(steps=(Twice(), RandomNoise(scale=0.1))).defend(model))
    ]
    torch.testing.assert_close(*slopes)


def test_a_detector_that_asks_several_times_answers_an_attack_as_anybody(model, images):
    odds = OddsAreOdd(draws=2).fit(images, torch.arange(6) % 3, model=model)
    for steps in ((odds, RandomNoise()), (RandomNoise(), odds)):
        defense = Compose(steps=steps)
        found = adaptive(defense, model)(images.clone().requires_grad_(), rng=streams())
        assert torch.equal(found, defense.defend(model)(images, rng=streams()))


def test_attacks_go_through_it(model, images):
    with pytest.raises(ConfigError, match="has no gradient to follow"):
        PGD(eps=0.1)(Rounded().defend(model), images)
    for defense in (Flat(), Rounded(), Jittered()):
        system = adaptive(defense, model)
        y = system.judge(images, rng=streams())
        found = Momentum(eps=0.3, steps=5)(system, images, y, rng=0)
        assert (system.judge(found, rng=streams()) != y).sum() >= 5


def test_what_learns_is_given_labels(model, images):
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    fitted = Templates().fit(images, labels, model=model)
    assert torch.equal(fitted.defend(model).predict(images[:3]), labels[:3])
    assert fitted != Templates().fit(images, labels.flip(0), model=model)
    assert fitted.defend(model).sha != Templates().fit(images, labels.flip(0), model=model).defend(model).sha
    with pytest.raises(InputError, match="labels"):
        Templates().fit(images, labels[:2], model=model)
    with pytest.raises(ConfigError, match="call fit"):
        Templates().defend(model)
