"""Transfer of adversarial images from the bare network to the defended system."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from ...core.attack import Access, Attack
from ...core.model import Model
from ...core.norms import Norm
from ...core.seeding import Draws
from ..momentum import Momentum


@dataclass(frozen=True, kw_only=True)
class Transfer(Attack):
    """Momentum ascent from a random start on the network without its defenses.

    What a defense passes on can fool the network inside, however little gradient comes back through the defense. An
    image that the system rejects when it is clean has no class there to leave, and stays unchanged; so do all images if
    the network takes another size than the system.
    """

    steps: int = 20

    access: ClassVar[Access] = "gradient"
    randomized: ClassVar[bool] = True
    norms: ClassVar[tuple[Norm, ...]] = Momentum.norms

    def __post_init__(self) -> None:
        super().__post_init__()
        self._ascent()  # checks its parameters

    def perturb(self, model: Model, x: Tensor, y: Tensor, *, rng: Draws) -> Tensor:
        bare, rejected = model.through(()), model.task.rejected
        if any(taken not in (None, given) for taken, given in zip(bare.shape, x.shape[1:], strict=True)):
            return x
        if rejected is None:
            return self._ascent().perturb(bare, x, y, rng=rng)
        rows, found = (y != rejected).nonzero()[:, 0], x.clone()
        if len(rows):
            found[rows] = self._ascent().perturb(bare, x[rows], y[rows], rng=rng[rows])
        return found

    def _ascent(self) -> Momentum:
        return Momentum(eps=self.eps, norm=self.norm, targeted=self.targeted, steps=self.steps, begin="random")
