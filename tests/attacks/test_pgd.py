"""PGD's options do what they say: steps, starts, restarts, targets, and stopping early."""

from dataclasses import replace

import pytest
import torch
from foolbench.attacks import FGSM, PGD
from foolbench.core import FoolbenchError, Model
from foolbench.core.norms import size
from foolbench.tasks import Recognition
from scipy import stats
from torch import nn

SHAPE = (1, 4, 5)


class Waves(nn.Module):
    """Two classes and many local optima: where one ends depends on where one starts."""

    def forward(self, x):
        wave = torch.cos(40 * x.flatten(1) + torch.arange(x[0].numel())).sum(dim=1)
        return torch.stack([wave, -wave], dim=1)


@pytest.fixture
def waves():
    return Model(Waves(), task=Recognition(classes=2))


@pytest.fixture
def images(mid_images):
    return mid_images(12, SHAPE)


def losses(model, x, y):
    return model.task.loss(model(x), y)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_one_full_step_is_fgsm(digits_model, norm, targeted):
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y, facts = torch.arange(20) % 10, {"eps": 0.1, "norm": norm, "targeted": targeted}
    one_step = PGD(steps=1, step_size=0.1, random_start=False, **facts)(digits_model, x, y)
    torch.testing.assert_close(one_step, FGSM(**facts)(digits_model, x, y), rtol=0, atol=1e-6)


def test_no_step_is_the_identity(digits_model):
    x = torch.rand(5, 1, 8, 8)
    assert torch.equal(PGD(eps=0.1, steps=0, random_start=False)(digits_model, x), x)


@pytest.mark.parametrize(("norm", "dimensions"), [("linf", 1), ("l2", 20)])
def test_no_step_after_a_random_start_is_a_uniform_point(linear_model, mid_images, norm, dimensions):
    x = mid_images(1000, SHAPE)
    start = PGD(eps=0.1, steps=0, norm=norm)(linear_model(3, SHAPE), x, rng=0) - x
    radius = start.abs().flatten() if norm == "linf" else size(start, "l2")
    assert stats.kstest(((radius.double() / 0.1) ** dimensions).numpy(), "uniform").pvalue > 1e-3
    assert abs(float(start.mean())) < 0.002


@pytest.mark.parametrize("step_size", [0.01, None])
def test_step_size_and_default(linear_model, images, step_size):
    model, steps, eps = linear_model(2, SHAPE), 4, 0.2
    few = PGD(eps=eps, steps=steps, step_size=step_size, random_start=False)(model, images)
    moved = min(eps, steps * (step_size or 2.5 * eps / steps))
    torch.testing.assert_close((few - images).abs(), torch.full_like(images, moved), rtol=0, atol=1e-6)


def test_the_target_is_approached(digits_model):
    x = torch.rand(20, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    target = (digits_model.predict(x) + 3) % 10
    reached = PGD(eps=0.5, steps=40, targeted=True)(digits_model, x, target, rng=0)
    assert (losses(digits_model, reached, target) < losses(digits_model, x, target)).all()
    assert (digits_model.predict(reached) == target).all()


@pytest.mark.parametrize("eps", [0.005, 0.1], ids=["few-fooled", "all-fooled"])
def test_restarts_keep_the_largest_loss_of_each_image(waves, images, eps):
    y, facts = waves.predict(images), {"eps": eps, "steps": 1, "step_size": eps / 10}
    best = [losses(waves, PGD(restarts=n, **facts)(waves, images, y, rng=5), y) for n in (1, 2, 6)]
    assert (best[1] >= best[0]).all()
    assert (best[2] >= best[1]).all()
    assert (best[2] > best[0] + 0.1).any(), "restarts made no difference"
    assert (best[1] == best[0]).any(), "the first start was best for no image"


def test_passes(linear_model, images):
    model = linear_model(3, SHAPE)
    PGD(eps=0.1, steps=7, restarts=2)(model, images, torch.zeros(12, dtype=torch.int64))
    assert (model.passes.forwards, model.passes.backwards) == (12 * 2 * (7 + 1), 12 * 2 * 7)


def test_early_stop_ends_at_the_first_step_that_fools(linear_model, images):
    model, step = linear_model(2, SHAPE), 0.004
    y = model.predict(images)
    logits = model(images)
    margin = (logits[:, 0] - logits[:, 1]).abs()
    needed = torch.ceil(margin / step / (model.net.weight[1] - model.net.weight[0]).abs().sum())
    steps = int(needed.max()) + 3
    before = vars(model.passes).copy()
    attack = PGD(eps=0.29, steps=steps, step_size=step, random_start=False, early_stop=True)
    adversarial = attack(model, images, y)
    assert (model.predict(adversarial) != y).all()
    torch.testing.assert_close(size(adversarial - images, "linf"), needed * step, rtol=0, atol=1e-5)
    assert needed.unique().numel() > 3, "all images need the same number of steps"
    spent = model.passes.backwards - before["backwards"]
    assert spent <= int(needed.sum()) + 12, "a fooled image went on costing"


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("steps", [1, 5, 50])
def test_early_stop_leaves_the_already_fooled_alone(linear_model, images, targeted, steps):
    model = linear_model(3, SHAPE)
    predicted = model.predict(images)
    done = predicted if targeted else (predicted + 1) % 3
    facts = {"eps": 0.1, "steps": steps, "early_stop": True, "targeted": targeted}
    model.passes.forwards = 0
    assert torch.equal(PGD(random_start=False, **facts)(model, images, done), images)
    assert model.passes.forwards <= 2 * 12, "one pass to see it, one to hand it over; not one per step"
    assert model.passes.backwards <= 12

    y = torch.where(torch.arange(12) < 6, done, (predicted + 1) % 3 if targeted else predicted)
    mixed = PGD(random_start=False, **facts)(model, images, y)
    assert torch.equal(mixed[:6], images[:6])
    assert (mixed[6:] != images[6:]).flatten(1).any(dim=1).all()


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("restarts", [1, 2])
def test_early_stop_draws_no_start_for_the_already_fooled(linear_model, images, targeted, restarts):
    model = linear_model(3, SHAPE)
    predicted = model.predict(images)
    done = predicted if targeted else (predicted + 1) % 3
    y = torch.where(torch.arange(12) < 6, done, (predicted + 1) % 3 if targeted else predicted)
    attack = PGD(eps=0.1, steps=5, restarts=restarts, early_stop=True, targeted=targeted)
    assert torch.equal(attack(model, images, done, rng=0), images)
    mixed = attack(model, images, y, rng=0)
    assert torch.equal(mixed[:6], images[:6])
    assert (mixed[6:] != images[6:]).flatten(1).any(dim=1).all()


def test_early_stop_restarts_only_what_still_resists(linear_model, images):
    model = linear_model(2, SHAPE)
    y = model.predict(images)
    model.passes.forwards = 0
    fooled = PGD(eps=0.29, steps=10, restarts=50, early_stop=True)(model, images, y, rng=0)
    assert (model.predict(fooled) != y).all()
    assert model.passes.forwards < 12 * 2 * 11 + 12


def test_early_stop_fools_the_same_images(digits_model):
    x = torch.rand(100, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    y = digits_model.predict(x)
    facts = {"eps": 0.06, "steps": 10, "random_start": False}
    fooled = [digits_model.predict(PGD(early_stop=stop, **facts)(digits_model, x, y)) != y for stop in (False, True)]
    assert (fooled[1] | ~fooled[0]).all(), "stopping early lost an image that the full run fools"
    assert 0 < fooled[0].sum() < 100


class Broken(nn.Module):
    """Finite outputs whose gradient at dark pixels is NaN, that of the branch not taken."""

    def forward(self, x):
        total = torch.where(x > 0.9, torch.sqrt(x - 0.9), 0.0).flatten(1).sum(dim=1)
        return torch.stack([total, 1 - total], dim=1)


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", [FGSM(eps=0.1), PGD(eps=0.1, steps=3, random_start=False)], ids=repr)
def test_a_nan_gradient_never_looks_robust(attack, norm, label):
    model, x = Model(Broken(), task=Recognition(classes=2)), torch.full((2, 1, 2, 2), 0.5)
    with pytest.raises(FoolbenchError):
        replace(attack, norm=norm)(model, x, torch.full((2,), label))
