"""Every attack on a GPU: its budget, the same images for the same seed, about what a processor finds."""

import foolbench.attacks  # noqa: F401 (which registers them)
import pytest
import torch
from foolbench.attacks import GDUAP, PGD
from foolbench.core import Attack, CraftingData, UniversalAttack, attacks
from foolbench.core.norms import size
from foolbench.core.universal_attack import NoCheckpoint

BUDGET = {"linf": 20 / 255, "l2": 0.6, "l1": 3.0, "l0": 12}
CASES = [(name, norm) for name in attacks for norm in attacks[name].norms]
ON_IMAGES = [case for case in CASES if issubclass(attacks[case[0]], Attack)]
UNIVERSAL = [case for case in CASES if issubclass(attacks[case[0]], UniversalAttack)]
ROUNDING = 3
"""Of ten images: so many may be fooled here and not there, for what a sign decides rounding may decide."""


@pytest.fixture
def made(quick):
    """`made(name, norm, **facts)` is the attack."""
    return lambda name, norm, **facts: attacks.create(name, {"eps": BUDGET[norm], "norm": norm} | quick(name) | facts)


@pytest.fixture
def images():
    x = torch.rand(10, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return x.masked_fill(x < 0.2, 0.0).masked_fill(x > 0.8, 1.0)


def fooled(model, adversarial, x) -> int:
    return int((model.predict(adversarial) != model.predict(x)).sum())


@pytest.mark.parametrize(("name", "norm"), ON_IMAGES)
def test_an_attack_on_images(name, norm, made, digits_model, digits_there, images, on_device):
    attack, x = made(name, norm), images.to(on_device)
    found = attack(digits_there, x, rng=3)
    assert (found.device, found.dtype, found.shape) == (x.device, torch.float32, x.shape)
    assert size(found - x, norm).max() <= attack.eps + 1e-5
    assert 0 <= found.min() <= found.max() <= 1
    assert torch.equal(attack(digits_there, x, rng=3), found)
    there, here = fooled(digits_there, found, x), fooled(digits_model, attack(digits_model, images, rng=3), images)
    assert abs(there - here) <= ROUNDING


@pytest.mark.parametrize("name", ["uniform-noise", "random-sign", "fgsm"])
def test_what_takes_one_step_is_the_same(name, made, digits_model, digits_there, images, on_device):
    attack = made(name, "linf")
    there, here = attack(digits_there, images.to(on_device), rng=3).cpu(), attack(digits_model, images, rng=3)
    assert ((there - here).abs() > 1e-5).float().mean() < 0.01


@pytest.mark.parametrize("facts", [{"early_stop": True}, {"restarts": 2}, {"targeted": True}], ids=str)
def test_the_ways_of_pgd(facts, digits_there, images, on_device):
    attack, x = PGD(eps=BUDGET["linf"], steps=5, **facts), images.to(on_device)
    y = (digits_there.predict(x) + 1) % 10
    assert torch.equal(attack(digits_there, x, y, rng=0), attack(digits_there, x, y, rng=0))


@pytest.mark.parametrize(("name", "norm"), UNIVERSAL)
def test_a_universal_attack(name, norm, made, digits_there, images, on_device):
    x = images.to(on_device)
    attack, data = made(name, norm), CraftingData(validation=x, load_training=lambda: x)
    found = attack.craft(digits_there, data, rng=3)
    assert found.delta.device.type == "cpu"
    assert size(found.delta[None], norm) <= attack.eps + 1e-5
    assert found.apply(x).device == x.device
    assert torch.equal(attack.craft(digits_there, data, rng=3).delta, found.delta)


def test_the_pool_of_a_prior_is_made_there(made, digits_there, images, on_device):
    x = images.to(on_device)
    data = CraftingData(validation=x, load_training=lambda: x)
    for prior in ("range", "data"):
        found = made("gd-uap", "linf", prior=prior, max_iterations=3).craft(digits_there, data, rng=0)
        assert found.delta.abs().max() > 0


class Kept(NoCheckpoint):
    """States as a file gives them back: on the device, all of them."""

    def __init__(self, device, state=None):
        self.device, self.state, self.saved = device, state or {}, []

    def load(self):
        return {name: part.to(self.device) for name, part in self.state.items()}

    def save(self, state):
        self.saved.append({name: part.detach().clone().cpu() for name, part in state.items()})


def test_a_search_goes_on_where_it_was_interrupted(digits_there, images, on_device):
    x, attack = images.to(on_device), GDUAP(eps=BUDGET["linf"], max_iterations=20, validate_every=5)

    def crafted(checkpoint):
        data = CraftingData(validation=x, load_training=lambda: x, checkpoint=checkpoint)
        return attack.craft(digits_there, data, rng=0).delta, checkpoint

    whole, kept = crafted(Kept(on_device))
    assert torch.equal(crafted(Kept(on_device, kept.saved[0]))[0], whole)
