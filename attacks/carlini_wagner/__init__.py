"""C&W's attacks in L2, Linf and L0 (Carlini and Wagner 2017, https://arxiv.org/abs/1608.04644)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ...core.attack import Access, MinimalAttack
from ...core.errors import ConfigError
from ...core.model import Model
from ...core.norms import Norm
from ...core.registry import register_attack
from ...core.seeding import Draws
from .goal import Goal
from .l0 import minimize_l0
from .search import minimize_distance


@register_attack("carlini-wagner")
@dataclass(frozen=True, kw_only=True)
class CarliniWagner(MinimalAttack):
    """Minimise distance + c * hinge with Adam in a tanh variable, and search for the best c of each image.

    The hinge is max(confidence - margin, 0). The margin is the lead of the best class other than `y` over `y` (that of
    `y`, if targeted). A point is a success if its margin is positive and at least `confidence`; the nearest success of
    the whole run is the result. Margins are those of the model's outputs: `confidence` is in logits, or in
    probabilities for a model that gives these.

    c starts at `initial_c`; `searches` limits how many values of it are tried, `steps` the steps for each. Under L2 it
    is multiplied by 10 until a search succeeds, and bisected from there. Under Linf, where ever smaller changes count
    as distance, a failure multiplies c by 10 and a success halves it. Under L0 it only rises, by 10 where a search
    fails. A search ends early if a twentieth of its steps lowered neither loss nor norm by 1%. The authors take up to
    10,000 steps, 9 searches and a learning rate of 0.01, and start at c = 0.001.

    Under L0 the norm counts values, three a pixel of a colour image, and those left alone are equal to x.
    """

    norm: Norm = "l2"
    confidence: float = 0.0
    searches: int = 9
    steps: int = 1000
    learning_rate: float = 0.01
    initial_c: float = 1e-3

    access: ClassVar[Access] = "gradient"
    norms: ClassVar[tuple[Norm, ...]] = ("l2", "linf", "l0")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.searches < 1 or self.steps < 1:
            raise ConfigError(f"Expected searches >= 1 and steps >= 1, got {self.searches} and {self.steps}.")
        if not self.confidence >= 0:
            raise ConfigError(f"Expected confidence >= 0, got {self.confidence}.")
        if not self.learning_rate > 0 or not self.initial_c > 0:
            raise ConfigError(
                f"Expected learning_rate > 0 and initial_c > 0, got {self.learning_rate} and {self.initial_c}."
            )

    @property
    def stops_at_boundary(self) -> bool:
        return not self.confidence

    def minimize(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        goal = Goal(task=model.task, targeted=self.targeted, confidence=self.confidence)
        with torch.no_grad():
            todo = ~goal.reached(model.averaged(x, rng=rng.fork("start")), y)
        result = x.clone()
        if todo.any():
            found = minimize_l0 if self.norm == "l0" else minimize_distance
            result[todo] = found(self, goal, model, x[todo], y[todo], rng[todo])
        return result
