"""Score adversarial images against one defended system."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..core.model import Model
from ..core.norms import size
from ..core.seeding import Draws
from ..tasks.gfr import gfr
from .flags import PROBABILITIES, are_probabilities
from .ledger import Costs, Score


@dataclass(frozen=True, kw_only=True)
class Shard:
    """Consecutive evaluation samples: indices, images and targets, on the model's device."""

    samples: range
    x: Tensor
    y: Tensor


@dataclass
class System:
    """A model, perhaps behind a defense, and what it says about the unperturbed images.

    A randomized system is evaluated `draws` times on every image, each time with new streams, and every score is the
    mean; a deterministic one once. `flags` say what makes the scores doubtful.
    """

    model: Model
    seed: int
    draws: int
    flags: set[str] = field(default_factory=set)
    _clean: dict[int, list[Tensor]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.model.randomized:
            self.draws = 1

    def predictions(self, x: Tensor, samples: range, purpose: str) -> list[Tensor]:
        """One prediction per draw. Other purposes have other streams."""
        found = []
        for draw in range(self.draws):
            rng = Draws.of(self.seed, self.model.sha, purpose, draw, samples=samples, device=x.device)
            found.append(self.model.predict(x, rng=rng))
        return found

    def clean(self, shard: Shard) -> list[Tensor]:
        if shard.samples.start not in self._clean:
            if not self._clean:
                self._inspect(shard)
            self._clean[shard.samples.start] = self.predictions(shard.x, shard.samples, "clean")
        return self._clean[shard.samples.start]

    def _inspect(self, shard: Shard) -> None:
        """What must be known before the first score: a system that says it is deterministic has to be, for it gets no
        floor; and its outputs should be logits.
        """
        rng = Draws.of(self.seed, self.model.sha, "inspection", samples=shard.samples, device=shard.x.device)
        with torch.no_grad():
            outputs = self.model(shard.x, rng=rng)
            again = outputs if self.model.randomized else self.model(shard.x)
        if not torch.equal(outputs, again):
            raise ConfigError(f"{self.model} says randomized = False, but two evaluations of one image differ.")
        if are_probabilities(outputs):
            self.flags.add(PROBABILITIES)

    def score(self, shard: Shard, x_adv: Tensor, purpose: str, costs: Costs) -> list[Score]:
        """One score per image and metric. The reference of GFR is this system's own prediction for the clean image."""
        clean = self.clean(shard)
        perturbed = self.predictions(x_adv, shard.samples, purpose)
        again = self.predictions(shard.x, shard.samples, "floor") if self.model.randomized else clean
        linf, l2 = size(x_adv - shard.x, "linf").tolist(), size(x_adv - shard.x, "l2").tolist()
        share = Costs(*(cost / len(shard.samples) for cost in costs))
        scores = []
        for name, metric in self.model.task.metrics.items():
            columns = zip(
                _mean([metric.per_image(p, shard.y) for p in clean]),
                _mean([gfr(metric, q, p) for q, p in zip(perturbed, clean, strict=True)]),
                _mean([gfr(metric, a, p) for a, p in zip(again, clean, strict=True)]),
                _mean([metric.per_image(q, shard.y) for q in perturbed]),
                linf,
                l2,
                strict=True,
            )
            scores += [Score._make((s, name, *row, *share)) for s, row in zip(shard.samples, columns, strict=True)]
        return scores


def _mean(per_draw: list[Tensor]) -> list[float]:
    return torch.stack(per_draw).double().mean(dim=0).tolist()
