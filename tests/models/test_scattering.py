"""The hybrid network of the digits: its transform is kymatio's, and what the paper says of it holds."""

import sys

import pytest
import torch
from foolbench.attacks import PGD
from foolbench.core import ConfigError
from foolbench.datasets import Digits
from foolbench.models import ENTRIES
from foolbench.models.digits.scattering import CHANNELS, Scattering
from kymatio.scattering2d.frontend.numpy_frontend import ScatteringNumPy2D


@pytest.fixture(scope="module")
def transform():
    return Scattering()


@pytest.fixture
def images():
    return Digits().load(range(16))[0]


def test_it_is_kymatios_reference(transform, images):
    expected = torch.from_numpy(ScatteringNumPy2D(J=2, shape=(8, 8))(images[:, 0].double().numpy()))
    found = transform(images)
    assert found.shape == (16, CHANNELS, 2, 2)
    assert CHANNELS == 81
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)


def test_the_filters_that_ship_are_kymatios(transform):
    shipped = ENTRIES["digits:scattering"].load().net.get_submodule("scattering")
    for name, expected in transform.state_dict().items():
        torch.testing.assert_close(shipped.state_dict()[name], expected)


def test_it_is_1_lipschitz(transform, images):
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0))
    for other in (images.roll(1, dims=0), images + 1e-3 * noise, noise):
        moved = (transform(images) - transform(other)).flatten(1).norm(dim=1)
        assert (moved <= (images - other).flatten(1).norm(dim=1)).all()


def test_a_constant_image_has_its_mean_alone(transform):
    found = transform(torch.full((1, 1, 8, 8), 0.7))
    torch.testing.assert_close(found[:, 0], torch.full((1, 2, 2), 0.7), atol=1e-4, rtol=0)
    assert float(found[:, 1:].abs().max()) < 1e-4


def test_gradients_go_through_it():
    scattering = Scattering().double()
    x = torch.rand(1, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: scattering(z)[:, ::9], x, fast_mode=True)


def test_what_to_install_where_kymatio_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "kymatio.scattering2d.frontend.torch_frontend", None)
    with pytest.raises(ConfigError, match=r"digits:scattering needs the package kymatio.*foolbench\[scattering\]"):
        ENTRIES["digits:scattering"].load()


def test_it_withstands_what_is_crafted_on_another_network_and_pgd_through_it_breaks_it(digits_model):
    """Fixed wavelets have a derivative, and an attacker who takes it fools nearly every image."""
    hybrid, (x, _) = ENTRIES["digits:scattering"].load(), Digits().load(range(48))
    pgd, y = PGD(eps=0.1, steps=10), hybrid.predict(x)
    blind, knowing = ((hybrid.predict(pgd(on, x, rng=0)) != y).float().mean() for on in (digits_model, hybrid))
    assert blind <= 0.25
    assert knowing >= 0.8
