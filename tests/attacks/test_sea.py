"""SEA: its losses by hand and against torch, its radii, and a worst case that no member is below."""

import math

import foolbench
import pytest
import torch
from foolbench.attacks import APGD, SEA
from foolbench.attacks.sea import balanced, divergence, loss_of, masked
from foolbench.core import ConfigError, Model
from foolbench.core.norms import size
from foolbench.core.task import Places, Task
from foolbench.datasets import SceneMaps
from foolbench.evaluation.python import evaluate as evaluate_module
from foolbench.tasks import Recognition, Segmentation
from foolbench.tasks.segmentation import VOID
from torch import nn
from torch.nn import functional as F

SHAPE, EPS = (3, 12, 10), 0.03


@pytest.fixture
def system():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv2d(8, 4, 3, padding=1))
    return Model(net, task=Segmentation(classes=4), shape=SHAPE, mean=0.5, std=0.1, name="dense")


@pytest.fixture
def x():
    return torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0))


def test_the_divergence_is_that_of_jensen_and_shannon():
    logits = 4 * torch.randn(50, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = torch.arange(50) % 5
    p, q = logits.softmax(dim=1), F.one_hot(y, 5).double()
    middle = (p + q) / 2
    expected = sum(F.kl_div(middle.log(), each, reduction="none").sum(dim=1) for each in (p, q)) / 2
    log_probabilities = -F.cross_entropy(logits, y, reduction="none")
    torch.testing.assert_close(divergence(log_probabilities), expected)
    ends = torch.tensor([0.0, -1e4], requires_grad=True)
    assert divergence(ends).tolist() == pytest.approx([0, math.log(2)])
    (slope,) = torch.autograd.grad(divergence(ends).sum(), ends)
    assert slope[1] == 0, "what is lost pulls no more"
    assert torch.isfinite(slope).all()


class Whole(Recognition):
    """One with the protocol's own `places`."""

    places = Task.places


@pytest.mark.parametrize("task", [Recognition(classes=5), Whole(classes=5)], ids=["its own", "the protocol's"])
def test_of_one_class_an_image_it_is_that_of_jensen_and_shannon_too(task):
    logits = 4 * torch.randn(50, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(50) % 5
    p, q = logits.double().softmax(dim=1), F.one_hot(y, 5).double()
    middle = (p + q) / 2
    expected = sum(F.kl_div(middle.log(), each, reduction="none").sum(dim=1) for each in (p, q)) / 2
    found = loss_of(task, "divergence")(logits, y)
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("margin", [-1e4, -60.0, -20.0, 0.0, 20.0, 60.0, 1e4])
def test_the_divergence_of_a_sure_network_has_its_gradient(margin):
    """By hand: it changes with the probability p by log(p / (1 + p)) / 2, and p with its logit by p (1 - p)."""
    logits = torch.tensor([[0.0, -margin]], requires_grad=True)
    found = loss_of(Recognition(classes=2), "divergence")(logits, torch.tensor([0]))
    (slope,) = torch.autograd.grad(found.sum(), logits)
    p, rest = (1 / (1 + math.exp(min(-logit, 700))) for logit in (margin, -margin))
    expected = -math.log(p / (1 + p)) / 2 * p * rest
    assert 0 <= float(found.detach()) <= math.log(2) + 1e-6
    assert slope[0].tolist() == pytest.approx([-expected, expected], rel=1e-3, abs=1e-35)


def test_weights_by_hand():
    losses = torch.tensor([[1.0, 2.0, 3.0, 4.0, 0.0]])
    right = torch.tensor([[True, True, False, True, False]])
    places = Places(losses, right, torch.zeros(1, 5), torch.tensor([[0, 0, 0, 2, VOID]]))
    assert masked(places).tolist() == [[1, 1, 0, 1, 0]]
    assert balanced(places).tolist() == [pytest.approx([5 / 3, 5 / 3, 0, 5, 0])]
    assert torch.equal(balanced(places._replace(kinds=None)), masked(places))


def test_losses_by_hand():
    logits = torch.tensor([[3.0, 0, 1, 0], [0, 2, 0, 0]])[None, :, None]  # predictions 0 1 0 0
    y = torch.tensor([[[0, 0, 0, 1]]])
    losses = torch.tensor([-3.0, 2, -1, 0]).exp().log1p()
    task = Segmentation(classes=2)
    assert float(loss_of(task, "masked")(logits, y)) == pytest.approx(float(losses[0] + losses[2]) / 4)
    assert float(loss_of(task, "balanced")(logits, y)) == pytest.approx(float(losses[0] + losses[2]) / 3)
    assert float(loss_of(task, "divergence")(logits, y)) == pytest.approx(float(divergence(-losses).sum()) / 4)


def test_void_pixels_change_nothing(system, x):
    y = system.predict(x).index_fill(2, torch.tensor([3, 4]), VOID)
    for loss in ("balanced", "masked", "divergence"):
        outputs = system(x).requires_grad_()
        found = loss_of(system.task, loss)(outputs, y)
        (gradient,) = torch.autograd.grad(found.sum(), outputs)
        assert (gradient[:, :, :, 3:5] == 0).all()
        assert (gradient[:, :, :, 5:] != 0).any()


@pytest.mark.parametrize("loss", ["balanced", "masked", "divergence"])
def test_members_end_within_the_budget_after_wider_ones(loss, system, x):
    member, seen = SEA(eps=EPS, steps=20).members[loss], []
    inner = system.net.forward
    system.net.forward = lambda z: (seen.append(z.detach() * 0.1 + 0.5), inner(z))[1]
    found = member(system, x, rng=0)
    assert size(found - x, "linf").max() <= EPS + 1e-6
    radii = [float((z - x).abs().max()) / EPS for z in seen[1:]]
    assert radii[:7] == pytest.approx([2.0] * 7, abs=0.05)
    assert radii[7:14] == pytest.approx([1.5] * 7, abs=0.05)
    assert radii[14:] == pytest.approx([1.0] * 9, abs=0.05)


def test_it_has_the_fewest_right_pixels_of_its_members(system, x):
    y, attack = system.predict(x), SEA(eps=EPS, steps=20)

    def right(points):
        return system.task.agreement(system.predict(points), y)

    together = right(attack(system, x, y, rng=3))
    assert float(together.mean()) < float(right(APGD(eps=EPS, steps=20, early_stop=False)(system, x, y, rng=3)).mean())
    draws = foolbench.core.Draws.of(3, samples=range(len(x)))
    alone = [right(member(system, x, y, rng=draws.fork(name))) for name, member in attack.members.items()]
    torch.testing.assert_close(together, torch.stack(alone).amin(dim=0))


def test_targets_are_refused():
    with pytest.raises(ConfigError, match="untargeted"):
        SEA(eps=EPS, targeted=True)
    with pytest.raises(ConfigError, match="steps"):
        SEA(eps=EPS, steps=2)


def test_in_a_table_the_worst_case_is_never_above_the_lowest_of_its_members(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate_module, "publish", lambda folder, table: None)
    data = SceneMaps()
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 6, 5, stride=4, padding=2), nn.Tanh(), nn.Conv2d(6, 7, 1), nn.Upsample(scale_factor=4)
    )
    model = Model(net, task=data.task, shape=data.shape, mean=0.42, std=0.15, name="small")
    table = foolbench.evaluate(
        model,
        data.name,
        attacks=[{"name": "sea", "eps": eps, "steps": 3} for eps in ("2/255", "8/255")],
        samples=4,
        silent=True,
        out=tmp_path,
    )
    assert set(table.status) == {"ok"}, table.error.tolist()
    for _, rows in table.groupby(["metric", "eps"]):
        together, members = rows[rows.attack == "sea"], rows[rows.attack != "sea"]
        assert (len(together), len(members)) == (1, 3)
        assert float(together.robust.iloc[0]) <= members.robust.min()
        assert float(together.gfr.iloc[0]) >= members.gfr.max()


def test_a_budget_that_can_turn_all_grey_is_one_like_any_other(system, x):
    found = SEA(eps=0.8, steps=6)(system, x, rng=0)
    assert (found - x).abs().max() <= 0.8 + 1e-6
    assert (system.predict(found) == system.predict(x)).float().mean() < 0.5
