"""Our local response normalisation against torch's: outputs, gradients, and what it is called."""

import pytest
import torch
from foolbench.models import ENTRIES
from foolbench.models.lrn import LocalResponseNorm
from torch import nn


@pytest.mark.parametrize("size", [1, 2, 5, 8])
@pytest.mark.parametrize("shape", [(2, 7, 5, 4), (2, 3, 6), (2, 4, 3, 3, 2)])
def test_the_same_numbers_and_gradients_as_torch(size, shape):
    rng = torch.Generator().manual_seed(0)
    x = (30 * torch.randn(shape, generator=rng, dtype=torch.float64)).requires_grad_()
    constants = {"alpha": 0.3, "beta": 0.6, "k": 1.5}
    found, expected = LocalResponseNorm(size, **constants)(x), nn.LocalResponseNorm(size, **constants)(x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    slopes = [torch.autograd.grad(outputs.pow(3).sum(), x)[0] for outputs in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["scenes:caffenet", "scenes:vgg-f"])
def test_networks_use_it(name):
    kinds = {type(module) for module in ENTRIES[name].build() if isinstance(module, nn.LocalResponseNorm)}
    assert kinds == {LocalResponseNorm}
