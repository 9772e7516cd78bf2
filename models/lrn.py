"""Local response normalisation (Krizhevsky et al. 2012, section 3.3), by a sum of shifted slices."""

from torch import Tensor, nn
from torch.nn import functional as F


class LocalResponseNorm(nn.LocalResponseNorm):
    """The numbers and gradients of torch's, which pools in three dimensions where `size` additions do."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (the name that torch gave it)
        channels, before = input.shape[1], self.size // 2
        squares = F.pad(input.square(), (0, 0) * (input.ndim - 2) + (before, self.size - 1 - before))
        total = squares[:, :channels]
        for shift in range(1, self.size):
            total = total + squares[:, shift : shift + channels]
        return input / (total * (self.alpha / self.size) + self.k) ** self.beta
