"""What every universal attack in the registry owes: threat, determinism, no side effects, and a search that goes on."""

from dataclasses import replace

import pytest
import torch
from foolbench.core import CraftingData, UniversalAttack, attacks
from foolbench.core.norms import size
from foolbench.datasets import Digits

UNIVERSAL = [name for name in attacks if issubclass(attacks[name], UniversalAttack)]
PRIORS = ("none", "range", "data")  # the images of the digits have no background to have less of
CASES = [
    (name, norm, prior)
    for name in UNIVERSAL
    for norm in attacks[name].norms
    for prior in PRIORS
    if prior in attacks[name].priors
]
BUDGET = {"linf": 0.1, "l2": 0.8}
QUICK = {  # several validations in few iterations
    "fff": {"max_iterations": 16, "halve_every": 4, "validate_after": 2},
    "gd-uap": {"max_iterations": 12, "validate_every": 3, "settle": 1, "learning_rate": 0.3, "batch_size": 8},
    "gd-uap-fff": {"max_iterations": 12, "validate_every": 3, "settle": 1, "learning_rate": 0.3, "batch_size": 8},
    "uap": {"passes": 4, "batch_size": 16, "target_rate": 1.0},
    "universal-pgd": {"max_iterations": 12, "validate_every": 3, "batch_size": 8},
}
ENDS_EARLY = [  # at their goal, or out of patience
    ("fff", {"patience": 2}),
    ("gd-uap", {"patience": 2}),
    ("gd-uap-fff", {"patience": 2}),
    ("uap", {"eps": 0.2, "target_rate": 0.3}),
    ("universal-pgd", {"patience": 2, "step_size": 1e-6}),
]


class Kept:
    """A checkpoint in memory; the `breaks`-th time that a state is saved, the plug is pulled right after."""

    def __init__(self, breaks=0):
        self.state, self.saved, self.breaks = {}, 0, breaks

    def load(self):
        return {name: tensor.clone() for name, tensor in self.state.items()}

    def save(self, state):
        self.state, self.saved = {name: tensor.detach().clone() for name, tensor in state.items()}, self.saved + 1
        if self.saved == self.breaks:
            raise KeyboardInterrupt


@pytest.fixture(scope="module")
def images():
    return Digits().training(48)[0].float() / 255


@pytest.fixture(scope="module")
def data(images):
    return CraftingData(validation=images[:24], load_training=lambda: images)


@pytest.fixture(params=CASES, ids="-".join, scope="module")
def attack(request):
    name, norm, prior = request.param
    return make(name, norm=norm, prior=prior)


@pytest.fixture(scope="module")
def found(attack, digits_model, data):
    """What the attack crafts with seed 0."""
    return attack.craft(digits_model, data, rng=0)


def make(name, **facts):
    return attacks.create(name, {"eps": BUDGET[facts.get("norm", "linf")]} | QUICK.get(name, {}) | facts)


def test_the_perturbation_is_within_its_threat(attack, found, images):
    assert (found.delta.dtype, found.delta.shape, found.delta.requires_grad) == (torch.float32, images.shape[1:], False)
    assert 0 < size(found.delta[None], attack.norm)[0] <= attack.eps * (1 + 1e-6)
    assert found.threat == attack.threat
    assert repr(attack) in found.source


def test_works_where_gradients_are_switched_off(attack, digits_model, images, found):
    for off in (torch.no_grad, torch.inference_mode):
        with off():
            inside = CraftingData(validation=images[:24].clone(), load_training=images.clone)
            assert torch.equal(attack.craft(digits_model, inside, rng=0).delta, found.delta), off


def test_another_seed_is_another_result(attack, digits_model, data, found):
    assert torch.equal(attack.craft(digits_model, data, rng=4).delta, found.delta) != attack.randomized


def test_a_seed_is_a_result_without_side_effects(attack, digits_model, data, images, found):
    before, sha = images.clone(), digits_model.sha
    torch.manual_seed(99)
    assert torch.equal(attack.craft(digits_model, data, rng=0).delta, found.delta)
    assert torch.equal(images, before)
    assert digits_model.sha == sha
    assert all(p.grad is None and not p.requires_grad for p in digits_model.net.parameters())


def test_without_a_perturbation_nothing_is_fooled(attack, digits_model, data, images):
    told = []
    nothing = replace(attack, eps=1e-9)
    data = replace(data, progress=lambda done, limit, best: told.append(best))
    found = nothing.craft(digits_model, data, rng=0)
    assert set(told) == {-1.0, 0.0}
    assert torch.equal(digits_model.predict(found.apply(images)), digits_model.predict(images))


def undisturbed(attack, model, data):
    whole, told = Kept(), []
    data = replace(data, checkpoint=whole, progress=lambda done, limit, best: told.append((done, limit)))
    return attack.craft(model, data, rng=0).delta, whole.saved, told


def check_resuming(attack, model, data, breaks):
    expected, saved, _ = undisturbed(attack, model, data)
    assert saved >= breaks
    checkpoint = Kept(breaks)
    with pytest.raises(KeyboardInterrupt):
        attack.craft(model, replace(data, checkpoint=checkpoint), rng=0)
    checkpoint.breaks = 0
    assert torch.equal(attack.craft(model, replace(data, checkpoint=checkpoint), rng=0).delta, expected)
    assert checkpoint.saved == saved, "it began at the beginning, or did not end where the other did"


@pytest.mark.parametrize("breaks", [1, 3])
@pytest.mark.parametrize("name", UNIVERSAL)
def test_a_search_that_is_broken_off_goes_on_to_the_same_result(name, digits_model, data, breaks):
    check_resuming(make(name, prior="data" if "data" in attacks[name].priors else "none"), digits_model, data, breaks)


@pytest.mark.parametrize(("name", "facts"), ENDS_EARLY, ids=str)
def test_also_after_the_last_state_of_a_search_that_ends_early(name, facts, digits_model, data):
    attack = make(name, **facts)
    _, saved, told = undisturbed(attack, digits_model, data)
    done, limit = told[-1]
    assert done < limit, "it did not end early"
    check_resuming(attack, digits_model, data, saved)


def test_every_universal_attack_is_made_to_end_early():
    assert [name for name, _ in ENDS_EARLY] == sorted(UNIVERSAL)
