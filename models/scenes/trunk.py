"""A chain of layers some of whose outputs are needed on the way: the encoder of a network whose answer is a map."""

from collections.abc import Mapping

from torch import Tensor, nn


class Trunk(nn.Module):
    """Holds layers under their own names, as the classifier does that it is taken from: its weights fit."""

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.order = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def trunk(self, x: Tensor, *taps: str) -> list[Tensor]:
        """The outputs of these layers, in the order of the chain."""
        found = []
        for name in self.order:
            x = self.get_submodule(name)(x)
            if name in taps:
                found.append(x)
        return found
