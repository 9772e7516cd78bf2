"""The cost of attacks: images that go forward through a network, and gradients that come back."""

from dataclasses import dataclass

from torch import Tensor


@dataclass
class Passes:
    """Counts of the images that have gone forward and the gradients that have come back."""

    forwards: int = 0
    backwards: int = 0

    def follow(self, images: Tensor) -> Tensor:
        """Return the images, counted on their way into a network and again when a gradient comes back to them."""
        self.forwards += len(images)
        if not images.requires_grad:
            return images
        images = images.view_as(images)  # a tensor of this pass only; the caller may use his elsewhere
        images.register_hook(self._count)
        return images

    def _count(self, gradient: Tensor | None) -> None:
        if gradient is not None:  # None for a quantised network
            self.backwards += len(gradient)


def mean_gradient(value: Tensor, *others: Tensor) -> Tensor:
    """Return `value`, unchanged to the last bit, with the mean of the gradients of all tensors."""
    flows = [tensor - tensor.detach() for tensor in (value, *others)]  # zeros that carry a gradient
    return value.detach() + sum(flows) / len(flows)
