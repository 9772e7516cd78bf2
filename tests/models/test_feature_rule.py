"""The rule gives the layers of the released GD-UAP code on the networks of its paper, and sensible ones elsewhere."""

import pytest
import torch
import torchvision.models
from foolbench.models.feature_rule import feature_layers
from torch import nn
from torch.nn import functional as F

INCEPTIONS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
DEPTHS_152 = (3, 8, 36, 3)
RELEASED = {
    "alexnet": [f"features.{place}" for place in (1, 4, 7, 9, 11)],
    "vgg16": [
        *(f"features.{place}" for place in (1, 3, 6, 8, 11, 13, 15, 18, 20, 22, 25, 27, 29)),
        "classifier.1",
        "classifier.4",
    ],
    # the code counts fc6 and fc7 twice here, and adds the logits: a slip, which we do not repeat
    "vgg19": [
        *(f"features.{place}" for place in (1, 3, 6, 8, 11, 13, 15, 17, 20, 22, 24, 26, 29, 31, 33, 35)),
        "classifier.1",
        "classifier.4",
    ],
    "googlenet": ["conv1", "conv2", "conv3", *(f"inception{name}" for name in INCEPTIONS)],
    "resnet152": ["conv1", *(f"layer{s}.{k}" for s, n in enumerate(DEPTHS_152, 1) for k in range(n))],
}
"""torchvision's names: of each convolution the output after ReLU, but for ResNet's first, before its batch norm."""
OPTIONS = {"googlenet": {"init_weights": False, "aux_logits": False}}


def layers(name, size=64):
    """Without a single number: networks on the meta device have shapes only."""
    with torch.device("meta"):
        net = torchvision.models.get_model(name, weights=None, **OPTIONS.get(name, {})).eval()
        return feature_layers(net, torch.empty(1, 3, size, size))


@pytest.mark.parametrize("name", RELEASED)
def test_the_layers_of_the_released_code(name):
    assert list(layers(name)) == RELEASED[name]


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("vit_b_16", 224, [f"encoder.layers.encoder_layer_{k}.mlp.1" for k in range(12)]),
        (
            "convnext_tiny",
            64,
            [f"features.{s}.{k}.block.4" for s, n in ((1, 3), (3, 3), (5, 9), (7, 3)) for k in range(n)],
        ),
        ("densenet121", 64, ["features.conv0", *(f"features.denseblock{k}" for k in (1, 2, 3, 4))]),
        ("squeezenet1_1", 64, [f"features.{k}" for k in (1, 3, 4, 6, 7, 9, 10, 11, 12)]),
        ("mobilenet_v2", 64, [f"features.{k}" for k in range(18)]),
        ("vgg11_bn", 64, [*(f"features.{k}" for k in (2, 6, 10, 13, 17, 20, 24, 27)), "classifier.1", "classifier.4"]),
    ],
)
def test_other_networks_of_torchvision(name, size, expected):
    assert list(layers(name, size)) == expected


class Functional(nn.Module):
    """As tutorials write it: no module whose output is the activation."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.out = nn.Conv2d(1, 4, 5), nn.Conv2d(4, 4, 5), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3)).repeat(1, 4))


class Shared(nn.Module):
    """One ReLU for both convolutions: by its name nobody could say which is meant."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.relu = nn.Conv2d(1, 4, 5), nn.Conv2d(4, 3, 5), nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.conv2(self.relu(self.conv1(x)))).mean((2, 3))


class Residual(nn.Module):
    """A block whose input goes on beside it, in place; nothing else of its class joins anything."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x):
        y = self.conv(x)
        y += x
        return y


MLP = nn.Sequential(nn.Flatten(), nn.Linear(144, 8), nn.Tanh(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
RESIDUAL = nn.Sequential(nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.ReLU()), Residual(), nn.Flatten())


@pytest.mark.parametrize(
    ("net", "expected"),
    [
        (Functional(), ["conv1", "conv2"]),
        (Shared(), ["conv1", "conv2"]),
        (RESIDUAL, ["0", "1"]),
        (MLP, ["2", "4"]),
        (nn.Sequential(nn.Flatten(), nn.Linear(144, 3)), []),
    ],
    ids=["functional", "shared", "residual", "mlp", "linear"],
)
def test_networks_that_people_write(net, expected):
    x = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(0))
    assert list(feature_layers(net.eval(), x)) == expected
    assert all(parameter.requires_grad for parameter in net.parameters()), "the network is as it was"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
