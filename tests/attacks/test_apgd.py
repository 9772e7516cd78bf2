"""APGD finds the known optima of linear models, keeps its best point, and spends no pass that it need not."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from foolbench.attacks import APGD
from foolbench.attacks._adaptive import AdaptiveAscent, checkpoints
from foolbench.attacks.apgd import dlr
from foolbench.core import ConfigError, Draws, Model, Threat
from foolbench.core.norms import size, steepest
from foolbench.datasets.digits import Digits
from foolbench.tasks import Recognition
from torch import nn

SHAPE = (2, 3, 4)
EPS = 0.1
ATOL = {
    "linf": 2e-6,
    "l2": 1e-3,
}  # under L2 the loss has a maximum that is flat to float32: the points around are as good


@pytest.fixture
def images(mid_images):
    return mid_images(16, SHAPE)


@pytest.fixture(scope="module")
def digits(digits_model):
    x, _ = Digits().load(range(64))
    return x, digits_model.predict(x)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
@pytest.mark.parametrize("targeted", [False, True])
def test_binary_optimum(linear_model, images, norm, loss, targeted):
    model, y = linear_model(2, SHAPE), torch.arange(16) % 2
    up = model.net.weight[1] - model.net.weight[0]
    away = torch.where((y == 0) != targeted, 1.0, -1.0)[:, None] * up
    attack = APGD(eps=EPS, norm=norm, steps=30, loss=loss, targeted=targeted, early_stop=False)
    delta = attack(model, images, y, rng=0) - images
    torch.testing.assert_close(delta.flatten(1), EPS * steepest(away, norm), rtol=0, atol=ATOL[norm])


def test_binary_optimum_where_the_box_cuts(linear_model):
    model, x = linear_model(2, SHAPE), torch.rand(16, *SHAPE, generator=torch.Generator().manual_seed(5))
    up = (model.net.weight[1] - model.net.weight[0]).reshape(SHAPE)
    adversarial = APGD(eps=EPS, steps=10, early_stop=False)(model, x, torch.zeros(16, dtype=torch.int64), rng=0)
    torch.testing.assert_close(adversarial, (x + EPS * up.sign()).clamp(0, 1), rtol=0, atol=2e-6)


def test_multi_class_optimum_is_the_best_corner(linear_model, mid_images):
    shape, eps = (1, 2, 3), 0.01  # the loss is convex, so its maximum over the cube is at one of the 2^6 corners
    model, x = linear_model(4, shape), mid_images(20, shape)
    y = model.predict(x)
    corners = eps * torch.tensor(list(product([-1.0, 1.0], repeat=6))).reshape(-1, 1, *shape)
    losses = torch.stack([model.task.loss(model(x + corner), y) for corner in corners])
    adversarial = APGD(eps=eps, steps=20, restarts=5, early_stop=False)(model, x, y, rng=0)
    torch.testing.assert_close(model.task.loss(model(adversarial), y), losses.amax(dim=0), rtol=1e-5, atol=1e-6)
    assert len(losses.argmax(dim=0).unique()) > 3, "one corner is best for nearly all: too easy"


@pytest.mark.parametrize(("norm", "dual", "eps"), [("linf", 1, 0.03), ("l2", 2, 0.12)])
def test_towards_every_class_it_fools_exactly_what_can_be_fooled(linear_model, mid_images, norm, dual, eps):
    model, x = linear_model(5, SHAPE), mid_images(60, SHAPE)
    logits, y, weight = model(x), model.predict(x), model.net.weight
    reach = torch.linalg.vector_norm(weight[None] - weight[y][:, None], ord=dual, dim=2)
    lead = logits - logits.gather(1, y[:, None]) + eps * reach
    best = lead.scatter(1, y[:, None], -torch.inf).amax(dim=1)
    attack = APGD(eps=eps, norm=norm, steps=20, loss="dlr", target_classes=4)
    assert torch.equal(model.predict(attack(model, x, y, rng=0)) != y, best > 0)
    assert 5 < int((best > 0).sum()) < 55


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_best_of_all_points_seen_is_returned(recording, digits_model, digits, norm):
    x, y = digits
    model = Model(recording(digits_model.net), task=digits_model.task, mean=(0.5,), std=(0.5,))
    eps = 0.1 if norm == "linf" else 0.5
    adversarial = APGD(eps=eps, norm=norm, steps=15, early_stop=False)(model, x, y, rng=0)
    seen = [0.5 * z + 0.5 for z in model.net.seen]
    assert len(seen) == 16
    outputs = torch.stack([digits_model(z.clamp(0, 1)) for z in seen])
    losses = torch.stack([digits_model.task.loss(o, y) for o in outputs])
    fooled = outputs.argmax(dim=2) != y
    best = torch.where(fooled.any(dim=0), losses.where(fooled, -torch.inf), losses).amax(dim=0)
    torch.testing.assert_close(digits_model.task.loss(digits_model(adversarial), y), best, rtol=1e-3, atol=1e-5)
    assert torch.equal(digits_model.predict(adversarial) != y, fooled.any(dim=0))
    assert all(size(z - x, norm).max() <= eps + 1e-5 for z in seen)


def test_checkpoints_are_those_of_the_paper():
    assert list(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert list(checkpoints(1)) == []
    assert all(
        step - period == before
        for (step, period), before in zip(checkpoints(50).items(), [0, *checkpoints(50)], strict=False)
    )


def ascent_from(x):
    rows = torch.arange(len(x))
    return AdaptiveAscent(
        x.clone(), Threat(norm="linf", eps=EPS).around(x), rows, rows, None, Draws.of(0, samples=rows)
    )


def test_a_move_makes_a_share_of_the_last_one_again():
    ascent = ascent_from(torch.full((1, 1, 1, 3), 0.5))
    ascent.step_size[:] = 0.04
    for momentum, gradient, expected in (
        (0, [1.0, 1, 0], [0.54, 0.54, 0.5]),
        (0.25, [1.0, -1, 1], [0.58, 0.52, 0.53]),  # 0.75 of steps by 0.04, -0.04, 0.04; 0.25 of moves by 0.04, 0.04, 0
        (0.5, [1.0, 1, -1], [0.6, 0.53, 0.525]),  # half of 0.02 (the bound), 0.04, -0.04; half of 0.04, -0.02, 0.03
    ):
        ascent.gradient = torch.tensor(gradient).reshape(1, 1, 1, 3)
        ascent.move(momentum)
        torch.testing.assert_close(ascent.point.flatten(), torch.tensor(expected))


def test_a_step_makes_a_quarter_of_the_last_move_again(recording, linear_model, images):
    linear = linear_model(2, SHAPE)
    model, y = Model(recording(linear.net), task=linear.task), torch.zeros(16, dtype=torch.int64)
    APGD(eps=EPS, norm="l2", steps=10, early_stop=False)(model, images, y, rng=0)
    start, first, second, ball = *model.net.seen[:3], Threat(norm="l2", eps=EPS).around(images)
    step = 2 * EPS * steepest((linear.net.weight[1:] - linear.net.weight[:1]).detach(), "l2").reshape(1, *SHAPE)
    torch.testing.assert_close(first, ball.project_(start + step), rtol=0, atol=1e-6)
    ahead = ball.project_(first + step)
    expected = ball.project_(first + 0.75 * (ahead - first) + 0.25 * (first - start))
    torch.testing.assert_close(second, expected, rtol=0, atol=1e-6)
    assert (expected - ahead).abs().max() > 1e-3, "the last move makes no difference: too easy"


def test_who_goes_back_to_its_best_point_goes_on_with_the_gradient_there():
    ascent, none = ascent_from(torch.full((2, 1, 1, 2), 0.5)), torch.zeros(2, dtype=torch.bool)
    best, last = torch.tensor([[3.0, -5], [7, 2]]).reshape(2, 1, 1, 2), torch.ones(2, 1, 1, 2)
    ascent.note(torch.tensor([1.0, 1]), best.clone(), none)
    ascent.move(0)
    ascent.note(torch.tensor([0.0, 2]), last, none)
    ascent.adapt(1)  # no rise, and one
    torch.testing.assert_close(ascent.step_size, torch.tensor([EPS, 2 * EPS]))
    assert torch.equal(ascent.gradient, torch.stack([best[0], last[1]]))
    expected = torch.tensor([[0.5, 0.5], [0.6, 0.6]]).reshape(2, 1, 1, 2)
    torch.testing.assert_close(ascent.point, expected)


def test_step_sizes_are_halved_where_they_have_ceased_to_pay():
    x = torch.full((4, 1, 2, 2), 0.5)
    ascent = ascent_from(x)
    rising = torch.tensor([[1.0, 1, 1, 1], [2, 2, 0, 2], [3, 3, 0, 3], [4, 0, 0, 4], [5, 0, 0, 5]])
    for loss in rising:
        ascent.move(0)
        ascent.note(loss, torch.ones_like(x), torch.zeros(4, dtype=torch.bool))
    ascent.adapt(0.75 * 4)  # 4, 2, 0 and 4 rises of 4
    torch.testing.assert_close(ascent.step_size, torch.tensor([0.2, 0.1, 0.1, 0.2]))
    assert torch.equal(ascent.point[1], ascent.best[1])
    for loss in torch.tensor([[6.0, 1, 1, 1], [7, 2, 2, 2], [8, 2.5, 2.5, 2.5], [9, 2.8, 2.8, 3]]):
        ascent.note(loss, None, torch.zeros(4, dtype=torch.bool))
    ascent.adapt(0.75 * 4)  # three rises are enough; the last kept its size and found no new best; others changed size
    torch.testing.assert_close(ascent.step_size, torch.tensor([0.2, 0.1, 0.1, 0.1]))


def test_dlr_is_the_ratio_and_ignores_scale_and_shift():
    logits = torch.tensor([[5.0, 3.0, 1.0, -3.0], [0.0, 6.0, 4.0, 2.0]])
    y, rival = torch.tensor([0, 0]), torch.tensor([1, 2])
    torch.testing.assert_close(dlr(logits, y), torch.tensor([-2 / 4, 6 / 4]))
    torch.testing.assert_close(dlr(logits, y, rival), torch.tensor([-2 / (5 + 1), 4 / (6 - 1)]))
    torch.testing.assert_close(dlr(1e4 * logits - 3, y), dlr(logits, y))
    torch.testing.assert_close(dlr(logits[:, :2], y), torch.tensor([-2.0, 6.0]))
    torch.testing.assert_close(dlr(logits[:, :3], y, rival), torch.tensor([-2.0, 4.0]))
    assert torch.equal(dlr(torch.ones(2, 4), y), torch.zeros(2))


@pytest.mark.parametrize(("loss", "factor"), [("ce", 5), ("dlr", 1e4), ("dlr", 1e-4)])
def test_a_scale_of_the_logits_masks_no_gradient(digits_model, digits, scaled, loss, factor):
    x, y = digits
    attack = APGD(eps=0.1, steps=10, loss=loss)
    fooled = [int((m.predict(attack(m, x, y, rng=0)) != y).sum()) for m in (digits_model, scaled(digits_model, factor))]
    assert 10 < fooled[0] < 54
    assert fooled[1] >= fooled[0] - (4 if loss == "ce" else 1)  # the cross-entropy becomes another function


def test_passes(linear_model, images):
    model, y = linear_model(3, SHAPE), torch.zeros(16, dtype=torch.int64)
    APGD(eps=EPS, steps=7, restarts=2, early_stop=False)(model, images, y)
    assert (model.passes.forwards, model.passes.backwards) == (16 * 2 * 8, 16 * 2 * 7), (
        "the last point needs no gradient"
    )


@pytest.mark.parametrize("targeted", [False, True])
def test_the_already_fooled_come_back_as_they_are(linear_model, images, targeted):
    model = linear_model(3, SHAPE)
    predicted = model.predict(images)
    model.passes.forwards = 0
    done = predicted if targeted else (predicted + 1) % 3
    attack = APGD(eps=EPS, targeted=targeted)
    assert torch.equal(attack(model, images, done), images)
    assert (model.passes.forwards, model.passes.backwards) == (16, 0)
    mixed = attack(model, images, torch.where(torch.arange(16) < 8, done, (done + 1) % 3 if targeted else predicted))
    assert torch.equal(mixed[:8], images[:8])
    assert (mixed[8:] != images[8:]).flatten(1).any(dim=1).all()
    assert (replace(attack, early_stop=False)(model, images, done) != images).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("kind", [{}, {"loss": "dlr"}, {"loss": "dlr", "target_classes": 2}, {"restarts": 2}], ids=str)
def test_early_stop_saves_passes_and_fools_the_same(digits_model, digits, kind):
    x, y = digits
    fooled, passes = [], []
    for stop in (True, False):
        digits_model.passes.backwards = 0
        attack = APGD(eps=0.1, steps=10, early_stop=stop, **kind)
        fooled.append(digits_model.predict(attack(digits_model, x, y, rng=0)) != y)
        passes.append(digits_model.passes.backwards)
    assert (fooled[0] != fooled[1]).sum() <= 1  # a rounding in another batch size
    assert passes[0] < 0.8 * passes[1]


def test_more_searches_fool_more(digits_model, digits):
    x, y = digits

    def fooled(**facts):
        return digits_model.predict(APGD(eps=0.12, steps=5, loss="dlr", **facts)(digits_model, x, y, rng=0)) != y

    one, many, towards = fooled(), fooled(restarts=3), fooled(target_classes=5)
    assert (many | ~one).all()
    assert towards.sum() > one.sum()


def test_the_target_is_reached(digits_model, digits):
    x, y = digits
    for loss in ("ce", "dlr"):
        reached = APGD(eps=0.5, steps=20, loss=loss, targeted=True)(digits_model, x, (y + 3) % 10, rng=0)
        assert (digits_model.predict(reached) == (y + 3) % 10).float().mean() > 0.97


@pytest.mark.parametrize("kind", [{}, {"norm": "l2"}, {"loss": "dlr", "target_classes": 2}, {"restarts": 2}], ids=str)
def test_a_batch_changes_no_image(digits_model, digits, kind):
    x, y = digits
    attack, rng = APGD(eps=0.1 if "norm" not in kind else 0.5, steps=6, **kind), Draws.of(0, samples=range(64))
    together = attack(digits_model, x, y, rng=rng)
    for rows in (torch.tensor([7]), torch.tensor([30, 2, 11])):
        apart = attack(digits_model, x[rows], y[rows], rng=rng[rows])
        torch.testing.assert_close(apart, together[rows], rtol=0, atol=1e-4)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("loss", ["ce", "dlr"])
def test_no_gradient_no_harm(norm, loss):
    class Flat(nn.Module):
        def forward(self, x):
            return 0 * x.flatten(1).sum(dim=1, keepdim=True) + torch.tensor([1.0, 0, 0, 0])

    model, x = Model(Flat(), task=Recognition(classes=4)), torch.rand(3, 1, 1, 1)
    adversarial = APGD(eps=0.1, norm=norm, loss=loss, steps=10)(model, x)
    assert (adversarial - x).abs().max() <= 0.1 + 1e-6  # at its random start


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"restarts": 0},
        {"rho": 0.0},
        {"rho": 1.0},
        {"loss": "margin"},
        {"target_classes": -1},
        {"target_classes": 3, "targeted": True},
        {"norm": "l1"},
    ],
    ids=str,
)
def test_refuses_parameters(wrong):
    with pytest.raises(ConfigError):
        APGD(eps=0.1, **wrong)
