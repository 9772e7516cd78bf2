"""FGSM and PGD agree with foolbox, an independent implementation, on a trained network."""

import warnings

import pytest
import torch
from foolbench.attacks import FGSM, PGD
from foolbench.datasets.digits import Digits

with warnings.catch_warnings():  # foolbox 3.3.4 imports the filter from its old place
    warnings.filterwarnings("ignore", "Please import `gaussian_filter`", DeprecationWarning)
    import foolbox


@pytest.fixture(scope="module")
def setting(digits_model):
    x, _ = Digits().load(range(128))
    preprocessing = {
        "mean": [0.5],
        "std": [0.5],
        "axis": -3,
    }
    theirs = foolbox.PyTorchModel(digits_model.net, bounds=(0, 1), device="cpu", preprocessing=preprocessing)
    torch.testing.assert_close(theirs(x), digits_model(x))
    return theirs, x, digits_model.predict(x)


def fooled(model, adversarial, y):
    return float((model.predict(adversarial) != y).float().mean())


@pytest.mark.parametrize("eps", [8 / 255, 40 / 255])
def test_fgsm_is_bit_close(digits_model, setting, eps):
    theirs, x, y = setting
    _, expected, _ = foolbox.attacks.LinfFastGradientAttack(random_start=False)(theirs, x, y, epsilons=eps)
    torch.testing.assert_close(FGSM(eps=eps)(digits_model, x, y), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("eps", [0.5, 2.0])
def test_l2_fgsm_is_close(digits_model, setting, eps):
    theirs, x, y = setting
    _, expected, _ = foolbox.attacks.L2FastGradientAttack(random_start=False)(theirs, x, y, epsilons=eps)
    # at a margin of 10 foolbox's float32 softmax keeps three digits of the gradient
    torch.testing.assert_close(FGSM(eps=eps, norm="l2")(digits_model, x, y), expected, rtol=0, atol=1e-3)


PAIRS = [
    ("linf", foolbox.attacks.LinfPGD, 15 / 255),
    ("linf", foolbox.attacks.LinfPGD, 30 / 255),
    ("l2", foolbox.attacks.L2PGD, 0.6),
]


@pytest.mark.parametrize(("norm", "attack", "eps"), PAIRS)
@pytest.mark.parametrize("random_start", [False, True])
def test_pgd_fools_as_many(digits_model, setting, norm, attack, eps, random_start):
    theirs, x, y = setting
    torch.manual_seed(0)  # foolbox draws its random start from the global generator
    step = 2.5 * eps / 10
    reference = attack(abs_stepsize=step, steps=10, random_start=random_start)
    _, expected, _ = reference(theirs, x, y, epsilons=eps)
    ours = PGD(eps=eps, norm=norm, steps=10, random_start=random_start)(digits_model, x, y, rng=0)
    rates = fooled(digits_model, ours, y), fooled(digits_model, expected, y)
    assert 0.05 < rates[1] < 0.995, "too easy or too hard to tell implementations apart"
    assert abs(rates[0] - rates[1]) <= (0.05 if random_start else 0.01)
    if not random_start:
        close = (ours - expected).abs().flatten(1).amax(dim=1) < 1e-4
        assert close.float().mean() > 0.97, "a kink of a ReLU may send an image elsewhere after a rounding, not many"
