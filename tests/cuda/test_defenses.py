"""Every defense of the registry on a GPU: what it does on a processor, with gradients, and without waiting for it."""

import pytest
import torch
from foolbench.attacks import FGSM
from foolbench.core import Draws, InputTransform, LearnedDefense, defenses
from foolbench.core.repeatable import repeatable
from foolbench.defenses import adaptive
from foolbench.evaluation.conformance import model, prepared, streams
from foolbench.evaluation.conformance.checks import images

NAMES = sorted(defenses)
STEADY = {
    "bart": {"groups": ["levels", "jpeg", "noise", "grey", "fft"]},
    "quilting": {"neighbours": 1},  # of several, the order decides which is drawn
}
"""Parameters without which rounding decides more than the next level."""
CLOSE = 1e-4
CHOOSE = {"bart", "bit-depth", "compose", "jpeg", "k-wta", "odds-are-odd", "prn", "quilting", "regroup"}
"""What rounds, ranks or chooses: rounding may bring a value to the next level, of one in a hundred."""
ON_THE_HOST = {"bart", "compose", "jpeg", "quilting"}
"""Codecs, and what is drawn image by image: a GPU is waited for there."""


LEARNERS = [name for name in NAMES if issubclass(defenses[name], LearnedDefense)]


@pytest.fixture
def made(quick):
    """`made(name)` is the defense."""
    return lambda name: defenses.create(name, quick(name) | STEADY.get(name, {}))


@pytest.fixture
def fitted(made):
    """`fitted(name)` has learned on the processor, where it learns."""
    return lambda name: prepared(made(name))


def moved(draws, device) -> Draws:
    return Draws(draws.keys.to(device))


def test_the_lists_are_of_defenses():
    assert set(NAMES) >= CHOOSE | ON_THE_HOST | set(STEADY)


@pytest.mark.parametrize("name", NAMES)
def test_it_does_what_it_does_on_a_processor(name, fitted, device):
    defense = fitted(name)
    x, network, here = images(4), model(), streams(4)
    there = moved(here, device)
    with repeatable(device):
        if isinstance(defense, InputTransform):
            expected, found = defense(x, rng=here), defense(x.to(device), rng=there)
        else:
            expected = defense.defend(network)(x, rng=here)
            found = defense.defend(network.to(device))(x.to(device), rng=there)
    assert found.device.type == device
    off = (found.cpu() - expected).abs() > CLOSE * max(1.0, float(expected.abs().max()))
    assert off.float().mean() <= (0.01 if name in CHOOSE else 0)


@pytest.mark.parametrize("name", NAMES)
def test_every_gradient_of_it_can_be_followed(name, fitted, device, request):
    defense = fitted(name)
    request.getfixturevalue("on_device")
    system, x = adaptive(defense, model(), draws=2), images(4)
    for followed in (system, *system.alternatives.values()):
        found = FGSM(eps=0.1)(followed, x, rng=0)
        assert found.device == x.device
        assert (found - x).abs().max() <= 0.1 + 1e-6
    assert torch.equal(system(x, rng=streams(4)), system(x, rng=streams(4)))


@pytest.mark.parametrize("name", LEARNERS)
def test_it_learns_there(name, made, on_device):
    defense, x = made(name), images(64)
    learned = defense.fit(x, torch.arange(64, device=x.device) % 5, model=model())
    outputs = learned.defend(model())(x[:4], rng=streams(4))
    assert outputs.device == x.device
    assert outputs.isfinite().all()


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("name", [name for name in NAMES if name not in ON_THE_HOST])
def test_a_transform_does_not_wait_for_the_gpu(name, fitted, device):
    defense = fitted(name)
    if not isinstance(defense, InputTransform):
        pytest.skip("it is no transform")
    x, draws = images(4).to(device), moved(streams(4), device)
    defense.transform(x, rng=draws)
    torch.cuda.set_sync_debug_mode("error")
    try:
        defense.transform(x, rng=draws)
    finally:
        torch.cuda.set_sync_debug_mode("default")
