"""Encoder of networks that predict maps: a chain of layers with access to intermediate outputs."""

from collections.abc import Mapping

from torch import Tensor, nn


class Trunk(nn.Module):
    """Chain of layers under the names that they have in the classifier they come from, so that its weights fit."""

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.order = tuple(layers)
        for name, layer in layers.items():
            self.add_module(name, layer)

    def trunk(self, x: Tensor, *taps: str) -> list[Tensor]:
        """Run the chain on `x`, and return the outputs of the layers `taps`, in the order of the chain."""
        found = []
        for name in self.order:
            x = self.get_submodule(name)(x)
            if name in taps:
                found.append(x)
        return found
