"""foolbox's attacks under foolbench's contract: every name, its threat, its seed, its passes, and no traces."""

import sys
from dataclasses import asdict, dataclass

import numpy as np
import pytest
import torch
from foolbench.attacks import PGD, foolbox_adapter
from foolbench.attacks._foolbox_facts import ALIASES, COMPILED, FACTS
from foolbench.core import ConfigError, GradientError, InputTransform, MinimalAttack, Model, attacks
from foolbench.core.norms import size
from foolbench.datasets.digits import Digits
from foolbench.defenses import JPEG, OddsAreOdd, adaptive
from foolbench.tasks import Recognition
from torch import nn

LEFT_OUT = {"BinarizationRefinementAttack", "DatasetAttack", "SpatialAttack"}
EPS = {"l0": 8, "l1": 4, "l2": 1, "linf": 0.2}
QUICK = {
    "steps": 5,
    "binary_search_steps": 3,
    "directions": 50,
    "repeats": 3,
    "initial_gradient_eval_steps": 5,
    "population": 4,
}
QUICKER = {"HopSkipJumpAttack": {"steps": 1}, "LinearSearchContrastReductionAttack": {"steps": 20}}
CASES = [
    pytest.param(name, norm, id=f"{name}-{norm}")
    for name, facts in FACTS.items()
    if name not in COMPILED
    for norm in (facts.norms if name != "PointwiseAttack" else ("l2",))
]


def quick(name, norm, **more):
    cls = attacks[f"foolbox:{name}"]
    values = {key: value for key, value in QUICK.items() if key in cls.parameters} | QUICKER.get(name, {})
    targeted = FACTS[name].targeted == "only"
    return attacks.create(f"foolbox:{name}", {"norm": norm, "eps": EPS[norm], "targeted": targeted} | values | more)


@pytest.fixture
def x():
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(x < 0.2, 0.0).masked_fill(x > 0.8, 1.0)


@dataclass(frozen=True)
class Noisy(InputTransform):
    differentiable = True
    randomized = True

    def transform(self, x, *, rng):
        return (x + rng.uniform(x.shape[1:], -0.3, 0.3)).clamp(0, 1)


def generator_states():
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return torch.get_rng_state().tolist(), kind, keys.tolist(), rest


def check(attack, model, x):
    y = (model.predict(x) + attack.targeted) % 10
    y[0] = (model.predict(x)[0] + (not attack.targeted)) % 10  # the first is where it should be already
    images, states, passes = x.clone(), generator_states(), vars(model.passes).copy()
    found = attack(model, x, y, rng=3)
    assert torch.equal(x, images)
    assert generator_states() == states
    assert all(parameter.grad is None for parameter in model.net.parameters())
    spent = {key: value - passes[key] for key, value in vars(model.passes).items()}
    assert (spent["forwards"] > 0) == (attack.access != "none")
    assert (spent["backwards"] > 0) == (attack.access == "gradient")

    assert (found.dtype, found.shape, found.requires_grad) == (torch.float32, x.shape, False)
    assert size(found - x, attack.norm).max() <= attack.eps + 1e-6
    assert 0 <= found.min() <= found.max() <= 1
    if isinstance(attack, MinimalAttack):
        assert torch.equal(found[0], x[0])

    torch.manual_seed(99)
    np.random.seed(99)  # noqa: NPY002
    assert torch.equal(attack(model, x, y, rng=3), found)
    assert torch.equal(attack(model, x, y, rng=4), found) != attack.randomized


@pytest.mark.parametrize(("name", "norm"), CASES)
def test_every_attack_keeps_the_contract(digits_model, linear_model, mid_images, x, name, norm):
    if name == "PointwiseAttack":  # asks once per value and round
        digits_model, x = linear_model(10, (1, 3, 3)), mid_images(4, (1, 3, 3))
    check(quick(name, norm), digits_model, x)


@pytest.mark.slow
def test_a_compiled_attack_keeps_it_too(digits_model, x):
    pytest.importorskip("numba")
    check(quick("LinfinityBrendelBethgeAttack", "linf", eps=0.5), digits_model, x)


def test_the_names_are_those_of_the_installed_foolbox():
    theirs = foolbox_adapter._foolbox().attacks
    found = {name: value for name, value in vars(theirs).items() if isinstance(value, type)}
    classes = {name: cls for name, cls in found.items() if issubclass(cls, theirs.Attack) and cls is not theirs.Attack}
    assert set(FACTS) | LEFT_OUT == {name for name, cls in classes.items() if name == cls.__name__}
    assert {name: cls.__name__ for name, cls in classes.items() if name != cls.__name__} == ALIASES
    for name, facts in FACTS.items():
        assert facts.minimal == issubclass(classes[name], theirs.base.MinimizationAttack)
        if len(facts.norms) == 1 and name not in COMPILED:
            assert str(quick(name, facts.norms[0])._make().distance.p) == facts.norms[0].removeprefix("l")


@pytest.mark.parametrize(
    ("name", "random_start"), [("LinfBasicIterativeAttack", True), ("LinfProjectedGradientDescentAttack", False)]
)
def test_a_random_start_makes_it_randomized(digits_model, x, name, random_start):
    check(quick(name, "linf", random_start=random_start), digits_model, x)
    assert quick(name, "linf", random_start=random_start).randomized == random_start


def test_a_randomized_system_gives_it_no_lucky_draw(linear_model, mid_images, flip):
    """One evaluation in ten sees the negative image, of the other class; foolbox must not rest on it."""
    model, x = linear_model(2, (1, 3, 4)), mid_images(80, (1, 3, 4))
    logits = model(x)
    x = x[(logits[:, 0] - logits[:, 1]).abs() > 0.3]
    y, system = model.predict(x), model.through((flip(0.1),), draws=10)
    for name in ("L2DeepFoolAttack", "InversionAttack"):
        found = attacks.create(f"foolbox:{name}", {"norm": "l2"})(system, x, y, rng=0)
        assert (model.predict(found) != y).float().mean() > 0.95


@pytest.mark.parametrize("alias", ALIASES)
def test_a_short_name_is_the_same_attack(alias):
    short, long = attacks[f"foolbox:{alias}"], attacks[f"foolbox:{ALIASES[alias]}"]
    assert asdict(short(eps=0.1)) == asdict(long(eps=0.1))


@pytest.mark.parametrize(
    "name", [n for n, f in FACTS.items() if (f.targeted, f.access) == ("yes", "gradient") and n not in COMPILED]
)
def test_targets_are_approached(digits_model, x, name):
    attack = quick(name, FACTS[name].norms[0], targeted=True)
    y = (digits_model.predict(x) + 1) % 10
    losses = [digits_model.task.loss(digits_model(z), y) for z in (x, attack(digits_model, x, y, rng=0))]
    assert (losses[1] <= losses[0]).all()
    assert (losses[1] < losses[0]).any()


@pytest.mark.parametrize("name", [name for name, facts in FACTS.items() if facts.targeted != "yes"])
def test_a_form_that_is_not_there_is_refused(name):
    with pytest.raises(ConfigError, match=r"one form: expected targeted = (True|False)"):
        quick(name, FACTS[name].norms[0], targeted=FACTS[name].targeted == "no")


def test_without_random_start_its_pgd_is_ours(digits_model):
    x, _ = Digits().load(range(64))
    y = digits_model.predict(x)
    theirs = attacks.create("foolbox:LinfPGD", {"eps": 0.1, "steps": 10, "abs_stepsize": 0.02, "random_start": False})
    ours = PGD(eps=0.1, steps=10, step_size=0.02, random_start=False)
    before = vars(digits_model.passes).copy()
    expected = theirs(digits_model, x, y)
    assert {value - before[key] for key, value in vars(digits_model.passes).items()} == {10 * 64}
    close = (ours(digits_model, x, y) - expected).abs().flatten(1).amax(dim=1) < 1e-4
    assert close.float().mean() > 0.97  # a kink of a ReLU may send an image elsewhere after a rounding


def test_deepfool_through_the_adapter_is_foolbox_by_hand(digits_model):
    foolbox = foolbox_adapter._foolbox()
    x, _ = Digits().load(range(32))
    y = digits_model.predict(x)
    wrapped = foolbox.PyTorchModel(
        digits_model.net, bounds=(0, 1), device="cpu", preprocessing={"mean": [0.5], "std": [0.5], "axis": -3}
    )
    _, expected, success = foolbox.attacks.L2DeepFoolAttack(steps=20)(wrapped, x, y, epsilons=None)
    assert success.all()
    found = attacks.create("foolbox:L2DeepFoolAttack", {"steps": 20})(digits_model, x, y)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [("BoundaryAttack", {"steps": 9}), ("PointwiseAttack", {}), ("L2CarliniWagnerAttack", {"steps": 50})],
)
def test_an_image_that_cannot_be_attacked_stays_and_spoils_no_other(name, parameters):
    class NeverTwo(nn.Module):
        def forward(self, x):
            mean = 40 * (x.flatten(1).mean(dim=1) - 0.5)
            return torch.stack([-mean, mean, torch.full_like(mean, -99)], dim=1)

    model, x = Model(NeverTwo(), task=Recognition(classes=3)), torch.full((2, 1, 2, 2), 0.4)
    attack = attacks.create(f"foolbox:{name}", {"targeted": True, "norm": "l2"} | parameters)
    found = attack(model, x, torch.tensor([2, 1]), rng=0)
    assert torch.equal(found[0], x[0])
    assert model.predict(found)[1] == 1


def test_a_randomized_system_is_attacked_with_new_draws(digits_model, x):
    attack = quick("LinfBasicIterativeAttack", "linf")
    y = digits_model.predict(x)
    found = attack(digits_model.behind(Noisy()), x, y, rng=0)
    assert torch.equal(attack(digits_model.behind(Noisy()), x, y, rng=0), found)
    assert not torch.equal(attack(digits_model.behind(Noisy()), x, y, rng=1), found)


def test_what_has_no_gradient_is_said(digits_model, x):
    with pytest.raises(ConfigError, match="no gradient"):
        quick("LinfBasicIterativeAttack", "linf")(digits_model.behind(JPEG(quality=50)), x)


def test_a_nan_gradient_never_looks_robust():
    class Broken(nn.Module):
        def forward(self, x):
            total = torch.where(x > 0.9, torch.sqrt(x - 0.9), 0.0).flatten(1).sum(dim=1)
            return torch.stack([total, 1 - total], dim=1)

    model = Model(Broken(), task=Recognition(classes=2))
    with pytest.raises(GradientError):
        quick("LinfBasicIterativeAttack", "linf")(model, torch.full((2, 1, 2, 2), 0.5))


@pytest.mark.parametrize(
    ("name", "parameters", "complaint"),
    [
        ("LinfPDG", {}, "Unknown attack 'foolbox:LinfPDG': did you mean .*'foolbox:LinfPGD'"),
        ("SpatialAttack", {}, "Unknown attack"),
        ("LinfPGD", {"step": 3}, "foolbox:LinfPGD.*'step'.*did you mean 'steps'"),
        ("LinfPGD", {"steps": "many"}, r"foolbox:LinfPGD\.steps.*'many'"),
        ("LinfPGD", {"steps": 0}, "Expected steps >= 1 for foolbox:LinfPGD, got 0"),
        ("LinfPGD", {"rel_stepsize": -0.1}, "Expected rel_stepsize >= 0"),
        ("LinfPGD", {"norm": "l2"}, "foolbox:LinfPGD works in linf, got norm='l2'"),
        ("LinfPGD", {"eps": float("inf")}, "finite eps"),
        ("EADAttack", {"norm": "l1", "decision_rule": "L3"}, "decision_rule"),
        ("SparseL1DescentAttack", {"norm": "l1", "quantile": 1.5}, "quantile"),
        ("BoundaryAttack", {"norm": "l2", "tensorboard": "logs"}, "Unknown parameter"),
        ("VirtualAdversarialAttack", {"norm": "l2"}, "steps"),
    ],
)
def test_bad_parameters(name, parameters, complaint):
    with pytest.raises(ConfigError, match=complaint) as caught:
        attacks.create(f"foolbox:{name}", {"eps": 0.1} | parameters)
    assert "\n" not in str(caught.value)


def test_the_repr_is_the_identity():
    attack = attacks.create("foolbox:L2CarliniWagnerAttack", {"steps": 7})
    assert repr(attack).startswith("foolbox:L2CarliniWagnerAttack(eps=inf, norm='l2', targeted=False, ")
    assert "steps=7" in repr(attack)
    assert asdict(attack)["steps"] == 7
    assert asdict(attack) != asdict(attacks.create("foolbox:L2CarliniWagnerAttack", {"steps": 8}))
    assert repr(attack.confidence) == "0.0", "an integer default would be another identity than the same in a recipe"


@pytest.fixture
def without_foolbox(monkeypatch):
    caches = (foolbox_adapter._foolbox, foolbox_adapter.make_class)
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "foolbox", None)
        for cached in caches:
            cached.cache_clear()
        yield
    for cached in caches:
        cached.cache_clear()


def test_a_missing_foolbox_is_one_sentence(without_foolbox):
    with pytest.raises(ConfigError, match=r"pip install 'foolbench\[foolbox\]'") as caught:
        attacks.create("foolbox:LinfPGD", {"eps": 0.1})
    assert "\n" not in str(caught.value)
    assert "foolbox:LinfPGD" in attacks.families["foolbox"].summaries


def test_a_missing_numba_is_one_sentence(monkeypatch):
    monkeypatch.setattr(foolbox_adapter, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"foolbox:L2BrendelBethgeAttack needs numba, .* pip install numba"):
        attacks.create("foolbox:L2BrendelBethgeAttack", {})


@pytest.mark.parametrize("name", ["foolbox:LInfFMNAttack", "foolbox:LinfPGD"])
def test_a_system_that_may_reject_is_refused(digits_model, x, name):
    """foolbox would stop at a rejection, and call it a success."""
    known = OddsAreOdd(draws=2).fit(x, digits_model.predict(x), model=digits_model)
    with pytest.raises(ConfigError, match="cannot know a system that may reject an image"):
        attacks.create(name, {"eps": 0.1})(adaptive(known, digits_model), x)
