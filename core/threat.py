"""The threat model: a norm and a budget in pixel space."""

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import BeforeValidator
from torch import Tensor

from .ball import Ball
from .errors import BudgetError, ConfigError
from .images import check_images, check_layout
from .norms import Norm, check_norm, size

SMALLEST_EPS, LARGEST_EPS = 1e-9, 1e9  # beyond, float32 images do not change, or their squares overflow
ROUNDING = 1e-5  # tolerance for rounding, for each value of a float32 perturbation


def parse_eps(eps: float | str) -> float:
    """Parse a budget in pixel space ([0, 1] images): a number, or a fraction such as "10/255"; infinity is no limit.

    Raises ConfigError unless it is positive and, if finite, in SMALLEST_EPS..LARGEST_EPS.
    """
    try:
        if isinstance(eps, bool):
            raise TypeError
        value = _number(eps) if isinstance(eps, str) else float(eps)
    except (ValueError, ZeroDivisionError, OverflowError, TypeError):
        raise ConfigError(f'Expected eps to be a number or a fraction such as "8/255", got {eps!r}.') from None
    if not value > 0:
        raise ConfigError(
            f"Expected eps > 0, got {eps!r}; the undefended, unattacked scores are in every table anyway."
        )
    if not SMALLEST_EPS <= value <= LARGEST_EPS and value != math.inf:
        raise ConfigError(f"Expected eps in {SMALLEST_EPS}..{LARGEST_EPS} or infinite, got {eps!r}.")
    return value


def _number(text: str) -> float:
    over, slash, under = text.partition("/")
    value = float(over) / float(under) if slash else float(text)
    if math.isinf(value) and (slash or "inf" not in text.lower()):
        raise OverflowError
    return value


class _Parsed(BeforeValidator):
    """A validator with a readable repr in signatures of attacks; pydantic's would print a function's address."""

    def __repr__(self) -> str:
        return "or text such as '8/255'"


Eps = Annotated[float, _Parsed(parse_eps)]


@dataclass(frozen=True, kw_only=True)
class Threat:
    """A threat model: all images x' in [0, 1] with ||x' - x|| <= eps.

    Raises ConfigError for an invalid norm or budget.
    """

    norm: Norm
    eps: float

    def __post_init__(self) -> None:
        check_norm(self.norm)
        object.__setattr__(self, "eps", parse_eps(self.eps))
        if self.norm == "l0" and self.eps < 1:
            raise ConfigError(f"Expected eps >= 1 under l0, where it counts changed values, got {self.eps}.")
        if self.norm == "linf" and 1 < self.eps < math.inf:
            raise ConfigError(f"Expected a linf eps of at most 1, for pixels in 0..1, got {self.eps:.6g}; n/255?")

    def around(self, x: Tensor) -> Ball:
        """Return the ball around given images, prepared for many projections."""
        return Ball(x, self.norm, self.eps)

    def project(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return `x_adv` projected into [0, 1] and the ball around `x`. Raises InputError for invalid images."""
        check_images(x)
        check_layout(x_adv, tuple(x.shape[1:]))
        return self.around(x).project_(x_adv.clone())

    def enforce(self, x_adv: Tensor, x: Tensor) -> Tensor:
        """Return `x_adv` with rounding errors beyond the budget removed. Raises like `check` and `project`."""
        check_images(x)
        self.check(x_adv, x)
        return self.around(x).project_(x_adv.clone())

    def check(self, x_adv: Tensor, x: Tensor) -> None:
        """Raise BudgetError if `x_adv` leaves the budget or [0, 1] beyond rounding, is not finite, or changed shape."""
        if not isinstance(x_adv, Tensor):
            raise BudgetError(f"The attack returned {type(x_adv).__name__}, not a tensor of images.")
        if x_adv.shape != x.shape:
            raise BudgetError(f"The attack returned shape {tuple(x_adv.shape)} for images {tuple(x.shape)}.")
        self.check_size(x_adv - x)
        low, high = float(x_adv.min()), float(x_adv.max())
        if low < -ROUNDING or high > 1 + ROUNDING:
            raise BudgetError(f"The attack returned pixels in [{low:.4g}, {high:.4g}], outside [0, 1].")

    def check_size(self, delta: Tensor) -> None:
        """Raise BudgetError if a perturbation of (N, ...) exceeds the budget beyond rounding, or is not finite."""
        sizes = size(delta, self.norm)
        if self.norm == "l0" or not torch.isfinite(sizes).all():  # under L0 NaN is a changed value like any other
            broken = int((~torch.isfinite(delta)).flatten(1).any(dim=1).sum())
            if broken:
                raise BudgetError(f"The attack returned NaN or infinity in {broken} of {len(delta)} perturbations.")
        excess = float((sizes - self.eps).max())
        if excess > ROUNDING * _rounding_errors(self.norm, delta[0].numel()):
            raise BudgetError(f"The attack exceeds its {self.norm} budget of {self.eps:.6g} by {excess:.3g}.")


def _rounding_errors(norm: Norm, values: int) -> float:
    """Return the norm of a perturbation whose every value is off by 1; 0 under L0, where values are counted."""
    return {"linf": 1.0, "l2": values**0.5, "l1": float(values), "l0": 0.0}[norm]
