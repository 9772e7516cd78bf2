"""What an attack made of a shard's images, in the form in which it is kept and scored."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ..ledger.ledger import Costs


@dataclass(frozen=True, kw_only=True)
class Crafted:
    """`stored` are the images (N, C, H, W), float32 or uint8.

    `undone` (N,) says which of them had fooled the attacked system before they were stored, and do so no more; `costs`
    are those of all images together.
    """

    stored: Tensor
    undone: Tensor
    costs: Costs

    @property
    def x_adv(self) -> Tensor:
        """As a model takes them."""
        return self.stored.float() / 255 if self.stored.dtype == torch.uint8 else self.stored
