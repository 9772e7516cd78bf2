"""What an attack knows of each image, when some of the images go on and others rest."""

import copy
from typing import Self

from torch import Tensor

from ..core.ball import Ball
from ..core.seeding import Draws


class Rows:
    """`record[rows]` is that of some images: those entries of all that has an entry an image, and the rest as it is."""

    def __getitem__(self, rows: Tensor) -> Self:
        chosen = copy.copy(self)
        parts = {name: part for name, part in vars(self).items() if isinstance(part, Tensor | Draws | Ball | Rows)}
        vars(chosen).update({name: part[rows] for name, part in parts.items()})
        return chosen
