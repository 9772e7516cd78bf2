"""DeepFool: exact on affine models, equal to foolbox on a trained network, and no work for what is done."""

import warnings

import pytest
import torch
from foolbench.attacks import DeepFool
from foolbench.attacks import deepfool as deepfool_module
from foolbench.core import ConfigError, Draws, Model
from foolbench.core.norms import size, steepest
from foolbench.datasets.digits import Digits
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import nn

with warnings.catch_warnings():  # foolbox 3.3.4 imports the filter from its old place
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox

SHAPE = (2, 5, 7)
DUAL = {"linf": 1, "l2": 2}
NORMS = ["l2", "linf"]


def distances(model, x, y, norm):
    """To every face of the class `y` of a linear model, infinite to `y` itself; and the normals, (N, K, D)."""
    logits, weight = model(x), model.net.weight
    normals = weight[None] - weight[y][:, None]
    gaps = logits.gather(1, y[:, None]) - logits
    found = gaps / torch.linalg.vector_norm(normals, ord=DUAL[norm], dim=2)
    return found.scatter(1, y[:, None], torch.inf), normals


def scaled(model: Model, factor: float) -> Model:
    return Model(nn.Sequential(model.net, Times(factor)), task=model.task, mean=(0.5,), std=(0.5,))


class Times(nn.Module):
    def __init__(self, factor, shift=0.0):
        super().__init__()
        self.factor, self.shift = factor, shift

    def forward(self, x):
        return self.factor * x + self.shift


@pytest.fixture
def digits():
    return Digits().load(range(96))[0]


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("overshoot", [0.02, 0.3])
def test_one_step_onto_the_nearest_face_of_an_affine_model(linear_model, mid_images, norm, classes, overshoot):
    model, x = linear_model(classes, SHAPE), mid_images(20, SHAPE)
    y = model.predict(x)
    reach, normals = distances(model, x, y, norm)
    nearest = reach.argmin(dim=1)
    assert len(nearest.unique()) > (1 if classes == 2 else 2), "one face is nearest for all: too easy"
    direction = steepest(normals[torch.arange(20), nearest], norm).reshape(x.shape)
    length = (1 + overshoot) * (reach.amin(dim=1) + 1e-4)
    expected = x + length[:, None, None, None] * direction
    assert 0 < expected.min() < expected.max() < 1, "the box cuts"
    model.passes.backwards = 0
    found = DeepFool(norm=norm, overshoot=overshoot)(model, x, y)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-6)
    assert (model.predict(found) == nearest).all()
    assert model.passes.backwards == 20 * (classes - 1), "more than one step"


@pytest.mark.parametrize("norm", NORMS)
def test_the_shortlist_are_the_highest_logits(linear_model, mid_images, norm):
    model, x = linear_model(8, SHAPE), mid_images(30, SHAPE)
    model.net.weight.data *= torch.linspace(0.2, 2, 8)[:, None]
    model.net.bias.data = -0.5 * model.net.weight.sum(dim=1)
    y = model.predict(x)
    reach, _ = distances(model, x, y, norm)
    listed = model(x).topk(3, dim=1).indices[:, 1:]
    shortest = reach.gather(1, listed).amin(dim=1)
    assert (shortest > reach.amin(dim=1)).any(), "the nearest class is always listed: too easy"
    found = DeepFool(norm=norm, classes=3, overshoot=0)(model, x, y)
    torch.testing.assert_close(size(found - x, norm), shortest + 1e-4, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
def test_agrees_with_foolbox(digits_model, digits, norm):
    theirs = foolbox.PyTorchModel(
        digits_model.net, bounds=(0, 1), device="cpu", preprocessing={"mean": [0.5], "std": [0.5], "axis": -3}
    )
    y = digits_model.predict(digits)
    reference = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}[norm]()
    _, expected, success = reference(theirs, digits, y, epsilons=None)
    found = DeepFool(norm=norm)(digits_model, digits, y)
    assert (digits_model.predict(found) != y).float().mean() >= success.float().mean()
    ours, peer = size(found - digits, norm), size(expected - digits, norm)
    assert ours.mean() <= 1.001 * peer.mean()  # foolbox goes on from where the step would have ended without the box
    assert ours.mean() >= 0.98 * peer.mean()
    assert ((ours / peer - 1).abs() < 0.02).float().mean() > 0.6


@pytest.mark.parametrize("name", ["scenes:caffenet", pytest.param("scenes:googlenet", marks=pytest.mark.slow)])
@pytest.mark.parametrize("norm", NORMS)
def test_agrees_with_foolbox_on_colour_images(name, norm):
    from foolbench.datasets import Scenes

    model, (x, _) = ENTRIES[name].load(), Scenes().load(range(4))
    y = model.predict(x)
    pixels = {"mean": model._normalization.mean.flatten().tolist(), "std": model._normalization.std.flatten().tolist()}
    theirs = foolbox.PyTorchModel(model.net, bounds=(0, 1), device="cpu", preprocessing={**pixels, "axis": -3})
    reference = {"l2": foolbox.attacks.L2DeepFoolAttack, "linf": foolbox.attacks.LinfDeepFoolAttack}[norm]()
    _, expected, _ = reference(theirs, x, y, epsilons=None)
    found = DeepFool(norm=norm)(model, x, y)
    assert (model.predict(found) != y).all()
    torch.testing.assert_close(size(found - x, norm).mean(), size(expected - x, norm).mean(), rtol=1e-3, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_far_classes_are_left_out_without_a_loss(digits_model, digits, monkeypatch, norm):
    y = digits_model.predict(digits)
    digits_model.passes.backwards = 0
    found = DeepFool(norm=norm)(digits_model, digits, y)
    spent, digits_model.passes.backwards = digits_model.passes.backwards, 0
    monkeypatch.setattr(deepfool_module, "FAR", torch.inf)
    torch.testing.assert_close(DeepFool(norm=norm)(digits_model, digits, y), found, rtol=0, atol=1e-4)
    assert spent < 0.5 * digits_model.passes.backwards


@pytest.mark.parametrize("norm", NORMS)
def test_alone_as_in_a_batch(digits_model, digits, norm):
    together = DeepFool(norm=norm)(digits_model, digits, rng=0)
    alone = torch.cat([DeepFool(norm=norm)(digits_model, image[None], rng=0) for image in digits[:12]])
    torch.testing.assert_close(together[:12], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-25, 1e-3, 1e3, 1e20])
@pytest.mark.parametrize("norm", NORMS)
def test_the_scale_of_the_logits_is_nothing_to_it(digits_model, digits, factor, norm):
    found = DeepFool(norm=norm)(scaled(digits_model, factor), digits[:16])
    torch.testing.assert_close(found, DeepFool(norm=norm)(digits_model, digits[:16]), rtol=0, atol=1e-4)


@pytest.mark.parametrize("last", [Times(1, -100.0), Times(1, 100.0), nn.Softmax(dim=1)], ids=["neg", "pos", "prob"])
def test_any_kind_of_output(digits_model, digits, last):
    net = nn.Sequential(digits_model.net, Times(0.3), last)  # where softmax does not saturate in float32
    model = Model(net, task=Recognition(classes=10), mean=(0.5,), std=(0.5,))
    y = model.predict(digits)
    found = DeepFool()(model, digits, y)
    assert (model.predict(found) != y).float().mean() > 0.97
    assert size(found - digits, "l2").mean() < 0.7


def test_pixels_at_the_bounds(digits_model, digits):
    black_and_white = (digits > 0.5).float()
    y = digits_model.predict(black_and_white)
    for norm in NORMS:
        found = DeepFool(norm=norm)(digits_model, black_and_white, y)
        assert (digits_model.predict(found) != y).float().mean() > 0.97
        assert 0 <= found.min() <= found.max() <= 1


def test_what_is_misclassified_stays_and_costs_one_pass(digits_model, digits):
    y = (digits_model.predict(digits) + torch.arange(96) % 2) % 10
    digits_model.passes.forwards = digits_model.passes.backwards = 0
    found = DeepFool()(digits_model, digits, y)
    assert torch.equal(found[1::2], digits[1::2])
    assert (found[::2] != digits[::2]).flatten(1).any(dim=1).all()
    digits_model.passes.forwards = digits_model.passes.backwards = 0
    assert torch.equal(DeepFool()(digits_model, digits[1::2], y[1::2]), digits[1::2])
    assert (digits_model.passes.forwards, digits_model.passes.backwards) == (48, 0)


def test_one_label_repeated(digits_model, digits):
    y = torch.full((96,), 3)
    found = DeepFool()(digits_model, digits, y)
    own = digits_model.predict(digits) == 3
    assert torch.equal(found[~own], digits[~own])
    assert (digits_model.predict(found[own]) != 3).all()


class Flat(nn.Module):
    """Logits that do not depend on the first image row being anything but bright: zero gradients where it is dark."""

    def forward(self, x):
        rise = torch.relu(x[:, 0, 0, 0] - 0.5)
        return torch.stack([torch.full_like(rise, 0.2), rise], dim=1)


@pytest.mark.parametrize("norm", NORMS)
def test_zero_gradients(norm):
    model = Model(Flat(), task=Recognition(classes=2))
    x = torch.tensor([0.2, 0.6]).reshape(2, 1, 1, 1)
    found = DeepFool(norm=norm)(model, x)
    assert found[0] == x[0], "the gradient is zero here"
    torch.testing.assert_close(found[1].item(), 0.6 + 1.02 * (0.1 + 1e-4))
    assert model.passes.forwards <= 2 + 2 + 1 + 1, "an image without a gradient was taken along"


def test_what_is_not_found_stays(digits_model, digits):
    y = digits_model.predict(digits)
    few, many = (DeepFool(steps=steps)(digits_model, digits, y) for steps in (4, 50))
    kept = digits_model.predict(few) == y
    assert 0 < kept.sum() < 96
    assert torch.equal(few[kept], digits[kept])
    torch.testing.assert_close(few[~kept], many[~kept], rtol=0, atol=1e-4)


def test_a_budget_cuts(digits_model, digits):
    free = DeepFool()(digits_model, digits)
    within = DeepFool(eps=0.5)(digits_model, digits)
    small = size(free - digits, "l2") <= 0.5
    assert 0 < small.sum() < 96
    torch.testing.assert_close(within[small], free[small])
    assert size(within - digits, "l2").max() <= 0.5 + 1e-5


class Jitter:
    randomized = differentiable = True

    def answer(self, inside, x, *, rng):
        return inside((x + 0.02 * rng.normal(x.shape[1:])).clamp(0, 1))


def test_a_randomized_system_in_any_batch(digits_model, digits):
    system = digits_model.behind(Jitter())
    y, rng = digits_model.predict(digits), Draws.of(0, samples=range(96))
    together = DeepFool()(system, digits, y, rng=rng)
    for rows in (slice(0, 1), slice(40, 47)):
        apart = DeepFool()(system, digits[rows], y[rows], rng=rng[rows])
        torch.testing.assert_close(together[rows], apart, rtol=0, atol=1e-4)


@pytest.mark.parametrize("facts", [{"classes": 1}, {"steps": 0}, {"overshoot": -0.1}, {"overshoot": float("nan")}])
def test_bad_parameters(facts):
    with pytest.raises(ConfigError, match=f"xpected .*{next(iter(facts))}"):
        DeepFool(**facts)


def test_no_targets():
    with pytest.raises(ConfigError, match="targeted=False"):
        DeepFool(targeted=True)
