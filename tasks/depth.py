"""Monocular depth: one metric distance per pixel."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor

from ..core.errors import ConfigError, InputError
from ..core.registry import register_task
from ..core.straight_through import with_gradient_of
from ..core.task import Align, Drawing, Metric, Numbers, Places, Task
from .colours import as_hex, ramp
from .maps import FLIPS, mean_over_places

Crop = Literal["none", "garg", "eigen"]
_CROPS: Mapping[Crop, tuple[float, float, float, float]] = {
    "none": (0.0, 1.0, 0.0, 1.0),
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "eigen": (0.3324324, 0.91351351, 0.03594771, 0.96405229),
}
"""Rows and columns that count, from and to, as shares of the map's height and width."""
NEAR = 1.25
"""Times or a part of the truth: what is within that is right."""
ALMOST_ALL = 0.99
"""Of the pixels: an image is done with where so many are beyond `NEAR`."""
TENTH = 0.1
"""How much nearer or farther all of a map is that an attack aims at."""
TICKS = 5
"""Of the scale beside a picture."""
_MEASURED = ("delta1", "delta2", "delta3", "abs-rel", "sq-rel", "rmse", "rmse-log")


@register_task("depth")
@dataclass(frozen=True, kw_only=True)
class Depth(Task):
    """Outputs are depths (N, 1, H, W) or (N, H, W), predictions and targets float32 (N, H, W), all in one unit.

    A target outside [`min_depth`, `max_depth`], as 0 or NaN, says that nobody knows the truth there; predictions are
    clamped to it. `crop` says which part of the map counts: all of it, or that of Garg et al. 2016 or of Eigen et al.
    2014, both made for KITTI.

    Metrics are those of Eigen et al. 2014 (https://arxiv.org/abs/1406.2283), of each image and then averaged: `delta1`
    to `delta3`, the share of pixels within 1.25, 1.25^2 and 1.25^3 times the truth, and the errors `abs-rel`, `sq-rel`,
    `rmse` and `rmse-log`. Beside them stand two more of each: `...:median` after scaling each prediction to the truth's
    median, which hides an attack on all of the scale, and `...:clean`, scaled as the system's clean prediction of that
    image would have to be, which does not.
    """

    min_depth: float = 1e-3
    max_depth: float = 80.0
    crop: Crop = "none"

    def __post_init__(self) -> None:
        if not 0 < self.min_depth < self.max_depth < math.inf:
            raise ConfigError(f"Expected 0 < min_depth < max_depth, got {self.min_depth} and {self.max_depth}.")
        if self.crop not in _CROPS:
            raise ConfigError(f"Expected crop to be one of {', '.join(_CROPS)}, got {self.crop!r}.")

    @property
    def metrics(self) -> Mapping[str, Metric]:
        scales: dict[str, Align] = {
            "": self._clamped,
            ":median": self._scaled_to_truth,
            ":clean": self._scaled_as_clean,
        }
        return {
            f"{name}{scale}": Metric(
                statistics=self._measured,
                value=partial(_mean_of, place=_MEASURED.index(name)),
                range=most,
                error=not name.startswith("delta"),
                separable=True,
                align=align,
                kept_as=f"errors{scale}",
            )
            for scale, align in scales.items()
            for name, most in self._ranges.items()
        }

    @property
    def _ranges(self) -> Mapping[str, float]:
        low, high = self.min_depth, self.max_depth
        far = high - low
        most = (1.0, 1.0, 1.0, far / low, far**2 / low, far, math.log(high / low))
        return dict(zip(_MEASURED, most, strict=True))

    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        channels = outputs.ndim == 4 and outputs.shape[1] == 1
        if len(outputs) != samples or not (outputs.ndim == 3 or channels):
            raise InputError(f"Expected depths of shape ({samples}, 1, H, W), got {tuple(outputs.shape)}.")
        broken = int((~torch.isfinite(outputs)).flatten(1).any(dim=1).sum())
        if broken:
            raise InputError(f"Expected finite depths, got NaN or infinity for {broken} of {samples} images.")

    def check_targets(self, targets: Tensor, samples: int) -> None:
        if not isinstance(targets, Tensor) or targets.dtype != torch.float32 or targets.ndim != 3:
            found = f"{targets.dtype} {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets).__name__
            raise InputError(f"Expected maps of depths, float32 ({samples}, H, W), got {found}.")
        if len(targets) != samples:
            raise InputError(f"Expected {samples} maps of depths, got {len(targets)}.")
        if not bool(self._counts(targets).flatten(1).any(dim=1).all()):
            raise InputError(
                f"Expected a depth in {self.min_depth:g}..{self.max_depth:g} somewhere in the part of each map that "
                f"counts (crop {self.crop}), got a map without."
            )

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean absolute difference of log depths, over the pixels whose truth is known."""
        return mean_over_places(self._log_errors(outputs, targets), self._counts(targets))

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        if shown is None:
            return outputs.mean(dim=1)
        counts = shown if outputs.ndim == 4 else shown[:, :, None]
        return outputs.where(counts, 0).sum(dim=1) / counts.sum(dim=1)

    def constant(self, targets: Tensor) -> Tensor:
        """The mean depth of each pixel (H, W), where it is known; that of all pixels where it never is."""
        counts = self._counts(targets)
        known = targets.where(counts, 0).double()
        total, seen = known.sum(dim=0), counts.sum(dim=0)
        return torch.where(seen > 0, total / seen.clamp_min(1), total.sum() / seen.sum()).float()

    def predict(self, outputs: Tensor) -> Tensor:
        return _maps(outputs).clamp(self.min_depth, self.max_depth)

    @property
    def aims(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        return {
            **FLIPS,
            "nearer": partial(self._stretched, by=1 - TENTH),
            "farther": partial(self._stretched, by=1 + TENTH),
        }

    def _stretched(self, targets: Tensor, by: float) -> Tensor:
        """What is unknown stays so."""
        known = (targets >= self.min_depth) & (targets <= self.max_depth)
        return torch.where(known, (targets * by).clamp(self.min_depth, self.max_depth), targets)

    def agreement(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """The share of pixels that are `NEAR` the targets."""
        return mean_over_places((_ratio(predictions, targets) < NEAR).float(), self._counts(targets))

    def reached(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        agreement = self.agreement(predictions, targets)
        return agreement >= ALMOST_ALL if targeted else agreement <= 1 - ALMOST_ALL

    def draw(self, answers: Tensor, name: Callable[[int], str]) -> Drawing:
        """Near is bright and far dark, in equal steps of the logarithm from the nearest to the farthest of the first
        map, beyond which colours do not change; black is unknown.
        """
        known = (answers >= self.min_depth) & (answers <= self.max_depth)
        first = answers[0][known[0]].log()
        near, far = first.min(), first.max()
        shares = (answers.clamp_min(self.min_depth).log() - near) / (far - near).clamp_min(1e-6)
        pictures = ramp(1 - shares).where(known[..., None], torch.tensor(0, dtype=torch.uint8))
        ticks = torch.linspace(0, 1, TICKS)
        depths = (near + ticks.to(near) * (far - near)).exp().tolist()
        legend = [(as_hex(ramp(1 - tick)), f"{depth:.3g}") for tick, depth in zip(ticks, depths, strict=True)]
        return Drawing(pictures, legend)

    def places(self, outputs: Tensor, targets: Tensor) -> Places:
        """Every pixel. A single channel points nowhere: the alignment is the smaller of both depths over the larger."""
        ratio = _ratio(self.predict(outputs.detach()), targets).flatten(1)
        counts = self._counts(targets)
        losses = self._log_errors(outputs, targets).where(counts, 0)
        return Places(losses.flatten(1), (ratio < NEAR) & counts.flatten(1), 1 / ratio)

    def _counts(self, targets: Tensor) -> Tensor:
        """Where the truth is known and counts."""
        known = (targets >= self.min_depth) & (targets <= self.max_depth)
        top, bottom, left, right = _CROPS[self.crop]
        height, width = targets.shape[1:]
        inside = torch.zeros_like(known)
        inside[:, int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
        return known & inside

    def _log_errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """(N, H, W). Where prediction and target agree the slope is that for more depth, not 0: an attack on a system's
        own prediction begins there. Where the network answers beyond the range, it is that of the range's end: a clamp
        has none, and no attack would ever bring such a pixel back.
        """
        truth = targets.where(self._counts(targets), self.max_depth)
        found = with_gradient_of(_maps(outputs), self.predict(outputs))
        gap = found.log() - truth.log()
        return torch.where(gap >= 0, gap, -gap)

    def _measured(self, predictions: Tensor, reference: Tensor) -> Tensor:
        """(N, 8) float32: of each image the seven numbers of `_MEASURED`, and 1, for it is one image."""
        counts = self._counts(reference)
        truth = reference.where(counts, self.max_depth)
        found = predictions.where(counts, truth)  # nothing is wrong where nobody knows
        truth, found, counts = (part.flatten(1) for part in (truth, found, counts))
        known = counts.sum(dim=1)
        share, gap = found / truth, found - truth
        ratio, logs, relative = torch.maximum(share, 1 / share), share.log(), gap / truth
        beyond = [(ratio >= NEAR**power).sum(dim=1) for power in (1, 2, 3)]
        errors = [relative.abs().sum(dim=1), _dot(gap, relative), _dot(gap, gap), _dot(logs, logs)]
        within = [known - each for each in beyond]
        means = torch.stack([*within, *errors], dim=1) / known.clamp_min(1)[:, None]
        means[:, -2:] = means[:, -2:].sqrt()
        return torch.cat([means, torch.ones_like(means[:, :1])], dim=1)

    def _clamped(self, predictions: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
        return predictions.clamp(self.min_depth, self.max_depth)

    def _scaled_to_truth(self, predictions: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
        return self._scaled(predictions, predictions, reference)

    def _scaled_as_clean(self, predictions: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
        return self._scaled(predictions, clean, reference)

    def _scaled(self, predictions: Tensor, measured: Tensor, reference: Tensor) -> Tensor:
        """By what takes the median of `measured` to that of the reference."""
        counts = self._counts(reference)
        scale = _median(reference, counts) / _median(measured, counts)
        return (predictions * scale[:, None, None]).clamp(self.min_depth, self.max_depth)


def _maps(outputs: Tensor) -> Tensor:
    return outputs[:, 0] if outputs.ndim == 4 else outputs


def _ratio(predictions: Tensor, targets: Tensor) -> Tensor:
    """Of the larger to the smaller."""
    ratio = predictions / targets
    return torch.maximum(ratio, 1 / ratio)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return torch.linalg.vecdot(first, second)


def _median(depths: Tensor, counts: Tensor) -> Tensor:
    return depths.masked_fill(~counts, math.nan).flatten(1).nanmedian(dim=1).values


def _mean_of(sums: Numbers, *, place: int) -> Numbers:
    return sums[..., place] / sums[..., -1]
