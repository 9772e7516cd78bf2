"""The adversarial images of a shard and their costs, in the form in which they are kept and scored."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...ledger.ledger import Costs


@dataclass(frozen=True, kw_only=True)
class Crafted:
    """The adversarial images of a shard: `stored`, (N, C, H, W), float32 in [0, 1] or uint8.

    `undone`, bool (N,), marks the images that fooled the attacked system before they were rounded for storage, but no
    longer do. `costs` are those of all images together. `queries`, int64 (N,), are the queries that the attack spent on
    each image; None for an attack that does not count them. `goals`, of the form of targets, are the answers that the
    attack was to reach; None for one that only leaves the system's own. `vanishing`, in 0..1, is the share of images at
    which the attacked system has no gradient; 0 for an attack that follows none.
    """

    stored: Tensor
    undone: Tensor
    costs: Costs
    queries: Tensor | None = None
    goals: Tensor | None = None
    vanishing: float = 0.0

    @classmethod
    def together(cls, parts: "Sequence[Crafted]") -> "Crafted":
        """Join the parts of a shard. `costs` and `vanishing` stay 0: the caller knows them for the whole shard."""
        counted = [part.queries for part in parts if part.queries is not None]
        aimed = [part.goals for part in parts if part.goals is not None]
        return cls(
            stored=torch.cat([part.stored for part in parts]),
            undone=torch.cat([part.undone for part in parts]),
            costs=Costs(),
            queries=torch.cat(counted) if counted else None,
            goals=torch.cat(aimed) if aimed else None,
        )

    @property
    def x_adv(self) -> Tensor:
        """The images as a model takes them: float32 in [0, 1]."""
        return self.stored.float() / 255 if self.stored.dtype == torch.uint8 else self.stored
