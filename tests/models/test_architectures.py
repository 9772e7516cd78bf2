"""The networks keep what their papers are known for."""

import pytest
import torch
from foolbench.models import ENTRIES
from foolbench.models.scenes import resnet
from torch import nn

EACH = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
FEATURES = {
    "caffenet": 5,
    "vgg-f": 5,
    "googlenet": 12,
    "vgg16": 15,
    "vgg19": 18,
    "resnet": 1 + sum(resnet.BLOCKS),
}
CONVOLUTIONS = {"caffenet": 5, "vgg-f": 5, "vgg16": 13, "vgg19": 16, "googlenet": 3 + 9 * 6}


@EACH
def test_outputs_and_features(entry):
    model = entry.wrap(entry.build())
    x = torch.rand(2, *entry.shape, generator=torch.Generator().manual_seed(0))
    assert model(x).shape == (2, entry.task.classes)
    features = model.features(x)
    assert len(features) == len(entry.features) == len(set(entry.features))
    assert all(len(feature) == 2 and feature.ndim >= 2 for feature in features)
    assert all(float(feature.detach().abs().sum()) > 0 for feature in features)


@pytest.mark.parametrize(("name", "count"), FEATURES.items())
def test_as_many_features_as_the_paper_attacks(name, count):
    assert len(ENTRIES[f"scenes:{name}"].features) == count


@pytest.mark.parametrize(("name", "count"), CONVOLUTIONS.items())
def test_as_many_convolutions_as_the_original(name, count):
    net = ENTRIES[f"scenes:{name}"].build()
    assert sum(isinstance(module, nn.Conv2d) for module in net.modules()) == count


@EACH
def test_batch_norm_is_where_the_original_has_it(entry):
    has = any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in entry.build().modules())
    assert has == (entry.net.startswith("resnet") or entry.net == "scattering")


@EACH
def test_the_weights_of_any_network_fit_into_4_mb(entry):
    assert sum(tensor.numel() * tensor.element_size() for tensor in entry.build().state_dict().values()) < 4 * 2**20


@EACH
def test_eval_mode_is_deterministic_and_each_image_is_on_its_own(entry):
    model = entry.wrap(entry.build())
    x = torch.rand(3, *entry.shape, generator=torch.Generator().manual_seed(1))
    outputs = model(x)
    assert torch.equal(outputs, model(x))
    assert torch.allclose(outputs[1:2], model(x[1:2]), atol=1e-4 * float(outputs.abs().max()))


@EACH
def test_the_gradient_reaches_every_pixel(entry):
    model = entry.wrap(entry.build())
    x = torch.rand(1, *entry.shape, generator=torch.Generator().manual_seed(2)).requires_grad_()
    (gradient,) = torch.autograd.grad(model(x).square().sum(), x)
    assert torch.isfinite(gradient).all()
    assert float((gradient != 0).float().mean()) > 0.9


def test_caffenet_pools_before_it_normalises_and_vgg_f_after():
    def order(name):
        return [type(m).__name__ for m in ENTRIES[f"scenes:{name}"].build() if "Norm" in str(m) or "Pool" in str(m)]

    assert order("caffenet") == ["MaxPool2d", "LocalResponseNorm"] * 2 + ["MaxPool2d"]
    assert order("vgg-f") == ["LocalResponseNorm", "MaxPool2d"] * 2 + ["MaxPool2d"]


def test_caffenet_groups_its_second_fourth_and_fifth_convolution():
    net = ENTRIES["scenes:caffenet"].build()
    assert [m.groups for m in net if isinstance(m, nn.Conv2d)] == [1, 2, 1, 2, 2]
    assert {m.groups for m in ENTRIES["scenes:vgg-f"].build() if isinstance(m, nn.Conv2d)} == {1}
