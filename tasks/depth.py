"""Monocular depth estimation: one metric distance per pixel."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import ConfigError, InputError
from ..core.registry import register_task
from ..core.straight_through import with_gradient_of
from ..core.task import Align, Drawing, Metric, Places, Task
from .colours import as_hex, ramp
from .maps import FLIPS, mean_over_places

Crop = Literal["none", "garg", "eigen"]
_CROPS: Mapping[Crop, tuple[float, float, float, float]] = {
    "none": (0.0, 1.0, 0.0, 1.0),
    "garg": (0.40810811, 0.99189189, 0.03594771, 0.96405229),
    "eigen": (0.3324324, 0.91351351, 0.03594771, 0.96405229),
}
"""Top, bottom, left and right edge of the evaluated part of the map, as shares of its height and width."""
NEAR = 1.25
"""Largest ratio between prediction and truth, either way round, at which a pixel counts as right."""
ALMOST_ALL = 0.99
"""Share of the pixels that must be wrong (for a targeted attack: right) before an attack is done with an image."""
TENTH = 0.1
"""Relative change of all depths in the target maps `nearer` and `farther`."""
AT_TARGET = 1 + TENTH / 4
"""Largest ratio between prediction and target, either way round, at which a pixel has reached a target: well within a
`TENTH`, for the unattacked prediction itself is that near to some targets.
"""
TICKS = 5
"""Number of labelled depths in the legend of a drawing."""
_MEASURED = ("delta1", "delta2", "delta3", "abs-rel", "sq-rel", "rmse", "rmse-log")


@register_task("depth")
@dataclass(frozen=True, kw_only=True)
class Depth(Task):
    """Monocular depth: outputs (N, 1, H, W) or (N, H, W), predictions and targets float32 (N, H, W), all in one unit.

    A target outside [`min_depth`, `max_depth`], such as 0 or NaN, marks a pixel whose depth is unknown; predictions are
    clamped to that interval. `crop` selects the part of the map that is evaluated: all of it ("none"), or the crop of
    Garg et al. 2016 ("garg") or Eigen et al. 2014 ("eigen"), both made for KITTI and given as shares of what the
    network sees: let it see whole pictures (`crop = "squash"` of its preprocessing), not their middle.

    The metrics are those of Eigen et al. 2014 (https://arxiv.org/abs/1406.2283), computed per image and then averaged:
    `delta1` to `delta3`, the share of pixels within a factor of 1.25, 1.25^2 and 1.25^3 of the truth, and the errors
    `abs-rel`, `sq-rel`, `rmse` and `rmse-log`. Each has two variants: `...:median` scales every prediction to the
    median of the truth, which hides an attack on the overall scale; `...:clean` scales it by the factor that the
    system's clean prediction of the same image would need, which does not hide it.
    """

    min_depth: float = 1e-3
    max_depth: float = 80.0
    crop: Crop = "none"

    settings: ClassVar = ("min_depth", "max_depth", "crop")

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
                column=_MEASURED.index(name),
                range=most,
                error=not name.startswith("delta"),
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
        """Return the mean absolute difference of log depths over the pixels that count, (N,)."""
        return mean_over_places(self._log_errors(outputs, targets), self._counts(targets))

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        if shown is None:
            return outputs.mean(dim=1)
        counts = shown if outputs.ndim == 4 else shown[:, :, None]
        return outputs.where(counts, 0).sum(dim=1) / counts.sum(dim=1)

    def constant(self, targets: Tensor) -> Tensor:
        """Return the mean known depth of each pixel (H, W), and of all pixels where a pixel's depth is never known."""
        counts = self._counts(targets)
        known = targets.where(counts, 0).double()
        total, seen = known.sum(dim=0), counts.sum(dim=0)
        return torch.where(seen > 0, total / seen.clamp_min(1), total.sum() / seen.sum()).float()

    def predict(self, outputs: Tensor) -> Tensor:
        return _maps(outputs).clamp(self.min_depth, self.max_depth)

    def resized(self, predictions: Tensor, size: tuple[int, int]) -> Tensor:
        """Interpolate depths (N, H, W) bilinearly, as the field does to compare with a truth of the picture's size."""
        return F.interpolate(predictions[:, None], size, mode="bilinear", align_corners=False)[:, 0]

    @property
    def aims(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        return {
            **FLIPS,
            "nearer": partial(self._stretched, by=1 - TENTH),
            "farther": partial(self._stretched, by=1 + TENTH),
        }

    def _stretched(self, targets: Tensor, by: float) -> Tensor:
        """Multiply the known depths by `by`; unknown ones stay unknown."""
        known = (targets >= self.min_depth) & (targets <= self.max_depth)
        return torch.where(known, (targets * by).clamp(self.min_depth, self.max_depth), targets)

    def agreement(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the share of the counting pixels within a factor of `NEAR` of the targets, (N,)."""
        return mean_over_places((_ratio(predictions, targets) < NEAR).float(), self._counts(targets))

    def reached(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        if not targeted:
            return self.agreement(predictions, targets) <= 1 - ALMOST_ALL
        there = (_ratio(predictions, targets) < AT_TARGET).float()
        return mean_over_places(there, self._counts(targets)) >= ALMOST_ALL

    def draw(self, answers: Tensor, name: Callable[[int], str]) -> Drawing:
        """Draw depth maps: near pixels are bright, far ones dark, unknown ones black.

        The scale is logarithmic and spans the depths of the first map; depths beyond get the colours of its ends.
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
        """Return every pixel as a place.

        One channel has no direction in output space, so the alignment is the smaller of prediction and target over the
        larger.
        """
        ratio = _ratio(self.predict(outputs.detach()), targets).flatten(1)
        counts = self._counts(targets)
        losses = self._log_errors(outputs, targets).where(counts, 0)
        return Places(losses.flatten(1), (ratio < NEAR) & counts.flatten(1), 1 / ratio)

    def _counts(self, targets: Tensor) -> Tensor:
        """Return a mask (N, H, W) of the pixels whose depth is known and that lie inside the crop."""
        known = (targets >= self.min_depth) & (targets <= self.max_depth)
        top, bottom, left, right = _CROPS[self.crop]
        height, width = targets.shape[1:]
        inside = torch.zeros_like(known)
        inside[:, int(top * height) : int(bottom * height), int(left * width) : int(right * width)] = True
        return known & inside

    def _log_errors(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the absolute log errors (N, H, W), with gradients that never vanish.

        Where prediction and target are equal the gradient is that of a growing depth, not 0: an attack on a system's
        own prediction starts there. Where the output leaves the range, the gradient is that at the end of the range: a
        clamp has none, and no attack could ever bring such a pixel back.
        """
        truth = targets.where(self._counts(targets), self.max_depth)
        found = with_gradient_of(_maps(outputs), self.predict(outputs))
        gap = found.log() - truth.log()
        return torch.where(gap >= 0, gap, -gap)

    def _measured(self, predictions: Tensor, reference: Tensor) -> Tensor:
        """Return (N, 7): the values of `_MEASURED` for each image."""
        counts = self._counts(reference)
        truth = reference.where(counts, self.max_depth)
        found = predictions.where(counts, truth)  # no error where the depth is unknown
        truth, found, counts = (part.flatten(1) for part in (truth, found, counts))
        known = counts.sum(dim=1)
        share, gap = found / truth, found - truth
        ratio, logs, relative = torch.maximum(share, 1 / share), share.log(), gap / truth
        beyond = [(ratio >= NEAR**power).sum(dim=1) for power in (1, 2, 3)]
        errors = [relative.abs().sum(dim=1), _dot(gap, relative), _dot(gap, gap), _dot(logs, logs)]
        within = [known - each for each in beyond]
        means = torch.stack([*within, *errors], dim=1) / known.clamp_min(1)[:, None]
        means[:, -2:] = means[:, -2:].sqrt()
        return means

    def _clamped(self, predictions: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
        return predictions.clamp(self.min_depth, self.max_depth)

    def _scaled_to_truth(self, predictions: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
        return self._scaled(predictions, predictions, reference)

    def _scaled_as_clean(self, predictions: Tensor, reference: Tensor, clean: Tensor) -> Tensor:
        return self._scaled(predictions, clean, reference)

    def _scaled(self, predictions: Tensor, measured: Tensor, reference: Tensor) -> Tensor:
        """Scale predictions by the factor that brings the median of `measured` to that of the reference."""
        counts = self._counts(reference)
        scale = _median(reference, counts) / _median(measured, counts)
        return (predictions * scale[:, None, None]).clamp(self.min_depth, self.max_depth)


def _maps(outputs: Tensor) -> Tensor:
    return outputs[:, 0] if outputs.ndim == 4 else outputs


def _ratio(predictions: Tensor, targets: Tensor) -> Tensor:
    """Return the ratio of the larger depth to the smaller, at least 1."""
    ratio = predictions / targets
    return torch.maximum(ratio, 1 / ratio)


def _dot(first: Tensor, second: Tensor) -> Tensor:
    return torch.linalg.vecdot(first, second)


def _median(depths: Tensor, counts: Tensor) -> Tensor:
    """Return the median depth of each image; of an even number of pixels the mean of the middle two."""
    known = depths.masked_fill(~counts, math.nan).flatten(1)
    return (known.nanmedian(dim=1).values - (-known).nanmedian(dim=1).values) / 2
