"""A defended model is the model behind the transform: exactly that, per image, with no other randomness."""

from dataclasses import dataclass

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import ConfigError, Draws, InputError, InputTransform, Model


@dataclass(frozen=True, kw_only=True)
class Darker(InputTransform):
    factor: float = 0.5
    differentiable = True
    randomized = False

    def transform(self, x, *, rng):
        return self.factor * x


@dataclass(frozen=True, kw_only=True)
class Step(InputTransform):
    differentiable = False
    randomized = False

    def transform(self, x, *, rng):
        return (x > 0.5).float()


@dataclass(frozen=True, kw_only=True)
class Grain(InputTransform):
    amount: float = 0.2
    differentiable = True
    randomized = True

    def transform(self, x, *, rng):
        return (x + self.amount * (rng.uniform(x.shape[1:]) - 0.5)).clamp(0, 1)


SHAPE = (1, 3, 5)


@pytest.fixture
def model(linear_model):
    return linear_model(4, SHAPE)


@pytest.fixture
def images(mid_images):
    return mid_images(6, SHAPE)


def test_defended_is_the_model_behind_the_transform(model, images):
    defended = Darker().defend(model)
    assert isinstance(defended, Model)
    assert torch.equal(defended(images), model(0.5 * images))
    assert torch.equal(defended.predict(images), model.predict(0.5 * images))


def test_the_last_defense_sees_the_image_first(model, images):
    stacked = Step().defend(Darker().defend(model))
    assert torch.equal(stacked(images), model(0.5 * (images > 0.5).float()))


def test_identity_and_budget(model, images):
    attack = PGD(eps=0.1, steps=5)
    identity = Darker(factor=1.0).defend(model)
    assert torch.equal(attack(identity, images, rng=1), attack(model, images, rng=1))


def test_features_pass_the_transform(model, images):
    named = Model(model.net, task=model.task, features=("",))  # the whole network is a feature, too
    assert torch.equal(Darker().defend(named).features(images)[0], model(0.5 * images))


def test_the_model_itself_stays_as_it_is(model, images):
    before, facts = model(images), (model.sha, repr(model), model.randomized)
    defended = Grain().defend(model)
    defended(images, rng=Draws.of(0, samples=range(6)))
    assert torch.equal(model(images), before)
    assert (model.sha, repr(model), model.randomized) == facts
    assert (model.randomized, defended.randomized) == (False, True)


def test_moving_the_defended_system_moves_all_of_the_model(model):
    normalised = Model(model.net, task=model.task, mean=(0.5,), std=(0.5,))
    Darker().defend(normalised).to("meta")
    assert {normalised.device, normalised.mean_image.device} == {torch.device("meta")}


def test_identity_tells_defenses_and_models_apart(model, linear_model):
    systems = [model, Darker().defend(model), Darker(factor=0.1).defend(model), Grain().defend(model)]
    systems += [Darker().defend(linear_model(4, SHAPE, seed=5)), Darker().defend(Darker().defend(model))]
    assert len({system.sha for system in systems}) == len(systems)
    assert Darker().defend(model).sha == Darker().defend(linear_model(4, SHAPE)).sha
    assert repr(Grain().defend(Darker().defend(model))) == "Model(linear-4 < Darker(factor=0.5) < Grain(amount=0.2))"


def test_passes_are_counted_once_on_the_network(model, images):
    defended = Darker().defend(model)
    PGD(eps=0.1, steps=3)(defended, images, defended.predict(images))
    assert (model.passes.forwards, model.passes.backwards) == (6 + 6 * 3, 6 * 3)
    assert defended.passes is model.passes


def test_refuses_what_is_no_image(model, images):
    for system in (Darker(), Darker().defend(model)):
        with pytest.raises(InputError):
            system(images * 255)


def test_randomness_needs_streams(model, images):
    for use in (Grain().defend(model), Darker().defend(Grain().defend(model))):
        with pytest.raises(ConfigError, match="is randomized: give rng"):
            use(images)


def test_randomness_comes_from_the_streams_only(model, images):
    defended = Grain().defend(model)
    outputs = defended(images, rng=Draws.of(0, samples=range(6)))
    torch.manual_seed(123)
    assert torch.equal(defended(images, rng=Draws.of(0, samples=range(6))), outputs)
    assert not torch.equal(defended(images, rng=Draws.of(1, samples=range(6))), outputs)
    for row in range(6):
        alone = defended(images[row : row + 1], rng=Draws.of(0, samples=[row]))
        torch.testing.assert_close(alone[0], outputs[row])


def test_a_defense_stacked_on_itself_draws_twice(model):
    grey = torch.full((1, *SHAPE), 0.5)
    seen = []

    @dataclass(frozen=True, kw_only=True)
    class Spy(Grain):
        def transform(self, x, *, rng):
            after = super().transform(x, rng=rng)
            seen.append(after - x)
            return after

    Spy().defend(Spy().defend(model))(grey, rng=Draws.of(0, samples=[0]))
    assert len(seen) == 2
    assert not torch.allclose(seen[0], seen[1])
