"""What a step must know of the device, asked in one synchronisation: each question would wait for all pending work.

An image that is finished costs no more passes. To know that there is one takes one synchronisation per step; to find it
takes no other: the rows that a mask selects are found by sorting it, once their number is known.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..core.model import Model
from ._gradient import check_finite


def asked(*questions: Tensor) -> list[int]:
    """Return integers and booleans on the device as Python integers, in one synchronisation."""
    return torch.stack([question.to(torch.int64) for question in questions]).tolist()


def asked_of_step(model: Model, gradient: Tensor, outputs: Tensor, *questions: Tensor) -> list[int]:
    """Like `asked`, after a check of the step. Raises GradientError or InputError if something is not finite."""
    finite, *answers = asked((gradient.sum() + outputs.sum()).isfinite(), *questions)
    if not finite:  # a sum can overflow where no entry does
        check_finite(model, gradient)
        model.task.check_outputs(outputs, len(outputs))
    return answers


class Parted(NamedTuple):
    """The indices of the images that a mask leaves out, and of those that it selects, both in their order."""

    others: Tensor
    chosen: Tensor

    @classmethod
    def by(cls, mask: Tensor, count: int) -> "Parted":
        """Split by a mask that selects `count` images."""
        order = mask.to(torch.uint8).argsort(stable=True)
        return cls(order[: len(order) - count], order[len(order) - count :])
