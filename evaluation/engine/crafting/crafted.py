"""What an attack made of a shard's images, in the form in which it is kept and scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...ledger.ledger import Costs


@dataclass(frozen=True, kw_only=True)
class Crafted:
    """`stored` are the images (N, C, H, W), float32 or uint8.

    `undone` (N,) says which of them had fooled the attacked system before they were stored, and do so no more; `costs`
    are those of all images together. `queries` (N,) says after how many the attack was done with each image; None of
    one that does not count them. `vanishing` is at how large a share of images the attacked system has no gradient; 0
    for an attack that follows none.
    """

    stored: Tensor
    undone: Tensor
    costs: Costs
    queries: Tensor | None = None
    vanishing: float = 0.0

    @classmethod
    def together(cls, parts: "Sequence[Crafted]") -> "Crafted":
        """Those of a shard's parts, at no costs, and with any gradient."""
        counted = [part.queries for part in parts if part.queries is not None]
        return cls(
            stored=torch.cat([part.stored for part in parts]),
            undone=torch.cat([part.undone for part in parts]),
            costs=Costs(),
            queries=torch.cat(counted) if counted else None,
        )

    @property
    def x_adv(self) -> Tensor:
        """As a model takes them."""
        return self.stored.float() / 255 if self.stored.dtype == torch.uint8 else self.stored
