"""Local response normalisation (Krizhevsky et al. 2012, section 3.3), computed as a sum of shifted slices."""

from torch import Tensor, nn
from torch.nn import functional as F


class LocalResponseNorm(nn.LocalResponseNorm):
    """Faster local response normalisation: same values and gradients as torch's, with `size` additions, no pooling."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        channels, before = input.shape[1], self.size // 2
        squares = F.pad(input.square(), (0, 0) * (input.ndim - 2) + (before, self.size - 1 - before))
        total = squares[:, :channels]
        for shift in range(1, self.size):
            total = total + squares[:, shift : shift + channels]
        return input / (total * (self.alpha / self.size) + self.k) ** self.beta
