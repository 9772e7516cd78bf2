"""The universal ascent of the loss: its optimum on affine models, its clamp, its targets, and its bookkeeping."""

import pytest
import torch
from foolbench.attacks import UniversalPGD
from foolbench.attacks.universal._validation import predictions
from foolbench.core import ConfigError, CraftingData, Draws
from foolbench.core.norms import size, steepest
from foolbench.datasets.digits import Digits
from foolbench.defenses import RandomNoise, adaptive
from torch.nn import functional as F

EPS = 40 / 255
SIZES = {"linf": EPS, "l2": 1.2}


@pytest.fixture(scope="module")
def images():
    return Digits().training(200)[0].float() / 255


def crafting(images, **facts) -> CraftingData:
    return CraftingData(validation=images[:64], load_training=lambda: images, **facts)


def of_class_0(model, mid_images, shape):
    x = mid_images(100, shape)
    return x[model.predict(x) == 0]


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("step_size", [None, 0.1])
def test_finds_the_optimum_of_an_affine_model_of_two_classes(linear_model, mid_images, norm, step_size):
    model = linear_model(2, (1, 4, 5))
    x = of_class_0(model, mid_images, (1, 4, 5))
    attack = UniversalPGD(eps=0.2, norm=norm, step_size=step_size, max_iterations=12)
    towards_1 = (model.net.weight[1] - model.net.weight[0]).reshape(1, 1, 4, 5)
    found = attack.craft(model, crafting(x), rng=0)
    torch.testing.assert_close(found.delta, 0.2 * steepest(towards_1, norm)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_target_is_approached_by_the_optimum(linear_model, mid_images, norm):
    # images of both classes: nothing but the target tells which way to go
    model, x = linear_model(2, (1, 4, 5)), mid_images(50, (1, 4, 5))
    for target, sign in ((0, -1), (1, 1)):
        towards_1 = (model.net.weight[1] - model.net.weight[0]).reshape(1, 1, 4, 5)
        attack = UniversalPGD(eps=0.2, norm=norm, target=target, max_iterations=12)
        found = attack.craft(model, crafting(x), rng=0)
        torch.testing.assert_close(found.delta, 0.2 * sign * steepest(towards_1, norm)[0], rtol=0, atol=1e-5)


def test_a_clamped_loss_pulls_no_further(linear_model, mid_images):
    model = linear_model(2, (1, 4, 5))
    x = of_class_0(model, mid_images, (1, 4, 5))
    loss = {}
    for clamp in (1.0, float("inf")):
        attack = UniversalPGD(eps=0.3, step_size=0.002, clamp=clamp, max_iterations=150, validate_every=150)
        found = attack.craft(model, crafting(x), rng=0)
        loss[clamp] = model.task.objective(model(found.apply(x)), torch.zeros(len(x), dtype=torch.int64))
    assert (loss[1.0] > 1).all(), "the ascent stopped before the clamp"
    assert loss[1.0].min() < 1.2, "the ascent went on behind the clamp"
    assert (loss[torch.inf] > loss[1.0]).all()


@pytest.mark.parametrize("target", [None, 3])
def test_the_gradient_is_that_through_black_and_white(digits_model, images, target):
    x, y = images[:32], digits_model.predict(images[:32]) if target is None else torch.full((32,), target)
    delta = 0.1 * torch.randn(1, *x.shape[1:], generator=torch.Generator().manual_seed(0))
    moved = x + delta
    assert ((moved < 0) | (moved > 1)).any(dim=0).sum() > 32, "hardly a value is clipped: too easy"
    attack = UniversalPGD(eps=1.0, target=target, clamp=torch.inf)
    found = attack._gradient(digits_model, delta, x, y, Draws.of(0, samples=range(32)))
    loss = digits_model.task.objective(digits_model.logits((x + delta.requires_grad_()).clamp(0, 1)), y).sum()
    (expected,) = torch.autograd.grad(loss if target is None else -loss, delta)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


@pytest.mark.parametrize("clamp", [torch.inf, 2.0])
@pytest.mark.parametrize("target", [None, 3])
def test_of_a_randomized_system_the_mean_of_the_cross_entropy_rises(digits_model, images, target, clamp):
    """Not that of the log-odds: there an evaluation that is fooled already would pull as strongly as any other."""
    x, rng = images[:32], Draws.of(0, samples=range(32))
    y = digits_model.predict(x) if target is None else torch.full((32,), target)
    system, delta = adaptive(RandomNoise(scale=0.3), digits_model, draws=4), torch.zeros(1, *x.shape[1:])
    found = UniversalPGD(eps=1.0, target=target, clamp=clamp)._gradient(system, delta, x, y, rng)
    z, single = x.clone().requires_grad_(), system.through(system.shells)
    entropies = torch.stack(
        [
            F.cross_entropy(single.logits(z, rng=streams).double(), y, reduction="none")
            for streams in system.evaluations(rng)
        ]
    )
    sign = 1 if target is None else -1
    end = torch.tensor(sign * clamp).double()
    counted = entropies.minimum(F.softplus(end)) if target is None else entropies.maximum(F.softplus(end))
    (expected,) = torch.autograd.grad(sign * counted.mean(dim=0).log().sum(), z)
    assert bool((counted != entropies).any()) == (clamp < torch.inf)
    torch.testing.assert_close(
        found, expected.sum(dim=0, keepdim=True), rtol=1e-3, atol=1e-4 * float(expected.abs().max())
    )


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_target_rate_is_what_validation_counts(digits_model, images, norm):
    told = []
    data = crafting(images, progress=lambda *report: told.append(report))
    attack = UniversalPGD(eps=2 * SIZES[norm], norm=norm, target=8, max_iterations=60, validate_every=30)
    delta = attack.craft(digits_model, data, rng=0).delta
    reached = float((predictions(digits_model, data.validation, delta) == 8).float().mean())
    assert told[-1] == (60, 60, pytest.approx(reached))
    assert reached > 2 * float((digits_model.predict(data.validation) == 8).float().mean())


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_never_leaves_the_bound(digits_model, images, norm, monkeypatch):
    visited, gradient = [], UniversalPGD._gradient
    monkeypatch.setattr(
        UniversalPGD, "_gradient", lambda self, m, delta, *a: visited.append(delta) or gradient(self, m, delta, *a)
    )
    UniversalPGD(eps=SIZES[norm], norm=norm, max_iterations=30).craft(digits_model, crafting(images), rng=0)
    assert len(visited) == 30
    assert max(float(size(delta, norm)[0]) for delta in visited) <= SIZES[norm] * (1 + 1e-6)
    assert not any(delta.requires_grad for delta in visited), "the graph of all iterations is kept"


def test_passes(digits_model, images):
    before = vars(digits_model.passes).copy()
    attack = UniversalPGD(eps=EPS, batch_size=16, max_iterations=10, validate_every=5)
    attack.craft(digits_model, crafting(images), rng=0)
    spent = {key: value - before[key] for key, value in vars(digits_model.passes).items()}
    assert spent == {"forwards": 200 + 64 + 10 * 16 + 2 * 64, "backwards": 10 * 16}


def test_returns_the_best_so_far_and_has_patience(scripted, digits_model, images):
    judged, told = scripted([0.2, 0.9, 0.1, 0.9, 0.3]), []
    data = crafting(images, progress=lambda *report: told.append(report))
    attack = UniversalPGD(eps=EPS, step_size=0.01, max_iterations=100, validate_every=2, patience=2)
    found = attack.craft(digits_model, data, rng=0)
    assert told == [(done, 100, -1 if done < 2 else 0.2 if done < 4 else 0.9) for done in range(9)]
    assert torch.equal(found.delta, judged[1])


@pytest.mark.parametrize("prior", ["none", "range", "data"])
def test_a_seed_is_a_result(digits_model, images, prior):
    read = []
    data = CraftingData(validation=images[:20], load_training=lambda: read.append(1) or images)
    attack = UniversalPGD(eps=EPS, prior=prior, max_iterations=5, batch_size=8)
    first, again, other = (attack.craft(digits_model, data, rng=seed).delta for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert torch.equal(first, other) == (prior == "none"), "without images nothing is drawn"
    assert len(read) == (3 if prior == "data" else 0)


@pytest.mark.parametrize(
    "facts", [{"batch_size": 0}, {"clamp": 0.0}, {"max_iterations": 0}, {"patience": 0}, {"validate_every": 0}]
)
def test_bad_parameters(facts):
    with pytest.raises(ConfigError, match=f"Expected {next(iter(facts))} > 0"):
        UniversalPGD(eps=EPS, **facts)


def test_bad_step():
    with pytest.raises(ConfigError, match="Expected a finite step_size > 0, or none, got 0"):
        UniversalPGD(eps=EPS, step_size=0)


@pytest.mark.parametrize("target", [-1, 10])
def test_a_target_that_is_no_class(digits_model, images, target):
    with pytest.raises(ConfigError, match=r"Expected target in 0\.\.9 or none"):
        UniversalPGD(eps=EPS, target=target).craft(digits_model, crafting(images))
