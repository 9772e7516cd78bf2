"""The state of an attack on each image, where some images go on and others are finished."""

import copy
from typing import Self

from torch import Tensor

from ..core.ball import Ball
from ..core.seeding import Draws


class Rows:
    """A record with a row per image: `record[rows]` selects these images in each tensor, `Draws`, `Ball` and `Rows`.

    All other attributes are shared.
    """

    def __getitem__(self, rows: Tensor) -> Self:
        chosen = copy.copy(self)
        parts = {name: part for name, part in vars(self).items() if isinstance(part, Tensor | Draws | Ball | Rows)}
        vars(chosen).update({name: part[rows] for name, part in parts.items()})
        return chosen
