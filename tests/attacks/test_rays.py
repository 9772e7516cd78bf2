"""RayS finds the known optima of linear models from decisions alone, within its queries."""

import pytest
import torch
from foolbench.attacks import RayS
from foolbench.attacks.rays import _blocks, _reach
from foolbench.core import ConfigError, Draws, Model, Threat
from foolbench.core.norms import size
from foolbench.datasets import Digits
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (1, 3, 4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_it_fools_where_the_best_vector_of_signs_does(linear_model, mid_images, norm):
    """From the best signs no turn is nearer, and one pass over single values finds them on a linear model."""
    model, x = linear_model(2, SHAPE), mid_images(40, SHAPE)
    logits, y = model(x), model.predict(x)
    up = (model.net.weight[1] - model.net.weight[0]).abs().sum()
    distance = (logits[:, 0] - logits[:, 1]).abs() / up * (1 if norm == "linf" else 12**0.5)
    assert distance.max() < 0.3 * (1 if norm == "linf" else 12**0.5)  # the box is out of reach
    eps = float(distance.median())
    adversarial = RayS(eps=eps, norm=norm, queries=1000)(model, x, y, rng=0)
    assert size(adversarial - x, norm).max() <= eps + 1e-6
    clear = (distance / eps - 1).abs() > 0.02
    assert torch.equal((model.predict(adversarial) != y)[clear], (distance < eps)[clear])


def test_of_values_at_black_or_white_the_rest_of_the_budget_goes_to_the_others():
    """What stops at the end of the range leaves more to others; a shorter way would be given up in vain."""
    x = torch.tensor([[0.0, 1.0, 0.5, 0.9], [0.0, 0.0, 0.0, 0.0]]).view(2, 1, 2, 2)
    signs = torch.tensor([[-1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]]).view(2, 1, 2, 2)
    reach = _reach(x, signs, Threat(norm="l2", eps=0.4))
    assert reach.tolist() == pytest.approx([(0.16 - 0.01) ** 0.5, 0.2])
    moved = (x + reach[:, None, None, None] * signs).clamp(0, 1)
    assert size(moved - x, "l2").tolist() == pytest.approx([0.4, 0.4])
    assert _reach(x, signs, Threat(norm="l2", eps=3.0)).min() >= 1  # all are at an end


def test_an_adversarial_point_within_the_budget_is_not_given_up():
    """One value of many decides, and the others cannot move: a search sees it on the first ray that raises it."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 2))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].weight[1, 0] = 1.0
        net[1].bias.copy_(torch.tensor([0.3, 0.0]))
    model = Model(net, task=Recognition(classes=2), shape=(1, 4, 4))
    x = torch.ones(1, 1, 4, 4)
    x[0, 0, 0, 0] = 0.0
    found = RayS(eps=0.35, norm="l2", queries=50)(model, x, rng=0)
    assert model.predict(found).tolist() == [1]


def test_what_resists_gets_all_of_the_budget(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(10, SHAPE)
    x = x[(model(x)[:, 0] - model(x)[:, 1]).abs() > 0.1]
    adversarial = RayS(eps=1e-3)(model, x, rng=0)
    up = (model.net.weight[1] - model.net.weight[0]).reshape(SHAPE)
    away = torch.where(model.predict(x) == 0, 1.0, -1.0).reshape(-1, 1, 1, 1) * up
    torch.testing.assert_close(adversarial - x, 1e-3 * away.sign(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("queries", [1, 7, 30])
def test_it_asks_as_often_as_it_says(digits_model, queries):
    x, _ = Digits().load(range(8))
    y = digits_model.predict(x)
    for row in range(8):
        before = digits_model.passes.forwards
        found = RayS(eps=1e-4, queries=queries)(digits_model, x[row : row + 1], y[row : row + 1], rng=0)
        assert (digits_model.predict(found) == y[row]).all()
        assert digits_model.passes.forwards - 2 - before == queries, "and the image as it is, for the attack and here"


def test_images_that_are_fooled_as_they_come_stay_without_a_query(digits_model):
    x, _ = Digits().load(range(16))
    y = digits_model.predict(x)
    y[::2] = (y[::2] + 1) % 10
    found = RayS(eps=1e-4, queries=5).counted(digits_model, x, y, rng=0)
    assert torch.equal(found.x_adv[::2], x[::2])
    assert found.queries.tolist() == [0, 5] * 8


def test_all_images_are_asked_about_together(digits_model, monkeypatch):
    """Also where some of them halve the way to their boundary while others turn their rays."""
    x, _ = Digits().load(range(32))
    calls, averaged = [], Model.averaged
    monkeypatch.setattr(Model, "averaged", lambda self, z, **more: calls.append(len(z)) or averaged(self, z, **more))
    found = RayS(eps=0.1, queries=60).counted(digits_model, x, rng=0)
    assert (found.queries < 60).any()
    assert len(calls) == 2 + 60  # also what they are called, and the image as it is
    assert calls == sorted(calls, reverse=True)


def test_it_sees_decisions_only(digits_model, scaled):
    x, _ = Digits().load(range(16))
    attack, rng = RayS(eps=0.1, queries=200), Draws.of(0, samples=range(16))
    expected = attack(digits_model, x, rng=rng)
    assert torch.equal(attack(scaled(digits_model, 3.0, -5.0), x, rng=rng), expected)
    assert (digits_model.predict(expected) != digits_model.predict(x)).any()


def test_blocks_are_halved_down_to_single_values_and_then_begin_again():
    blocks = _blocks(5)
    found = [(start, min(end, 5)) for start, end in (next(blocks) for _ in range(12))]
    halves, quarters = [(0, 3), (3, 5)], [(0, 2), (2, 4), (4, 5)]
    assert found == [(0, 0), (0, 5), *halves, *quarters, *((place, place + 1) for place in range(5))]
    assert next(blocks) == (0, 5)


def test_it_needs_a_query():
    with pytest.raises(ConfigError, match="queries >= 1"):
        RayS(eps=0.1, queries=0)
