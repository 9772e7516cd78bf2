"""What attacks cost: images forward, gradients back."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Passes:
    """How many images have gone forward and how many gradients have come back."""

    forwards: int = 0
    backwards: int = 0

    def follow(self, images: Tensor) -> Tensor:
        """The same images, counted on their way into a network, and again whenever a gradient comes back to them."""
        self.forwards += len(images)
        if not images.requires_grad:
            return images
        images = images.view_as(images)  # a tensor of this pass only, whatever else the caller does with his
        images.register_hook(self._count)
        return images

    def _count(self, gradient: Tensor | None) -> None:
        if gradient is not None:  # as of a quantised network
            self.backwards += len(gradient)


def mean_gradient(value: Tensor, *others: Tensor) -> Tensor:
    """`value`, as exact as it was, with the mean of all gradients."""
    flows = [tensor - tensor.detach() for tensor in (value, *others)]  # zeros that carry a gradient
    return value.detach() + sum(flows) / len(flows)
