"""Trust region: minimal distances on linear models, the radius' own arithmetic, and agreement with adv-lib."""

import pytest
import torch
from foolbench.attacks.trust_region import TrustRegion
from foolbench.core import ConfigError
from foolbench.core.norms import size, steepest
from foolbench.datasets import Scenes
from foolbench.datasets.digits import Digits
from foolbench.models import ENTRIES

SHAPE = (2, 3, 4)
NORMS = ["l2", "linf"]
DUAL = {"linf": 1, "l2": 2}
LARGEST = {"l2": 0.05, "linf": 0.01}
EXCESS = {norm: 0.02 * radius + 1.02e-4 for norm, radius in LARGEST.items()}  # of the last step over the distance


def distances(model, x, y, norm):
    """To every other class of a linear model, infinity to `y` itself: (N, K)."""
    weight = model.net.weight
    slopes = torch.linalg.vector_norm(weight[y][:, None] - weight, ord=DUAL[norm], dim=2)
    logits = model(x)
    gaps = logits.gather(1, y[:, None]) - logits
    return (gaps / slopes).scatter(1, y[:, None], torch.inf)


def walk(distance, norm, adaptive, radius):
    """Length and number of the steps until `distance` is behind, where the linear model keeps its promises."""
    total, steps = 0.0, 0
    while total <= distance:
        total += 1.02 * (min(distance - total, radius) + 1e-4)
        radius = min(1.2 * radius, LARGEST[norm]) if adaptive else radius
        steps += 1
    return total, steps


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("adaptive", "radius"), [(True, 0.001), (False, 0.004)])
def test_binary_optimum_step_by_step(linear_model, mid_images, norm, targeted, adaptive, radius):
    model, x = linear_model(2, SHAPE), mid_images(12, SHAPE)
    y = model.predict(x)
    expected = [walk(d, norm, adaptive, radius) for d in distances(model, x, y, norm).amin(dim=1).tolist()]
    model.passes.forwards = 0
    attack = TrustRegion(norm=norm, adaptive=adaptive, radius=radius, targeted=targeted)
    adversarial = attack(model, x, 1 - y if targeted else y)
    forwards = model.passes.forwards
    assert (model.predict(adversarial) != y).all()
    lengths = torch.tensor([total for total, _ in expected])
    torch.testing.assert_close(size(adversarial - x, norm), lengths, rtol=0, atol=2e-6)
    away = torch.where(y == 0, 1.0, -1.0)[:, None] * (model.net.weight[1] - model.net.weight[0])
    torch.testing.assert_close((adversarial - x).flatten(1), lengths[:, None] * steepest(away, norm), rtol=0, atol=2e-6)
    steps = [count for _, count in expected]
    assert len(set(steps)) > 3, "all images need the same number of steps"
    assert forwards == 12 + 12 + sum(steps), "one pass to look, one to aim, one a step"


@pytest.mark.parametrize("promised", [1.0, 1e-6])
def test_the_radius_follows_what_steps_gain_of_what_was_promised(promised):
    share = torch.tensor([2, 0.95, 0.89, 0.7, 0.51, 0.49, 0.1, 0, -1])
    factor = torch.tensor([1.2, 1.2, 1, 1, 1, 1 / 1.2, 1 / 1.2, 1 / 1.2, 1 / 1.2])
    gained, promised = share * promised, torch.full((9,), promised)
    for norm, smallest, largest in (("l2", 0.0005, 0.05), ("linf", 0.0001, 0.01)):
        for radius in (smallest, 1.1 * smallest, 0.004, largest / 1.1, largest):
            adapted = TrustRegion(norm=norm)._adapted(torch.full((9,), radius), gained=gained, promised=promised)
            torch.testing.assert_close(adapted, (radius * factor).clamp(smallest, largest))


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [3, 10])
def test_multi_class_optimum(linear_model, mid_images, norm, classes):
    model, x = linear_model(classes, SHAPE), mid_images(40, SHAPE)
    y = model.predict(x)
    nearest = distances(model, x, y, norm)
    excess = size(TrustRegion(norm=norm)(model, x, y) - x, norm) - nearest.amin(dim=1)
    assert excess.min() > 0
    assert excess.max() <= EXCESS[norm]
    if classes == 10:
        runner_up = model(x).topk(2).indices[:, 1]
        assert (nearest.argmin(dim=1) != runner_up).any(), "the runner-up is always nearest: too easy"


@pytest.mark.parametrize("norm", NORMS)
def test_classes_limits_the_choice(linear_model, mid_images, norm):
    model, x = linear_model(10, SHAPE), mid_images(40, SHAPE)
    y = model.predict(x)
    runner_up = model(x).topk(2).indices[:, 1]
    direction = steepest(model.net.weight[runner_up] - model.net.weight[y], norm)
    step = (TrustRegion(norm=norm, classes=2)(model, x, y) - x).flatten(1)
    torch.testing.assert_close(step, direction * size(step, norm)[:, None], rtol=0, atol=2e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_targets_are_reached_no_nearer_than_they_are(linear_model, mid_images, norm):
    model, x = linear_model(5, SHAPE), mid_images(30, SHAPE)
    y = model.predict(x)
    target = (y + 1 + torch.arange(30) % 4) % 5
    adversarial = TrustRegion(norm=norm, targeted=True, steps=300)(model, x, target)
    assert (model.predict(adversarial) == target).all()
    to_target = distances(model, x, y, norm).gather(1, target[:, None])[:, 0]
    assert (size(adversarial - x, norm) >= to_target).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("scale", "shift"), [(1.0, -100.0), (1e-20, 0.0), (0.125, 0.0), (8.0, 100.0), (1e20, 0.0)])
def test_units_of_the_logits_do_not_matter(linear_model, mid_images, scaled, norm, scale, shift):
    model, x = linear_model(4, SHAPE), mid_images(10, SHAPE)
    attack = TrustRegion(norm=norm)
    torch.testing.assert_close(attack(scaled(model, scale, shift), x), attack(model, x), rtol=0, atol=1e-4)


@pytest.mark.parametrize("scale", [1e-20, 1e20])
@pytest.mark.parametrize("norm", NORMS)
def test_the_nearest_boundary_is_that_at_every_scale(linear_model, mid_images, scaled, norm, scale):
    model, x = linear_model(10, SHAPE), mid_images(40, SHAPE)
    y = model.predict(x)
    other = scaled(model, scale)
    nearest = distances(model, x, y, norm).amin(dim=1)
    excess = size(TrustRegion(norm=norm)(other, x, y) - x, norm) - nearest
    assert excess.min() > 0
    assert excess.max() <= EXCESS[norm]


@pytest.mark.parametrize("norm", NORMS)
def test_an_image_does_not_depend_on_its_batch(digits_model, norm):
    x, _ = Digits().load(range(4))
    y = digits_model.predict(x)
    attack = TrustRegion(norm=norm)
    alone = torch.cat([attack(digits_model, x[i : i + 1], y[i : i + 1]) for i in range(len(x))])
    torch.testing.assert_close(alone, attack(digits_model, x, y), rtol=0, atol=1e-4)


@pytest.mark.parametrize("targeted", [False, True])
def test_what_is_done_stays_and_costs_one_pass(linear_model, mid_images, targeted):
    model, x = linear_model(3, SHAPE), mid_images(8, SHAPE)
    predicted = model.predict(x)
    model.passes.forwards = 0
    done = predicted if targeted else (predicted + 1) % 3
    assert torch.equal(TrustRegion(targeted=targeted)(model, x, done), x)
    assert (model.passes.forwards, model.passes.backwards) == (8, 0)


@pytest.mark.parametrize("norm", NORMS)
def test_what_is_not_found_comes_back_as_it_was(digits_model, norm):
    x, _ = Digits().load(range(16))
    assert torch.equal(TrustRegion(norm=norm, steps=1)(digits_model, x), x)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("targeted", [False, True])
def test_a_flat_model_changes_nothing(linear_model, norm, targeted):
    model = linear_model(3, SHAPE)
    model.net.weight.data.zero_()
    model.net.bias.data = torch.tensor([1.0, 0.0, 0.0])
    x = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)).round()
    y = torch.full((4,), int(targeted))
    assert torch.equal(TrustRegion(norm=norm, targeted=targeted)(model, x, y), x)


@pytest.mark.parametrize("facts", [{"steps": 0}, {"classes": 1}, {"radius": 0.0}, {"norm": "l1"}], ids=str)
def test_refused(facts):
    with pytest.raises(ConfigError):
        TrustRegion(**facts)


@pytest.fixture
def tr(peer):
    return peer("adv_lib.attacks.trust_region").tr


def check_against_adv_lib(tr, model, x, norm, **facts):
    y = model.predict(x)
    theirs = tr(model.logits, x.clone(), y, p={"l2": 2, "linf": torch.inf}[norm], **facts)
    ours = TrustRegion(norm=norm, **facts)(model, x, y)
    fooled = [model.predict(adversarial) != y for adversarial in (theirs, ours)]
    rates = [float(part.float().mean()) for part in fooled]
    assert rates[1] >= rates[0] - 0.01
    both = fooled[0] & fooled[1]
    norms = [float(size(adversarial - x, norm)[both].mean()) for adversarial in (theirs, ours)]
    assert norms[1] <= 1.01 * norms[0]
    return rates


@pytest.mark.parametrize("norm", NORMS)
def test_as_good_as_adv_lib(digits_model, tr, norm):
    x, _ = Digits().load(range(128))
    assert check_against_adv_lib(tr, digits_model, x, norm, adaptive=True)[0] > 0.98


def test_as_good_as_adv_lib_with_a_fixed_radius(digits_model, tr):
    x, _ = Digits().load(range(32))
    assert 0.3 < check_against_adv_lib(tr, digits_model, x, "linf", adaptive=False)[0] < 0.9


@pytest.mark.slow
@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("name", ["scenes:caffenet", "scenes:googlenet"])
def test_as_good_as_adv_lib_on_photographs(tr, name, norm):
    x, _ = Scenes().load(range(64))
    assert check_against_adv_lib(tr, ENTRIES[name].load(), x, norm, adaptive=True)[0] > 0.98
