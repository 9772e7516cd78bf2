"""What a step must know of the device, asked at once: each question by itself would wait for all that it still does.

An image that rests costs no more passes. To know that one does is one wait a step, and its place comes without another:
what a mask chooses is found by sorting it, once it is known how many that are.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ..core.model import Model
from ._gradient import check_finite


def asked(*questions: Tensor) -> list[int]:
    """Numbers and truths as Python has them."""
    return torch.stack([question.to(torch.int64) for question in questions]).tolist()


def asked_of_step(model: Model, gradient: Tensor, outputs: Tensor, *questions: Tensor) -> list[int]:
    """The same, once the step has proved sound. Raises GradientError or InputError where something is not finite."""
    finite, *answers = asked((gradient.sum() + outputs.sum()).isfinite(), *questions)
    if not finite:  # a sum can overflow where no entry does
        check_finite(model, gradient)
        model.task.check_outputs(outputs, len(outputs))
    return answers


class Parted(NamedTuple):
    """The numbers of the images that a mask leaves out, and of those that it chooses, both in their order."""

    others: Tensor
    chosen: Tensor

    @classmethod
    def by(cls, mask: Tensor, count: int) -> "Parted":
        """`count` is how many it chooses."""
        order = mask.to(torch.uint8).argsort(stable=True)
        return cls(order[: len(order) - count], order[len(order) - count :])
