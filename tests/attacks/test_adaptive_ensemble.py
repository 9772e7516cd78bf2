"""The adaptive ensemble and those of its members that look at what stands before the network."""

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
import torch
from foolbench.attacks import AdaptiveEnsemble, Momentum
from foolbench.attacks.adaptive import MoreDraws, StepSizes, Surrogates, Transfer
from foolbench.core import Attack, ConfigError, Draws, InputTransform
from foolbench.core.ensemble import attack_survivors
from foolbench.core.strength import JUDGES, strength
from foolbench.datasets import Digits
from foolbench.defenses import JPEG, Downsampling, RandomNoise, adaptive

SHAPE = (2, 3, 4)
EPS = 0.1
QUICK = {"steps": 5, "queries": 30}


@pytest.fixture(scope="module")
def digits(digits_model):
    x, _ = Digits().load(range(48))
    return adaptive(JPEG(quality=60), digits_model), x


def fooled(system, x_adv, x):
    return system.predict(x_adv) != system.predict(x)


def test_it_fools_whatever_a_member_fools(digits):
    system, x = digits
    rng = Draws.of(0, samples=range(len(x)))
    attack = AdaptiveEnsemble(eps=0.08, **QUICK)
    found = fooled(system, attack(system, x, rng=rng), x)
    assert 0 < found.sum() < len(x)
    y = system.predict(x)
    for name, member in attack.members.items():
        alone = fooled(system, member(system, x, y, rng=rng.fork(name)), x)
        if name in ("transfer", "momentum", "step-sizes", "square", "rays"):  # they begin where they begin alone
            assert not (alone & ~found).any(), name
        assert found.sum() >= alone.sum(), name


def test_its_gradients_cost_less_than_five_times_those_of_pgd(digits):
    system, x = digits
    before = system.passes.backwards
    AdaptiveEnsemble(eps=1e-6)(system, x[:6], rng=0)  # nobody is fooled, and every member does all it can
    assert 6 * 40 < system.passes.backwards - before <= 6 * 5 * 40


def test_behind_jpeg_it_fools_as_many_as_one_search_that_is_four_times_as_long_as_pgd(digits_model):
    x, _ = Digits().load(range(128))
    system = adaptive(JPEG(), digits_model)
    by_hand = Momentum(eps=EPS, steps=160)(system.alternatives["leaky"], x, rng=0)
    assert fooled(system, by_hand, x).sum() > 80
    by_default = AdaptiveEnsemble(eps=EPS, queries=1)(system, x, rng=0)
    assert fooled(system, by_default, x).sum() >= fooled(system, by_hand, x).sum() - 3  # rounding may turn a few


def test_a_targeted_form_reaches_classes(digits_model):
    x, _ = Digits().load(range(24))
    y = (digits_model.predict(x) + 1) % 10
    found = AdaptiveEnsemble(eps=0.3, targeted=True, **QUICK)(digits_model, x, y, rng=0)
    assert (digits_model.predict(found) == y).float().mean() > 0.5


@dataclass(frozen=True, kw_only=True)
class Negative(InputTransform):
    """Has no gradient, and offers several: the first of them leads the wrong way."""

    offers: tuple[str, ...]

    differentiable = False
    randomized = False

    @property
    def surrogates(self) -> Mapping:
        known = {"identity": lambda x, *, rng: x, "negative": lambda x, *, rng: 1 - x}
        return {name: known[name] for name in self.offers}

    def transform(self, x, *, rng):
        return 1 - x


def test_of_several_surrogates_one_that_leads_there_is_found(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(16, SHAPE)
    system = adaptive(Negative(offers=("identity", "negative")), model)
    y = system.predict(x)
    up = -(model.net.weight[1] - model.net.weight[0]).reshape(SHAPE)
    optimum = (x + EPS * torch.where(y == 0, 1.0, -1.0).reshape(-1, 1, 1, 1) * up.sign()).clamp(0, 1)
    expected = system.predict(optimum) != y
    assert expected.sum() > 5
    assert not fooled(system, Momentum(eps=EPS, steps=10)(system, x, y, rng=0), x).any()
    assert torch.equal(fooled(system, Surrogates(eps=EPS, steps=10)(system, x, y, rng=0), x), expected)
    assert torch.equal(fooled(system, AdaptiveEnsemble(eps=EPS, **QUICK)(system, x, rng=0), x), expected)


@pytest.mark.parametrize("offers", [("negative",), ("negative", "identity"), None], ids=str)
def test_all_surrogates_together_take_as_many_steps_as_one(linear_model, mid_images, offers):
    model, x = linear_model(2, SHAPE), mid_images(4, SHAPE)
    system = model if offers is None else adaptive(Negative(offers=offers), model)
    before = model.passes.backwards
    Surrogates(eps=1e-6, steps=6)(system, x, system.predict(x), rng=0)
    assert model.passes.backwards - before == 4 * 6


def test_step_sizes_do_not_follow_chance(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(4, SHAPE)
    y, start, attack = model.predict(x), x + 0.01, StepSizes(eps=EPS, steps=5)
    assert not torch.equal(attack(model, x, y, rng=0, start=start), start)
    assert torch.equal(attack(adaptive(RandomNoise(), model), x, y, rng=0, start=start), start)


def test_transfer_is_crafted_on_the_bare_network(digits):
    system, x = digits
    rng, y = Draws.of(0, samples=range(len(x))), system.predict(x)
    bare = Momentum(eps=EPS, steps=7, begin="random")(system.through(()), x, y, rng=rng)
    assert torch.equal(Transfer(eps=EPS, steps=7)(system, x, y, rng=rng), bare)


def test_what_the_bare_network_does_not_take_is_no_start_for_it(linear_model, mid_images):
    model, x = linear_model(3, (1, 4, 4)), mid_images(6, (1, 8, 8))
    system = adaptive(Downsampling(keep=50, restore=False), model)
    assert torch.equal(Transfer(eps=EPS)(system, x, rng=0), x)
    x_adv = AdaptiveEnsemble(eps=0.3, **QUICK)(system, x, rng=0)
    assert fooled(system, x_adv, x).any()


@pytest.mark.parametrize(
    ("draws", "least", "most", "ladder"),
    [
        (10, 0.0, 0.5, [2, 4, 5]),
        (10, 1.0, 1.0, [10]),
        (10, 0.0, 1.0, [2, 4, 8, 10]),
        (3, 0.0, 0.5, [2]),
        (3, 1.0, 1.0, [3]),
        (2, 0.0, 0.5, []),
        (1, 1.0, 1.0, []),
    ],
)
def test_how_draws_grow(linear_model, draws, least, most, ladder):
    system = adaptive(RandomNoise(), linear_model(2, SHAPE), draws=draws)
    assert list(MoreDraws(eps=EPS, least=least, most=most)._ladder(system)) == ladder


def test_draws_grow_while_that_makes_an_image_stronger(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(5, SHAPE)
    system, attack = adaptive(RandomNoise(scale=0.01), model, draws=8), MoreDraws(eps=EPS, steps=3)
    y = model.predict(x)
    away = torch.where(y == 0, 1.0, -1.0)[:, None] * (model.net.weight[1] - model.net.weight[0])
    optimum = x + EPS * away.sign().reshape(x.shape)
    for start, rounds in ((optimum, [2]), (x, [2, 4, 8])):
        before = model.passes.backwards
        found = attack(system, x, y, rng=0, start=start)
        torch.testing.assert_close(found, optimum)
        assert 5 * 3 * rounds[0] <= model.passes.backwards - before <= 5 * 3 * sum(rounds)
    before = model.passes.backwards
    attack(system, x, y, rng=0, start=optimum)
    assert model.passes.backwards - before == 5 * 3 * 2  # nothing is left to gain after the first round


@pytest.mark.parametrize("facts", [{"least": -0.1}, {"least": 0.6, "most": 0.5}, {"most": 1.1}, {"steps": 0}], ids=str)
def test_more_draws_refuses_what_makes_no_sense(facts):
    with pytest.raises(ConfigError, match="Expected"):
        MoreDraws(eps=EPS, **facts)


@dataclass(frozen=True, kw_only=True)
class Brighter(Attack):
    """Whatever the point so far."""

    access = "none"

    def perturb(self, model, x, y, *, rng):
        return x + self.eps


def test_the_stronger_point_stays(linear_model, mid_images):
    """Also where neither of them fools."""
    model, x, eps = linear_model(2, SHAPE), mid_images(20, SHAPE), 1e-3
    x = x[(model(x)[:, 0] - model(x)[:, 1]).abs() > 0.1]
    y = model.predict(x)
    rise = (model.net.weight[1] - model.net.weight[0]).sum() * torch.where(y == 0, 1.0, -1.0)
    brighter = (rise > 0).reshape(-1, 1, 1, 1)
    assert brighter.any()
    assert not brighter.all()
    found = attack_survivors(Brighter(eps=eps), model, x, y, x - eps, rng=Draws.of(0, samples=range(len(x))))
    assert torch.equal(found, torch.where(brighter, x + eps, x - eps))


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("targeted", [False, True])
def test_strength_is_the_share_of_evaluations_and_the_log_of_the_loss(linear_model, mid_images, share, targeted, flip):
    model, x = linear_model(2, SHAPE), mid_images(400, SHAPE)
    system, rng = model.through((flip(share),)), Draws.of(0, samples=range(400))
    y = 1 - model.predict(x) if targeted else model.predict(x)
    found = strength(system, x, y, targeted=targeted, rng=rng)
    assert float(found.reached.mean()) == pytest.approx(share, abs=0.05)
    judged = system.through(system.shells, draws=JUDGES)
    losses = torch.stack([model.task.loss(outputs, y) for outputs in judged.each(x, rng=rng)]).mean(dim=0)
    torch.testing.assert_close(found.loss, -losses.log() if targeted else losses.log(), rtol=1e-4, atol=1e-4)
