"""Momentum ascent finds the known optima of linear models, also where single gradients are wrong now and then."""

import pytest
import torch
from foolbench.attacks import Momentum
from foolbench.core import ConfigError, Draws, Model
from foolbench.core.norms import size, steepest
from foolbench.core.strength import strength
from foolbench.datasets import Digits
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (2, 3, 4)
EPS = 0.1


def away_from(model, y):
    up = model.net.weight[1] - model.net.weight[0]
    return torch.where(y == 0, 1.0, -1.0)[:, None] * up


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_binary_optimum(linear_model, mid_images, norm, targeted):
    model, x = linear_model(2, SHAPE), mid_images(16, SHAPE)
    y = torch.arange(16) % 2
    expected = EPS * steepest(away_from(model, 1 - y if targeted else y), norm).reshape(x.shape)
    adversarial = Momentum(eps=EPS, norm=norm, targeted=targeted, steps=5)(model, x, y, rng=0)
    torch.testing.assert_close(adversarial - x, expected, rtol=0, atol=2e-6)


def test_steps_fall_along_half_a_cosine(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(4, SHAPE)
    y = model.predict(x)
    adversarial = Momentum(eps=0.25, steps=4, step_size=0.01)(model, x, y, rng=0)
    length = 0.01 * (1 + (1 + 0.5**0.5) / 2 + 1 / 2 + (1 - 0.5**0.5) / 2)
    expected = length * away_from(model, y).sign().reshape(x.shape)
    torch.testing.assert_close(adversarial - x, expected, rtol=0, atol=1e-6)


def test_of_a_randomized_system_one_draw_a_step_will_do(linear_model, mid_images, flip):
    model, x = linear_model(2, SHAPE), mid_images(100, SHAPE)
    y, system = model.predict(x), model.through((flip(0.3),), draws=7)
    away = away_from(model, y).sign().reshape(x.shape)
    before = model.passes.backwards
    adversarial = Momentum(eps=EPS, draws=1, steps=60)(system, x, y, rng=0)
    assert model.passes.backwards - before == 60 * 100
    assert ((adversarial - x) * away > 0).float().mean() > 0.95


def test_draws_are_the_models_unless_it_says_otherwise(linear_model, mid_images, flip):
    model, x = linear_model(2, SHAPE), mid_images(3, SHAPE)
    system, y = model.through((flip(0.3),), draws=7), torch.zeros(3, dtype=torch.int64)
    for draws, expected in ((0, 7), (2, 2)):
        before = model.passes.backwards
        Momentum(eps=EPS, steps=4, draws=draws)(system, x, y, rng=0)
        assert model.passes.backwards - before == 3 * 4 * expected


def test_where_it_begins(linear_model, mid_images):
    flat = Model(nn.Sequential(nn.Flatten(), nn.Linear(24, 3)), task=Recognition(classes=3))
    for parameter in flat.net.parameters():
        parameter.data.zero_()  # nothing moves a point from where it began
    x, y = mid_images(5, SHAPE), torch.zeros(5, dtype=torch.int64)
    start = x + 0.01

    def found(begin, **options):
        return Momentum(eps=EPS, begin=begin, steps=3)(flat, x, y, rng=0, **options)

    assert torch.equal(found("strongest", start=start), start)
    assert torch.equal(found("image", start=start), x)
    assert torch.equal(found("strongest"), x)
    assert size(found("random") - x, "linf").min() > EPS / 2
    assert torch.equal(found("random", start=start), found("random"))


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_only_images_are_judged(norm):
    """A random start beyond black and white would count as another point than the one that is handed back."""
    judged = []

    class Seen(nn.Linear):
        def forward(self, x):
            judged.append(torch.stack(torch.aminmax(x.detach())))
            return super().forward(x)

    model = Model(nn.Sequential(nn.Flatten(), Seen(24, 3)), task=Recognition(classes=3))
    x = torch.tensor([0.0, 1.0]).repeat(4, 12).view(4, *SHAPE)
    Momentum(eps=0.5, norm=norm, begin="random", target_classes=2, steps=2)(model, x, rng=0)
    assert torch.stack(judged).min() >= 0
    assert torch.stack(judged).max() <= 1


def test_no_point_is_weaker_than_where_it_began(digits_model):
    x, _ = Digits().load(range(64))
    y, rng = digits_model.predict(x), Draws.of(0, samples=range(64))
    start = Momentum(eps=0.03, steps=2, begin="random")(digits_model, x, y, rng=rng)
    end = Momentum(eps=0.03, steps=2, begin="strongest")(digits_model, x, y, rng=rng, start=start)
    before, after = (strength(digits_model, points, y, targeted=False, rng=rng) for points in (start, end))
    assert not before.beats(after).any()
    assert after.beats(before).any()


@pytest.mark.parametrize("classes", [2, 3, 6])
def test_targets_in_turn_find_the_nearest_class(linear_model, mid_images, classes):
    model, x = linear_model(classes, SHAPE), mid_images(20, SHAPE)
    logits, y = model(x), model.predict(x)
    lead = (logits.gather(1, y[:, None]) - logits).scatter(1, y[:, None], torch.inf)
    steepness = (model.net.weight[y][:, None] - model.net.weight[None]).abs().sum(dim=2).clamp_min(1e-9)
    distance = (lead / steepness).amin(dim=1)  # exact under Linf: the box is out of reach
    eps = float(distance.median())
    fooled = model.predict(Momentum(eps=eps, steps=5, target_classes=5)(model, x, y, rng=0)) != y
    clear = (distance / eps - 1).abs() > 0.02
    assert torch.equal(fooled[clear], (distance < eps)[clear])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"steps": 0}, "steps >= 1"),
        ({"decay": 1.5}, "decay in 0..1"),
        ({"step_size": 0.0}, "step_size > 0"),
        ({"begin": "there"}, "image, random or strongest"),
        ({"draws": -1}, "draws >= 0"),
        ({"target_classes": -1}, "target_classes >= 0"),
        ({"target_classes": 2, "targeted": True}, "0 where targeted"),
    ],
    ids=str,
)
def test_refuses_what_makes_no_sense(facts, message):
    with pytest.raises(ConfigError, match=message):
        Momentum(eps=EPS, **facts)
