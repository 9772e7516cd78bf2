"""What attacks cost: images forward, gradients back."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Passes:
    """How many images have gone forward and how many gradients have come back."""

    forwards: int = 0
    backwards: int = 0

    def follow(self, outputs: Tensor, images: int) -> Tensor:
        """`outputs`, whose gradient counts for so many images whenever it comes back."""
        if outputs.requires_grad:
            outputs.register_hook(lambda gradient: self._count(images))
        return outputs

    def _count(self, images: int) -> None:
        self.backwards += images


def mean_gradient(value: Tensor, *others: Tensor) -> Tensor:
    """`value`, as exact as it was, with the mean of all gradients."""
    flows = [tensor - tensor.detach() for tensor in (value, *others)]  # zeros that carry a gradient
    return value.detach() + sum(flows) / len(flows)
