"""The adaptive view of a defended system: its outputs exactly, and the gradient that BPDA and EOT promise."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.attacks._gradient import loss_and_gradient
from foolbench.core import ConfigError, Draws, InputTransform, Model
from foolbench.defenses import BPDA, JPEG, BitDepth, Compose, adaptive

SHAPE = (1, 3, 5)


@dataclass(frozen=True, kw_only=True)
class Step(InputTransform):
    """Black or white: no gradient anywhere."""

    differentiable = False
    randomized = False

    def transform(self, x, *, rng):
        return (x > 0.5).float()


@dataclass(frozen=True, kw_only=True)
class Halved(Step):
    """With half the image for a surrogate."""

    def surrogate(self, x, *, rng):
        return 0.5 * x


@dataclass(frozen=True, kw_only=True)
class Dimmed(InputTransform):
    """By a random factor."""

    differentiable = True
    randomized = True

    def transform(self, x, *, rng):
        return x * rng.uniform((1, 1, 1))


@dataclass(frozen=True, kw_only=True)
class RandomStep(Step):
    """Compared with a random threshold; the surrogate is the image times it."""

    randomized = True

    def transform(self, x, *, rng):
        return (x > rng.uniform((1, 1, 1))).float()

    def surrogate(self, x, *, rng):
        return x * rng.uniform((1, 1, 1))


@dataclass(frozen=True, kw_only=True)
class Shades(InputTransform):
    """Three views: the image, its half, black."""

    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        return torch.stack([x, 0.5 * x, 0 * x], dim=1)


@pytest.fixture
def model(linear_model):
    return linear_model(4, SHAPE)


@pytest.fixture
def images(mid_images):
    return mid_images(6, SHAPE)


def streams(seed=0):
    return Draws.of(seed, samples=range(6))


def gradient(system, x, rng=None):
    x = x.clone().requires_grad_()
    outputs = system.logits(x, rng=rng or streams())
    return torch.autograd.grad(outputs[:, 1].sum(), x)[0]


@pytest.mark.parametrize("defense", [Step(), Halved(), Dimmed(), RandomStep(), Shades(), JPEG(), BitDepth()], ids=repr)
@pytest.mark.parametrize("draws", [1, 3])
def test_outputs_are_exactly_those_of_the_defended_system(digits_model, defense, draws):
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = defense.defend(digits_model)(x, rng=streams())
    system = adaptive(defense, digits_model, draws=draws)
    assert torch.equal(system(x, rng=streams()), expected)
    assert torch.equal(system(x.requires_grad_(), rng=streams()), expected)


def test_bpda_with_the_identity_differentiates_at_the_transformed_point(model, images):
    _, expected, _ = loss_and_gradient(model, Step()(images), torch.zeros(6).long())
    _, found, _ = loss_and_gradient(adaptive(Step(), model), images, torch.zeros(6).long(), rng=streams())
    assert torch.equal(found, expected)


def test_bpda_takes_the_gradient_of_the_surrogate(model, images):
    torch.testing.assert_close(
        gradient(adaptive(Halved(), model), images), 0.5 * gradient(adaptive(Step(), model), images)
    )


def test_transform_and_surrogate_see_the_same_draws(model, images):
    factor = streams().fork(0).uniform((1, 1, 1))
    bare = gradient(model, images)
    torch.testing.assert_close(gradient(adaptive(RandomStep(), model), images), factor * bare)


def test_what_is_differentiable_keeps_its_gradient(model, images):
    assert adaptive(Dimmed(), model).shells == (Dimmed(),)
    assert torch.equal(gradient(adaptive(Dimmed(), model), images), gradient(Dimmed().defend(model), images))


@pytest.mark.parametrize("draws", [2, 7])
def test_eot_is_the_mean_over_the_draws(model, images, draws):
    one = Dimmed().defend(model)
    several = [gradient(one, images, streams())] + [
        gradient(one, images, streams().fork(f"draw {draw}")) for draw in range(1, draws)
    ]
    assert not torch.allclose(several[0], several[1])
    torch.testing.assert_close(gradient(adaptive(Dimmed(), model, draws=draws), images), sum(several) / draws)


def test_attacks_follow_the_gradient_of_the_mean_loss(digits_model):
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y, one = digits_model.predict(x), Dimmed().defend(digits_model)
    losses, gradients, outputs = zip(
        *(
            loss_and_gradient(one, x, y, rng=draws)
            for draws in adaptive(Dimmed(), digits_model, draws=4).evaluations(streams())
        ),
        strict=True,
    )
    loss, found, seen = loss_and_gradient(adaptive(Dimmed(), digits_model, draws=4), x, y, rng=streams())
    assert not torch.allclose(gradients[0], gradients[1])
    torch.testing.assert_close(loss, sum(losses) / 4)
    torch.testing.assert_close(found, sum(gradients) / 4)
    chances = sum(each.softmax(dim=1) for each in outputs) / 4
    torch.testing.assert_close(seen.softmax(dim=1), chances)


def test_eot_finds_the_expected_gradient_of_a_linear_system(model, images):
    # the factor is uniform in [0, 1): on average a half, with variance 1/12 per draw
    found = gradient(adaptive(Dimmed(), model, draws=400), images) / gradient(model, images)
    assert (found - 0.5).abs().max() < 5 * (1 / 12 / 400) ** 0.5


def test_eot_of_a_deterministic_defense_is_a_single_draw(model, images):
    assert torch.equal(gradient(adaptive(Step(), model, draws=5), images), gradient(adaptive(Step(), model), images))
    before = model.passes.forwards
    adaptive(Step(), model, draws=5).logits(images.requires_grad_(), rng=streams())
    assert model.passes.forwards == before + 6


def test_eot_costs_its_draws_and_only_where_a_gradient_is_asked_for(model, images):
    system, before = adaptive(Dimmed(), model, draws=5), model.passes.forwards
    system.predict(images, rng=streams())
    assert model.passes.forwards == before + 6
    gradient(system, images)
    assert (model.passes.forwards, model.passes.backwards) == (before + 6 + 30, 30)


def test_features_have_the_mean_gradient_too(model, images):
    named = Model(model.net, task=model.task, features=("",))
    x = images.clone().requires_grad_()
    (found,) = adaptive(Dimmed(), named, draws=3).features(x, rng=streams())
    assert torch.equal(found, Dimmed().defend(named).features(images, rng=streams())[0])
    (slope,) = torch.autograd.grad(found[:, 1].sum(), x)
    torch.testing.assert_close(slope, gradient(adaptive(Dimmed(), model, draws=3), images))


def test_views_are_averaged_as_probabilities(model, images):
    outputs = Shades().defend(model)(images)
    each = [model(shade).softmax(dim=1) for shade in (images, 0.5 * images, 0 * images)]
    torch.testing.assert_close(outputs.softmax(dim=1), sum(each) / 3)
    torch.testing.assert_close(outputs.logsumexp(dim=1), torch.zeros(6))


def test_each_view_has_its_own_draws(model):
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Spy(Dimmed):
        def transform(self, x, *, rng):
            seen.append(super().transform(x, rng=rng))
            return seen[-1]

    system = Compose(steps=(Shades(), Spy())).defend(model)
    system(torch.ones(6, *SHAPE), rng=streams())
    factors = seen[0][:, 0, 0, 0].reshape(6, 3) / torch.tensor([1, 0.5, 1])
    assert len(factors[:, :2].unique()) == 12
    assert (factors[:, 2] == 0).all()


def test_a_chain_has_the_gradient_of_its_links(model, images):
    chain = Compose(steps=(Halved(), Dimmed(), Step()))
    assert (chain.differentiable, chain.randomized) == (False, True)
    system = adaptive(chain, model)
    assert [type(shell) for shell in system.shells] == [BPDA, Dimmed, BPDA]
    factor = streams().fork(1).uniform((1, 1, 1))
    torch.testing.assert_close(gradient(system, images), 0.5 * factor * gradient(model, images))
    assert torch.equal(system(images, rng=streams()), chain.defend(model)(images, rng=streams()))


def test_a_chain_applies_its_steps_in_order(model, images):
    chain = Compose(steps=(BitDepth(bits=1), Halved()))
    assert torch.equal(chain.defend(model)(images), model((images.round() > 0.5).float()))


def test_attacks_go_through_it(model, images):
    attack = PGD(eps=0.2, steps=5, random_start=False)
    with pytest.raises(ConfigError, match="has no gradient to follow"):
        attack(Halved().defend(model), images)
    adversarial = attack(adaptive(Halved(), model), images, rng=0)
    assert (adversarial != images).any()


@dataclass(frozen=True, kw_only=True)
class Misshapen(Step):
    def surrogate(self, x, *, rng):
        return x[:, :, 1:]


def test_a_surrogate_of_another_shape_is_refused(model, images):
    with pytest.raises(ConfigError, match="surrogate to give one shape"):
        gradient(adaptive(Misshapen(), model), images)


def test_draws_are_counted_from_one(model):
    with pytest.raises(ConfigError, match="draws >= 1, got 0"):
        adaptive(Step(), model, draws=0)


@dataclass(frozen=True, kw_only=True)
class Choice(Halved):
    """Offers its surrogate and the identity."""

    @property
    def surrogates(self):
        return {"halved": self.surrogate, "identity": lambda x, *, rng: x}


def test_a_system_offers_the_gradients_of_all_surrogates(model, images):
    system = adaptive(Compose(steps=(Choice(), RandomStep(), Shades())), model)
    found = {name: gradient(other, images) for name, other in system.alternatives.items()}
    assert list(found) == ["halved", "identity", "surrogate"]
    torch.testing.assert_close(found["halved"], gradient(system, images))
    torch.testing.assert_close(found["identity"], 2 * found["halved"])
    assert torch.equal(found["surrogate"], found["halved"])  # Choice knows no such name, and keeps its first
    outputs = [other(images, rng=streams()) for other in system.alternatives.values()]
    assert torch.equal(outputs[0], outputs[1])
    assert not model.alternatives


@dataclass(frozen=True, kw_only=True)
class DimmedWithChoice(Dimmed):
    """Differentiable, and yet it offers the identity."""

    @property
    def surrogates(self):
        return {"identity": lambda x, *, rng: x}


def test_what_is_differentiable_may_offer_surrogates_beside_its_own_gradient(model, images):
    system = adaptive(DimmedWithChoice(), model)
    assert list(system.alternatives) == ["exact", "identity"]
    own = gradient(Dimmed().defend(model), images)
    assert torch.equal(gradient(system, images), own)
    assert torch.equal(gradient(system.alternatives["exact"], images), own)
    torch.testing.assert_close(gradient(system.alternatives["identity"], images), gradient(model, images))
    for other in (system, *system.alternatives.values()):
        assert torch.equal(other(images, rng=streams()), Dimmed().defend(model)(images, rng=streams()))


def test_what_is_differentiable_and_offers_nothing_has_no_alternatives(model):
    assert not adaptive(Dimmed(), model).alternatives


def test_only_a_defense_can_be_known(model):
    with pytest.raises(ConfigError, match="Expected a defense, such as JPEG"):
        adaptive("jpeg", model)
