"""C&W finds the known optima of linear models, keeps the paper's invariants, and is no worse than foolbox's."""

import warnings

import pytest
import torch
from foolbench.attacks import CarliniWagner
from foolbench.core import ConfigError, Draws, Model
from foolbench.core.norms import size
from foolbench.datasets import Scenes
from foolbench.datasets.digits import Digits
from foolbench.models import ENTRIES
from foolbench.tasks import Recognition
from torch import nn

with warnings.catch_warnings():  # foolbox 3.3.4 imports the filter from its old place
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox

SHAPE = (2, 3, 4)
NORMS = ["l2", "linf", "l0"]
DUAL = {"l2": 2, "linf": 1}
QUICK = {"steps": 20, "searches": 9}
MINUTES = (pytest.mark.slow, pytest.mark.minutes)


def margins(model, x, y):
    logits = model(x)
    return logits.scatter(1, y[:, None], -torch.inf).amax(dim=1) - logits.gather(1, y[:, None])[:, 0]


def optimum(model, x, y, norm):
    weight, logits = model.net.weight.detach(), model(x).detach()
    gap, away = logits.gather(1, y[:, None]) - logits, weight[y][:, None] - weight[None]
    distances = gap / away.norm(p=DUAL[norm], dim=2).clamp_min(1e-9)
    return distances.scatter(1, y[:, None], torch.inf).amin(dim=1)


@pytest.mark.parametrize(("classes", "targeted"), [(2, False), (2, True), (5, False)])
def test_l2_optimum_of_a_linear_model(linear_model, mid_images, classes, targeted):
    model, x = linear_model(classes, SHAPE), mid_images(16, SHAPE)
    y = model.predict(x)
    goal = 1 - y if targeted else y
    found, expected = CarliniWagner(targeted=targeted, steps=200)(model, x, goal), optimum(model, x, y, "l2")
    assert ((model.predict(found) == goal) == targeted).all()
    distance = size(found - x, "l2")
    assert (distance >= expected * (1 - 1e-4)).all()
    assert (distance <= expected * 1.01).all()


@pytest.mark.parametrize("classes", [2, 5])
def test_linf_optimum_of_a_linear_model(linear_model, mid_images, classes):
    model, x = linear_model(classes, SHAPE), mid_images(16, SHAPE)
    y = model.predict(x)
    attack, expected = CarliniWagner(norm="linf", steps=300, initial_c=0.1), optimum(model, x, y, "linf")
    distance = size(attack(model, x, y) - x, "linf")
    assert (distance >= expected * (1 - 1e-4)).all()
    assert (distance <= expected * 1.1).all()
    assert distance.mean() <= expected.mean() * 1.015


@pytest.mark.parametrize(("norm", "slack"), [("linf", 1.05), ("l0", 1.0)])
def test_the_optimum_of_one_weight_a_value(norm, slack):
    """Two classes, and weights of a few sizes: by how much or how many values the lead must be paid for is plain."""
    weight = torch.tensor([2.0, 2, 2, 2, 1, 1, 1, 1]).reshape(1, 2, 2, 2)

    class Sum(nn.Module):
        def forward(self, x):
            total = (weight * x).flatten(1).sum(dim=1)
            return torch.stack([total, 12 - total], dim=1)

    model, x = (
        Model(Sum(), task=Recognition(classes=2)),
        torch.tensor([0.55, 0.62, 0.7, 0.8]).reshape(4, 1, 1, 1).repeat(1, 2, 2, 2),
    )
    surplus = 12 * x[:, 0, 0, 0] - 6
    expected = surplus / 12 if norm == "linf" else torch.ceil(surplus / (2 * x[:, 0, 0, 0]))
    found = CarliniWagner(norm=norm, steps=200)(model, x)
    assert (model.predict(found) == 1).all()
    distance = size(found - x, norm)
    assert len(expected.unique()) > 2
    assert (distance >= expected * (1 - 1e-4)).all()
    assert (distance <= expected * slack).all()


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize(("confidence", "targeted"), [(0.0, False), (3.0, False), (3.0, True)])
def test_success_has_the_confidence_and_lies_inside(digits_model, norm, confidence, targeted):
    x, _ = Digits().load(range(6))  # most values are exactly 0 or 1
    y = (digits_model.predict(x) + targeted) % 10
    attack = CarliniWagner(norm=norm, confidence=confidence, targeted=targeted, steps=20)
    found = attack.minimize(digits_model, x, y, rng=Draws.of(0, samples=range(6)))
    lead = margins(digits_model, found, y) * (-1 if targeted else 1)
    assert (lead > 0).all()
    assert (lead >= confidence - 1e-4).all()
    changed = found[found != x]
    assert ((changed > 0) & (changed < 1)).all()
    if norm != "l0":
        assert ((found > 0) & (found < 1)).all()


def test_confidence_costs_distance(digits_model):
    x, _ = Digits().load(range(8))
    attacks = [CarliniWagner(confidence=k, searches=5, steps=20, initial_c=0.1) for k in (0, 5)]
    norms = [size(attack(digits_model, x) - x, "l2").mean() for attack in attacks]
    assert norms[0] < norms[1]


@pytest.mark.parametrize("norm", NORMS)
def test_no_image_depends_on_its_batch(digits_model, norm):
    x, _ = Digits().load(range(3))
    y, attack = digits_model.predict(x), CarliniWagner(norm=norm, searches=5, steps=20, initial_c=0.1)
    together = size(attack(digits_model, x, y) - x, norm)
    alone = torch.cat([size(attack(digits_model, x[i : i + 1], y[i : i + 1]) - x[i : i + 1], norm) for i in range(3)])
    assert (together > 0).all(), "what is not found does not tell"
    # a convolution rounds differently for another batch size, and a descent of hundreds of steps amplifies it
    torch.testing.assert_close(together, alone, rtol=0.01, atol=0)


@pytest.mark.parametrize("norm", NORMS)
def test_no_image_of_a_linear_model_depends_on_its_batch(linear_model, mid_images, norm):
    model, x = linear_model(3, SHAPE), mid_images(3, SHAPE)
    attack = CarliniWagner(norm=norm, **QUICK)
    together, alone = attack(model, x), torch.cat([attack(model, x[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_black_and_white_can_move(digits_model, norm):
    x = (torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    found = CarliniWagner(norm=norm, searches=5, steps=40, initial_c=1.0)(digits_model, x)
    assert (digits_model.predict(found) != digits_model.predict(x)).all()


def test_optimum_from_black_and_white():
    class Brightness(nn.Module):
        def forward(self, x):
            bright = x.flatten(1).mean(dim=1)
            return torch.stack([bright, 0.6 - bright], dim=1)

    model = Model(Brightness(), task=Recognition(classes=2))
    x = torch.cat([torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)])
    found = CarliniWagner()(model, x)
    torch.testing.assert_close(size(found - x, "l2"), torch.tensor([0.6, 1.4]), rtol=0.01, atol=0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("offset", [-1000.0, 1000.0])
def test_only_differences_of_logits_count(linear_model, mid_images, norm, offset):
    model, x = linear_model(3, SHAPE), mid_images(6, SHAPE)
    y = model.predict(x)
    model.net.bias.data += offset
    found = CarliniWagner(norm=norm, **QUICK)(model, x, y)
    assert (model.predict(found) != y).all()


@pytest.mark.parametrize("norm", NORMS)
def test_works_on_probabilities(mid_images, linear_model, norm):
    linear = linear_model(3, SHAPE)
    linear.net.weight.data *= 0.3
    linear.net.bias.data *= 0.3
    model = Model(nn.Sequential(linear.net, nn.Softmax(dim=1)), task=Recognition(classes=3), shape=SHAPE)
    x = mid_images(8, SHAPE)
    attack = CarliniWagner(norm=norm, steps=100)
    found = attack(model, x)
    assert (model.predict(found) != model.predict(x)).all()
    if norm == "l2":
        logits = size(attack(linear, x) - x, norm)
        torch.testing.assert_close(size(found - x, norm), logits, rtol=0.03, atol=0)


@pytest.mark.parametrize("norm", NORMS)
@pytest.mark.parametrize("targeted", [False, True])
def test_what_is_there_already_comes_back(linear_model, mid_images, norm, targeted):
    model, x = linear_model(3, SHAPE), mid_images(6, SHAPE)
    y = (model.predict(x) + (not targeted)) % 3
    assert torch.equal(CarliniWagner(norm=norm, targeted=targeted, **QUICK)(model, x, y), x)
    assert model.passes.backwards == 0


@pytest.mark.parametrize("norm", NORMS)
def test_a_constant_model_leaves_the_image_alone(norm):
    class Constant(nn.Module):
        def forward(self, x):
            return torch.tensor([2.0, 1.0]) + 0 * x.flatten(1)[:, :1]

    model, x = Model(Constant(), task=Recognition(classes=2)), torch.rand(3, 1, 1, 1)
    assert torch.equal(CarliniWagner(norm=norm, **QUICK)(model, x), x)


def test_too_small_a_c_changes_nothing(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(4, SHAPE)
    found = CarliniWagner(initial_c=1e-9, searches=1, steps=1)(model, x)
    assert torch.equal(found, x)


def test_finished_images_cost_nothing(linear_model, mid_images):
    model, x = linear_model(2, SHAPE), mid_images(16, SHAPE)
    CarliniWagner(steps=200)(model, x)
    assert model.passes.backwards < 16 * 9 * 200 / 4
    assert model.passes.forwards == model.passes.backwards + 2 * 16, "one to see y, one to see whether it is left"


@pytest.mark.parametrize(
    "wrong",
    [
        {"searches": 0},
        {"steps": 0},
        {"confidence": -1.0},
        {"confidence": float("nan")},
        {"learning_rate": 0.0},
        {"initial_c": 0.0},
        {"norm": "l1"},
    ],
    ids=repr,
)
def test_refused_parameters(wrong):
    with pytest.raises(ConfigError):
        CarliniWagner(**wrong)


def _foolbox(net, x, y, attack):
    wrapped = foolbox.PyTorchModel(net, bounds=(0, 1), device="cpu")
    found, _, success = attack(wrapped, x, y, epsilons=None)
    return size(found - x, "l2"), success


@pytest.mark.parametrize(
    ("name", "count", "steps"),
    [
        ("digits:convnet", 6, 30),
        pytest.param("digits:convnet", 128, 200, marks=pytest.mark.slow),
        pytest.param("scenes:googlenet", 64, 200, marks=MINUTES),
    ],
)
def test_is_no_worse_than_foolbox(as_module, name, count, steps):
    model = ENTRIES[name].load()
    x, _ = (Digits() if name.startswith("digits") else Scenes()).load(range(count))
    y = model.predict(x)
    found = CarliniWagner(steps=steps)(model, x, y)
    assert (model.predict(found) != y).all()
    mean = size(found - x, "l2").mean()
    theirs = foolbox.attacks.L2CarliniWagnerAttack(binary_search_steps=9, steps=steps)
    distances, success = _foolbox(as_module(model), x, y, theirs)
    assert success.all()
    assert mean <= 1.01 * distances.mean()


@pytest.mark.parametrize("name", ["digits:convnet", pytest.param("scenes:googlenet", marks=MINUTES)])
def test_is_nearer_than_deepfool(as_module, name):
    model = ENTRIES[name].load()
    x, _ = (Digits() if name.startswith("digits") else Scenes()).load(range(64))
    y = model.predict(x)
    distances, _ = _foolbox(as_module(model), x, y, foolbox.attacks.L2DeepFoolAttack())
    assert size(CarliniWagner(steps=200)(model, x, y) - x, "l2").mean() <= distances.mean()
