"""A model as a repository might hold one: a small network, and how its weights come about."""

import torch
from foolbench.core import Model
from foolbench.datasets import Digits
from foolbench.tasks import Recognition
from torch import nn
from torch.nn import functional as F

EPOCHS = 40


class Net(nn.Module):
    """Two layers over 8 x 8 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.hidden = nn.Linear(64, 64)
        self.output = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(self.hidden(x.flatten(1)).relu())


def digits() -> Model:
    """Trained anew in a second; a real repository would load a file of weights here."""
    torch.manual_seed(0)
    images, labels = Digits().training(1000)
    x = images.float() / 255
    net = Net()
    optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
    for _ in range(EPOCHS):
        loss = F.cross_entropy(net((x - 0.5) / 0.5), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Model(net.eval(), task=Recognition(classes=10), mean=0.5, std=0.5, shape=(1, 8, 8), name="digits")
