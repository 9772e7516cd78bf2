"""What every image attack in the registry owes, whatever it does: threat, type, determinism, and no side effects."""

import copy
import gc
import weakref
from dataclasses import dataclass, replace

import pytest
import torch
from foolbench.attacks import APGD, AdaptiveEnsemble, AutoAttack, CarliniWagner, RayS, Square
from foolbench.core import (
    Attack,
    BudgetError,
    ConfigError,
    Draws,
    FoolbenchError,
    GradientError,
    InputError,
    MinimalAttack,
    Model,
    attacks,
)
from foolbench.core.ensemble import Ensemble
from foolbench.core.norms import size
from foolbench.tasks import Recognition

CASES = [(name, norm) for name in attacks if issubclass(attacks[name], Attack) for norm in attacks[name].norms]
BUDGET = {"linf": 20 / 255, "l2": 0.6, "l1": 3.0, "l0": 12}
QUICK = {  # parameters that make an attack cheap without making it another
    "adaptive-ensemble": {"steps": 5, "queries": 40},
    "apgd": {"steps": 10},
    "autoattack": {"steps": 5, "queries": 40},
    "carlini-wagner": {"searches": 3, "steps": 20, "initial_c": 1.0},
    "fab": {"steps": 5},
    "momentum": {"steps": 10},
    "rays": {"queries": 200},
    "square": {"queries": 40},
}


@pytest.fixture(params=CASES, ids="-".join)
def attack(request):
    name, norm = request.param
    return attacks.create(name, {"eps": BUDGET[norm], "norm": norm} | QUICK.get(name, {}))


@pytest.fixture
def images():
    x = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(x < 0.2, 0.0).masked_fill(x > 0.8, 1.0)  # like real images, many values at the bounds


def test_result_is_inside_the_threat(attack, digits_model, images):
    adversarial = attack(digits_model, images, torch.arange(10), rng=0)
    assert (adversarial.dtype, adversarial.shape, adversarial.requires_grad) == (torch.float32, images.shape, False)
    assert size(adversarial - images, attack.norm).max() <= attack.eps + 1e-6
    assert 0 <= adversarial.min() <= adversarial.max() <= 1
    assert torch.equal(attack.threat.enforce(adversarial, images), attack.threat.project(adversarial, images))


def test_images_that_keep_their_class_have_been_changed(attack, digits_model, images):
    if isinstance(attack, MinimalAttack):
        return  # it gives back what it cannot fool
    attack = replace(attack, eps=attack.eps / 20)
    adversarial = attack(digits_model, images, rng=0)
    kept = digits_model.predict(adversarial) == digits_model.predict(images)
    assert kept.any(), "all are fooled: too easy"
    assert (size(adversarial - images, attack.norm)[kept] > 0).all()


def test_no_side_effects(attack, digits_model, images):
    x, y = images.clone(), torch.arange(10)
    before = copy.deepcopy(digits_model.net.state_dict())
    attack(digits_model, x, y, rng=0)
    assert torch.equal(x, images)
    assert not x.requires_grad
    assert torch.equal(y, torch.arange(10))
    assert all(torch.equal(digits_model.net.state_dict()[key], tensor) for key, tensor in before.items())
    assert all(p.grad is None and not p.requires_grad for p in digits_model.net.parameters())
    assert not digits_model.net.training


def test_images_that_require_a_gradient_get_none(attack, digits_model, images):
    x = images.clone().requires_grad_()
    assert torch.equal(attack(digits_model, x, rng=0), attack(digits_model, images, rng=0))
    assert x.grad is None


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_works_where_gradients_are_switched_off(attack, digits_model, images, off):
    expected = attack(digits_model, images, rng=0)
    with off():
        assert torch.equal(attack(digits_model, images.clone(), rng=0), expected)


def test_nan_is_no_other_class(attack, digits_model, images):
    """Given labels, nothing but the attack itself looks at the outputs."""
    if attack.access == "none":
        return  # it never asks
    head = Head(digits_model.net, lambda logits: logits.index_fill(1, torch.tensor(7), torch.nan))
    with pytest.raises((InputError, GradientError), match="NaN"):
        attack(Model(head, task=digits_model.task), images, digits_model.predict(images), rng=0)


def test_a_seed_is_a_result(attack, digits_model, images):
    first = attack(digits_model, images, rng=3)
    torch.manual_seed(99)
    assert torch.equal(attack(digits_model, images, rng=3), first)
    assert torch.equal(attack(digits_model, images, rng=Draws.of(3, samples=range(10))), first)
    assert torch.equal(attack(digits_model, images, rng=4), first) != attack.randomized
    generator = torch.Generator().manual_seed(1)
    draws = [attack(digits_model, images, rng=generator) for _ in range(2)]
    assert torch.equal(*draws) != attack.randomized


@pytest.mark.parametrize(
    ("name", "facts", "randomized"),
    [
        ("pgd", {"steps": 3, "random_start": False}, False),
        ("bim", {"steps": 3, "random_start": True}, True),
        ("fab", {"steps": 3, "restarts": 2, "norm": "l2", "eps": 1.0}, True),
    ],
    ids=str,
)
def test_it_is_randomized_by_its_parameters(digits_model, images, name, facts, randomized):
    attack = attacks.create(name, {"eps": BUDGET["linf"]} | facts)
    assert attack.randomized == randomized
    assert torch.equal(*(attack(digits_model, images, rng=seed) for seed in (3, 4))) != randomized


STOPS = [MinimalAttack, AdaptiveEnsemble, AutoAttack, APGD, RayS, Square]


def test_it_says_whether_it_stops_at_the_boundary(attack):
    assert attack.stops_at_boundary == isinstance(attack, tuple(STOPS))


@pytest.mark.parametrize(
    ("name", "facts", "stops"),
    [
        ("pgd", {"early_stop": True}, True),
        ("bim", {"early_stop": True}, True),
        ("apgd", {"early_stop": False}, False),
        ("carlini-wagner", {"confidence": 3.0}, False),
        ("foolbox:DDNAttack", {"norm": "l2"}, True),
        ("foolbox:L2CarliniWagnerAttack", {"norm": "l2"}, True),
        ("foolbox:L2CarliniWagnerAttack", {"norm": "l2", "confidence": 3.0}, False),
        ("foolbox:LinfPGD", {}, False),
    ],
    ids=str,
)
def test_whether_it_stops_at_the_boundary_is_a_matter_of_parameters(name, facts, stops):
    assert attacks.create(name, {"eps": 0.1} | facts).stops_at_boundary == stops


def test_without_labels_the_predictions_are_left(attack, digits_model, images):
    own = attack(digits_model, images, digits_model.predict(images), rng=0)
    assert torch.equal(attack(digits_model, images, rng=0), own)


def test_access_is_what_it_says(attack, digits_model, images):
    before = vars(digits_model.passes).copy()
    attack(digits_model, images, torch.arange(10), rng=0)
    spent = {key: value - before[key] for key, value in vars(digits_model.passes).items()}
    assert (spent["forwards"] > 0) == (attack.access != "none")
    assert (spent["backwards"] > 0) == (attack.access == "gradient")


@pytest.mark.parametrize(
    "spoil", [lambda x: x * 255, lambda x: x - 1, lambda x: x.double(), lambda x: x[:0], lambda x: x[:, 0]]
)
def test_refuses_what_is_no_image(attack, digits_model, images, spoil):
    with pytest.raises(InputError):
        attack(digits_model, spoil(images))


@pytest.mark.parametrize(
    "labels",
    [
        torch.arange(9),
        torch.arange(10.0),
        torch.arange(1, 11),
        torch.arange(-1, 9),
        torch.zeros(10, 10).long(),
        [0] * 10,
    ],
    ids=["too few", "float", "too large", "negative", "one-hot", "list"],
)
def test_refuses_what_are_no_labels(attack, digits_model, images, labels):
    with pytest.raises(InputError, match="labels"):
        attack(digits_model, images, labels)


def test_refuses_streams_for_another_number_of_images(attack, digits_model, images):
    # a single stream would broadcast: the same noise for every image
    with pytest.raises(FoolbenchError):
        attack(digits_model, images, rng=Draws.of(0, samples=[0]))


@dataclass(frozen=True, kw_only=True)
class Rogue(Attack):
    excess: float = 0.0
    access = "none"
    norms = ("linf", "l2")
    may_be_infinite = ("excess",)

    def perturb(self, model, x, y, *, rng):
        step = torch.zeros_like(x)
        step[0, 0, 0, 0] = self.eps + self.excess
        return x + step


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize(("excess", "refused"), [(0.0, False), (1e-6, False), (1e-3, True), (torch.nan, True)])
def test_an_attack_that_leaves_its_budget_is_an_error(linear_model, mid_images, norm, excess, refused):
    model, x, attack = linear_model(2, (1, 3, 3)), mid_images(2, (1, 3, 3)), Rogue(eps=0.1, norm=norm, excess=excess)
    if refused:
        with pytest.raises(BudgetError):
            attack(model, x)
    else:
        assert size(attack(model, x) - x, norm).max() <= 0.1 + 1e-7


def test_a_target_must_be_given(attack, digits_model, images):
    try:
        targeted = replace(attack, targeted=True)
    except ConfigError:
        return  # the attack has no targeted form, and says so
    with pytest.raises(ConfigError, match="needs y"):
        targeted(digits_model, images)


def test_a_batch_changes_no_image(attack, digits_model, images):
    together, rng = attack(digits_model, images, rng=0), Draws.of(0, samples=range(10))
    for rows in (torch.tensor([3]), torch.tensor([9, 0, 4])):
        apart = attack(digits_model, images[rows], rng=rng[rows])
        torch.testing.assert_close(apart, together[rows], rtol=0, atol=2e-4)


def test_no_graph_is_left_behind(attack, digits_model, images):
    adversarial = attack(digits_model, images, rng=0)
    assert adversarial.grad_fn is None
    gc.collect()
    assert not [t for t in gc.get_objects() if issubclass(type(t), torch.Tensor) and t.grad_fn is not None]


class Stubborn(torch.nn.Module):
    """One class leads by 100, so that no attack is ever done. Notes what is in memory whenever it is asked."""

    def __init__(self, net):
        super().__init__()
        self.net, self.saved, self.alive, self.python = net, set(), [], []

    def forward(self, x):
        self.alive.append(len(self.saved))
        if len(self.alive) in (EARLY, LATE):
            gc.collect()
            self.python.append(sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects()))
        return self.net(x) + 100 * (torch.arange(10) == 3)

    def pack(self, tensor):
        """For each tensor that autograd saves, an object that lives as long."""
        kept = Kept(tensor.detach())  # a result with its history would be a cycle
        self.saved.add(id(kept))
        weakref.finalize(kept, self.saved.discard, id(kept))
        return kept


class Kept:
    def __init__(self, tensor):
        self.tensor = tensor


EARLY, LATE = 12, 40
LONG = {  # so that each of them asks more than 40 times
    "apgd": {"steps": 50},
    "bim": {"steps": 50},
    "carlini-wagner": {"steps": 50},
    "fab": {"steps": 50},
    "jsma": {"theta": 0.05, "gamma": 1.0},
    "momentum": {"steps": 50},
    "pgd": {"steps": 50},
    "square": {"queries": 50},
}


def test_memory_does_not_grow_with_the_steps(request, attack, digits_model, images):
    name = request.node.callspec.params["attack"][0]
    if attack.one_step or attack.access == "none" or isinstance(attack, Ensemble):  # its members are tested
        return
    net = Stubborn(digits_model.net)
    model = Model(net, task=digits_model.task, mean=(0.5,), std=(0.5,))
    net = model.net  # the copy
    with torch.autograd.graph.saved_tensors_hooks(net.pack, lambda kept: kept.tensor):
        outputs = model.logits(images.clone().requires_grad_())
        one = len(net.saved)
        del outputs
        net.alive.clear()
        replace(attack, **LONG.get(name, {}))(model, images, rng=0)
    assert one > 5
    assert len(net.alive) >= LATE
    assert max(net.alive) < 3 * one, "the graphs of three passes and more are in memory"
    assert net.python[1] - net.python[0] < 0.5 * (LATE - EARLY), "a tensor a step, or every other"


class Head(torch.nn.Module):
    """A trained network whose logits are passed on changed."""

    def __init__(self, net, change):
        super().__init__()
        self.net, self.change = net, change

    def forward(self, x):
        return self.change(self.net(x))


CHANGES = {
    "negative": lambda logits: logits - 1000,
    "positive": lambda logits: logits + 1000,
    "probabilities": lambda logits: logits.softmax(dim=1),
    "flat": lambda logits: logits * 0 + torch.arange(10.0),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_logits(attack, digits_model, images, change):
    model = Model(Head(digits_model.net, CHANGES[change]), task=digits_model.task, mean=(0.5,), std=(0.5,))
    x = torch.cat([images, images.flip(2), images.flip(3), images.transpose(2, 3)])
    adversarial = attack(model, x, rng=0)
    assert torch.isfinite(adversarial).all()
    if change == "flat":
        assert torch.equal(adversarial, x) or not isinstance(attack, MinimalAttack), "there is nothing to be found"
    elif attack.access in ("gradient", "score"):
        y = digits_model.predict(x)
        fooled = [int((m.predict(found) != y).sum()) for m, found in
                  ((digits_model, attack(digits_model, x, rng=0)), (model, adversarial))]  # fmt: skip
        assert fooled[0] > 25
        assert fooled[1] >= fooled[0] - 2  # of 40: probabilities have other gradients


def test_pixels_at_the_bounds_move(attack, digits_model):
    if attack.access == "none":
        return
    if isinstance(attack, CarliniWagner):
        attack = replace(attack, steps=1000)  # its tanh variable is slow to leave black and white
    x = (torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    assert ((attack(digits_model, x, rng=0) - x).abs().flatten(1).amax(dim=1) > 0).any()


def test_one_label_for_the_whole_batch(attack, digits_model, images):
    y = torch.full((10,), int(digits_model.predict(images)[0]))
    alone = attack(digits_model, images[:1], y[:1], rng=Draws.of(0, samples=[0]))
    together = attack(digits_model, images, y, rng=0)
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=2e-4)


def test_minimal_attacks_leave_the_misclassified_alone(attack, digits_model, images):
    if isinstance(attack, MinimalAttack):
        wrong = (digits_model.predict(images) + 1) % 10
        assert torch.equal(attack(digits_model, images, wrong, rng=0), images)


@pytest.mark.parametrize("shape", [(1, 3, 9), (3, 6, 4), (2, 1, 1)], ids=str)
@pytest.mark.parametrize("classes", [2, 5])
def test_any_shape_and_number_of_classes(attack, linear_model, mid_images, shape, classes):
    model, x = linear_model(classes, shape), mid_images(4, shape)
    adversarial = attack(model, x, rng=0)
    assert adversarial.shape == x.shape
    assert size(adversarial - x, attack.norm).max() <= attack.eps + 1e-6


def test_a_network_without_parameters(attack):
    model = Model(torch.nn.Flatten(), task=Recognition(classes=4))
    assert attack(model, torch.full((3, 1, 2, 2), 0.5), rng=0).shape == (3, 1, 2, 2)
