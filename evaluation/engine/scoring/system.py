"""Score adversarial images against one defended system."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ....core.errors import ConfigError
from ....core.model import Model
from ....core.norms import Norm, size
from ....core.seeding import Draws
from ....core.task import Task
from ...conformance.steady import batch_tolerance
from ...grid.layers import named
from ...leaderboard.flags import FLAT, PROBABILITIES, RANDOM_WEIGHTS, SINGLE_DRAW
from ...ledger.record import Outcomes
from ..crafting.crafted import Crafted
from ..crafting.shard import Shard
from ..memory.pieces import Pieces
from ..memory.remembered import Remembered, Room
from .answers import Answers
from .layers import changes, shift

INSPECTED = 8
"""The number of images, the first of a run, on which a system is inspected."""
_HARDLY = 0.1
"""The lead of the likeliest class over its share, of the largest there can be, below which outputs are flat."""
_MEASURED: tuple[Norm, ...] = ("linf", "l2")  # recorded whatever the norm of the budget


@dataclass
class System:
    """A model, perhaps behind a defense, that is scored, with its predictions for clean images.

    A randomized system is evaluated `draws` times on every image, each time with new random streams, and every score is
    the mean; a deterministic one is evaluated once. `flags` are the reasons to doubt its scores. `room` is the memory
    for its clean predictions, shared with other systems. The outputs of `layers` are compared as well, see
    `grid.layers`.
    """

    model: Model
    seed: int
    draws: int
    flags: set[str] = field(default_factory=set)
    room: Room = field(default_factory=Room)
    pieces: Pieces = field(default_factory=Pieces)
    layers: Sequence[str] = ()
    _inspected: bool = False

    def __post_init__(self) -> None:
        self._said = Remembered(self.room)
        if self.model.random_weights:
            self.flags.add(RANDOM_WEIGHTS)
        if not self.model.randomized:
            self.draws = 1
        elif self.draws == 1:
            self.flags.add(SINGLE_DRAW)

    def predictions(self, x: Tensor, samples: Sequence[int], purpose: str) -> list[Tensor]:
        """Return the predictions for images, one tensor per draw. Each `purpose` has random streams of its own."""
        return [torch.cat(self._predicted(x, samples, purpose, draw)) for draw in range(self.draws)]

    def _predicted(self, x: Tensor, samples: Sequence[int], purpose: str, draw: int) -> list[Tensor]:
        """Return the predictions of one draw, as a tensor for each piece that fits into memory."""

        def predict(rows: slice) -> Tensor:
            rng = Draws.of(self.seed, self.model.sha, purpose, draw, samples=samples[rows], device=x.device)
            return self.model.predict(x[rows].clone(), rng=rng)  # a defense may write to its input

        return self.pieces.each(len(x), predict)

    def clean(self, shard: Shard) -> list[Tensor]:
        """Return the predictions for clean images, one tensor per draw.

        The first call inspects the system, and raises ConfigError if it breaks its promises.
        """
        if not self._inspected:
            self.pieces.first(min(INSPECTED, len(shard.x)), lambda rows: self._inspect(shard.part(rows)))
            self._inspected = True
        return self.unperturbed(shard, "clean")

    def unperturbed(self, shard: Shard, purpose: str) -> list[Tensor]:
        """Return the predictions for clean images, which are remembered, since every attack needs the same ones."""
        return self._said.predictions(
            purpose, shard.samples, shard.x.device, lambda: self.predictions(shard.x, shard.samples, purpose)
        )

    def _inspect(self, shard: Shard) -> None:
        """Check the system before its first score, and add flags that make it doubtful.

        Raises ConfigError if its predictions have a wrong size, depend on other images of the batch, or are not
        repeatable.
        """
        outputs = self._evaluate(shard, slice(None))
        _check_size(self.model, self.model.task.predict(outputs), shard.x)
        if not torch.equal(outputs, self._evaluate(shard, slice(None))):
            raise ConfigError(
                f"{self.model} draws random numbers elsewhere than from `rng`: two evaluations with one seed differ."
                if self.model.randomized
                else f"{self.model} says randomized = False, but two evaluations of one image differ."
            )
        half = len(shard.x) // 2
        if half:
            apart = torch.cat([self._evaluate(shard, slice(half)), self._evaluate(shard, slice(half, None))])
            tolerance = max(1e-2, batch_tolerance(self.model))
            if not torch.allclose(apart, outputs, rtol=tolerance, atol=tolerance * float(outputs.abs().max())):
                raise ConfigError(f"{self.model} answers otherwise when an image shares its batch with other images.")
        if _are_probabilities(outputs):
            self.flags.add(PROBABILITIES)
        elif _are_flat(self.model.task, outputs):
            self.flags.add(FLAT)

    def _evaluate(self, shard: Shard, rows: slice) -> Tensor:
        """Return the outputs for some of the images, with the same draws at every call."""
        rng = Draws.of(self.seed, self.model.sha, "inspection", samples=shard.samples[rows], device=shard.x.device)
        with torch.no_grad():
            return self.model(shard.x[rows].clone(), rng=rng)

    def score(self, shard: Shard, crafted: Crafted, purpose: str, norm: Norm = "linf") -> Outcomes:
        """Return the outcomes of a shard; GFR compares with this system's own predictions for the clean images.

        `norm` is that of the budget: the perturbations are measured in it, and in Linf and L2.
        """
        clean = self.clean(shard)
        perturbed = self.predictions(crafted.x_adv, shard.samples, purpose)
        again = self.unperturbed(shard, "floor") if self.model.randomized else clean
        change, count = crafted.x_adv - shard.x, len(shard.samples)
        costs = {name: np.full(count, cost / count) for name, cost in crafted.costs._asdict().items()}
        images = {
            **{name: size(change, name).cpu().numpy() for name in dict.fromkeys((*_MEASURED, norm))},
            "undone": crafted.undone.cpu().numpy(),
        }
        if crafted.queries is not None:
            images["queries"] = crafted.queries.cpu().numpy()
        if self.layers:
            images |= self._moved(shard, crafted.x_adv)
        answers = Answers(clean, again, perturbed, [self.model.task.reference(p, shard.y) for p in clean])
        if self.model.task.rejected is not None:
            images |= answers.rejections(self.model.task.rejected, shard.y)
        metrics: dict[str, dict[str, NDArray[np.float64]]] = {}
        for name, metric in self.model.task.metrics.items():
            kept_as = metric.kept_as or name
            if kept_as not in metrics:
                metrics[kept_as] = answers.columns(metric, self.model.task, shard, crafted.goals)
        samples = np.asarray(shard.samples)
        return Outcomes(samples=samples, images=images | costs, metrics=metrics, flags=frozenset(self.flags))

    def _moved(self, shard: Shard, x_adv: Tensor) -> dict[str, NDArray[np.float32]]:
        layers = named(self.layers, self.model.feature_names)

        def compared(rows: slice) -> dict[str, NDArray[np.float32]]:
            rng = Draws.of(self.seed, self.model.sha, "layers", samples=shard.samples[rows], device=shard.x.device)
            return changes(self.model, layers, shard.x[rows], x_adv[rows], rng=rng)

        parts = self.pieces.each(len(shard.x), compared)
        found = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return found | {"layer_shift": shift(found)}


def _check_size(model: Model, predictions: Tensor, x: Tensor) -> None:
    """Raise ConfigError unless predicted maps (N, H, W) have the size of the images."""
    if predictions.ndim == 3 and predictions.shape[1:] != x.shape[2:]:
        found, images = (" x ".join(map(str, size)) for size in (predictions.shape[1:], x.shape[2:]))
        raise ConfigError(
            f"{model} answers with maps of {found} to images of {images}; resize them in its forward, as with "
            'torch.nn.functional.interpolate(..., mode="bilinear").'
        )


def _are_probabilities(outputs: Tensor) -> bool:
    """Return whether class scores (N, K) look like probabilities: never negative, with rows that sum to one."""
    if outputs.ndim != 2 or outputs.min() < 0:
        return False
    totals = outputs.sum(dim=1)
    return bool(torch.allclose(totals, torch.ones_like(totals), atol=1e-4))


def _are_flat(task: Task, outputs: Tensor) -> bool:
    """Return whether class scores give the likeliest class hardly more than its share, on most of the images.

    An answer that no image changes may be as it likes.
    """
    sure = task.confidence(outputs)
    if task.class_scores is None or sure is None or bool((outputs == outputs[:1]).all()):
        return False
    chance = 1 / task.class_scores
    return float(sure.median()) - chance < _HARDLY * (1 - chance)
