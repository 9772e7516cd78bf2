"""Semantic segmentation: one class per pixel."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ..core.errors import ConfigError, InputError
from ..core.registry import register_task
from ..core.task import Drawing, Metric, Numbers, Places, Task
from .colours import VOID_GREY, as_hex, class_colours
from .maps import FLIPS, mean_over_places, nearest

VOID = 255
"""Label of unlabelled pixels, such as borders between objects; no loss and no metric counts them."""
SURE = 20.0
"""Largest margin, in logits, of an image's median pixel; 6 to 20 for the networks that ship with foolbench."""
_EVERY = 4
"""Of which pixels of a row and a column that margin is taken."""
ALMOST_ALL = 0.99
"""Share of the labelled pixels that an attack must change before it is done with an image (as ALMA prox, CVPR 2023)."""


@register_task("segmentation")
@dataclass(frozen=True, kw_only=True)
class Segmentation(Task):
    """Segmentation: outputs are logits (N, classes, H, W), predictions and targets int64 (N, H, W).

    Targets may contain VOID.

    - `miou`: intersection over union per class over the pixels of all images, averaged over classes. With
      `absent_as_zero` classes that occur in no map count as 0, as in the code of GD-UAP; otherwise they are left out.
    - `miou-image`: the mean IoU of each image alone, over the classes in its truth or prediction, averaged over images.
    - `pixel-accuracy`: the share of all labelled pixels that are predicted correctly.

    `background` is the class of pixels that show no object, None where there is no such class.
    """

    classes: int
    absent_as_zero: bool = False
    settings: ClassVar = ("absent_as_zero",)

    background: int | None = 0  # pyright: ignore[reportIncompatibleMethodOverride] (a field serves as well)

    def __post_init__(self) -> None:
        if not 2 <= self.classes <= VOID:
            raise ConfigError(f"Expected 2 to {VOID} classes, got {self.classes}.")
        if self.background is not None and not 0 <= self.background < self.classes:
            raise ConfigError(f"Expected background in 0..{self.classes - 1} or none, got {self.background}.")

    @property
    def metrics(self) -> Mapping[str, Metric]:
        counts = partial(confusions, classes=self.classes)
        value = partial(mean_iou, absent_as_zero=self.absent_as_zero)
        return {
            "miou": Metric(statistics=counts, value=value, kept_as="confusions", by_class=_by_class),
            "miou-image": Metric(statistics=partial(_iou_of_images, classes=self.classes)),
            "pixel-accuracy": Metric(statistics=counts, value=_accuracy, separable=True, kept_as="confusions"),
        }

    def check_outputs(self, outputs: Tensor, samples: int) -> None:
        if outputs.ndim != 4 or outputs.shape[:2] != (samples, self.classes):
            raise InputError(f"Expected logits of shape ({samples}, {self.classes}, H, W), got {tuple(outputs.shape)}.")
        if not torch.isfinite(outputs.sum()):  # one pass; a sum can overflow where no entry does
            broken = int((~torch.isfinite(outputs)).flatten(1).any(dim=1).sum())
            if broken:
                raise InputError(f"Expected finite logits, got NaN or infinity for {broken} of {samples} images.")

    def check_targets(self, targets: Tensor, samples: int) -> None:
        if not isinstance(targets, Tensor) or targets.dtype != torch.int64 or targets.ndim != 3:
            found = f"{targets.dtype} {tuple(targets.shape)}" if isinstance(targets, Tensor) else type(targets).__name__
            raise InputError(f"Expected maps of classes, int64 ({samples}, H, W), got {found}.")
        if len(targets) != samples:
            raise InputError(f"Expected {samples} maps of classes, got {len(targets)}.")
        labelled = targets != VOID
        found = targets[labelled]
        if not bool(labelled.flatten(1).any(dim=1).all()):
            raise InputError("Expected a labelled pixel in every map of classes, got one that is void everywhere.")
        low, high = int(found.min()), int(found.max())
        if low < 0 or high >= self.classes:
            raise InputError(f"Expected classes in 0..{self.classes - 1} or {VOID} for void, got {low}..{high}.")

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the cross-entropy, averaged over the labelled pixels of each image, (N,)."""
        return mean_over_places(_cross_entropy(outputs, targets), targets != VOID)

    def objective(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss (N,) of logits that are scaled down where most pixels are too confident to have a gradient.

        The scale then depends on the image: the gradient is a good direction, but values at two points are hardly
        comparable.
        """
        return self.loss(_less_sure(outputs, targets), targets)

    def average(self, outputs: Tensor, shown: Tensor | None = None) -> Tensor:
        """Average logits (N, V, classes, H, W) over views, as the logarithm of the mean probabilities."""
        found = outputs.log_softmax(dim=2)
        if shown is None:
            return found.logsumexp(dim=1) - float(np.log(outputs.shape[1]))
        counted = found.where(shown[:, :, None], -torch.inf)
        return counted.logsumexp(dim=1) - shown.sum(dim=1)[:, None].log()

    def constant(self, targets: Tensor) -> Tensor:
        """Return the class frequencies at each pixel (classes, H, W) as logits, with add-one smoothing."""
        seen = torch.stack([(targets == label).sum(dim=0) for label in range(self.classes)])
        return (seen + 1).float().log()

    def predict(self, outputs: Tensor) -> Tensor:
        return outputs.max(dim=1).indices  # eight times as fast as argmax on a CPU

    def resized(self, predictions: Tensor, size: tuple[int, int]) -> Tensor:
        return nearest(predictions, size)

    @property
    def aims(self) -> Mapping[str, Callable[[Tensor], Tensor]]:
        return FLIPS

    def agreement(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Return the share of the labelled pixels whose prediction equals the target, (N,)."""
        return mean_over_places((predictions == targets).float(), targets != VOID)

    def reached(self, predictions: Tensor, targets: Tensor, *, targeted: bool) -> Tensor:
        agreement = self.agreement(predictions, targets)
        return agreement >= ALMOST_ALL if targeted else agreement <= 1 - ALMOST_ALL

    def reference(self, predictions: Tensor, targets: Tensor | None) -> Tensor:
        """Return the clean predictions, set to VOID where the targets are."""
        return predictions if targets is None else predictions.masked_fill(targets == VOID, VOID)

    def draw(self, answers: Tensor, name: Callable[[int], str]) -> Drawing:
        """Draw every class in its colour, with a legend of the classes that occur."""
        present = [int(label) for label in answers.unique() if label != VOID]
        colours = class_colours(self.classes)
        pictures = torch.full((*answers.shape, 3), VOID_GREY, dtype=torch.uint8, device=answers.device)
        for label in present:
            pictures[answers == label] = colours[label].to(answers.device)
        legend = [(as_hex(colours[label]), name(label)) for label in present]
        void = [(as_hex(pictures.new_full((3,), VOID_GREY)), "void")] if bool((answers == VOID).any()) else []
        return Drawing(pictures, [*legend, *void])

    def places(self, outputs: Tensor, targets: Tensor) -> Places:
        """Return every pixel as a place, whose kind is its target class.

        The alignment is the cosine similarity between the probabilities and the one-hot target.
        """
        outputs, labelled = _less_sure(outputs, targets), targets != VOID
        probabilities = outputs.detach().softmax(dim=1)
        at_target = probabilities.gather(1, targets.masked_fill(~labelled, 0)[:, None])[:, 0]
        return Places(
            _cross_entropy(outputs, targets).flatten(1),
            (self.predict(outputs.detach()) == targets).flatten(1),
            (at_target / probabilities.norm(dim=1)).flatten(1),
            targets.flatten(1),
        )


def confusions(predictions: Tensor, reference: Tensor, *, classes: int) -> Tensor:
    """Count the true positive, false positive and false negative pixels of each class, for each image.

    Returns int64 (N, 3 * classes): all true positives first, then false positives, then false negatives. Pixels where
    the reference is VOID are not counted.
    """
    image = torch.arange(len(reference), dtype=torch.int32, device=reference.device)[:, None, None]
    truth = reference.to(torch.int32, copy=True).clamp_(max=classes)  # VOID becomes one more class
    cell = truth.add_(image, alpha=classes + 1).mul_(classes).add_(predictions.to(torch.int32))
    pairs = torch.bincount(cell.flatten(), minlength=len(reference) * (classes + 1) * classes)
    matrix = pairs.reshape(-1, classes + 1, classes)[:, :classes]  # truth x prediction, without VOID's row
    right = matrix.diagonal(dim1=1, dim2=2)
    return torch.cat([right, matrix.sum(dim=1) - right, matrix.sum(dim=2) - right], dim=1)


def mean_iou(counts: Numbers, *, absent_as_zero: bool = False) -> Numbers:
    """Return the intersection over union, averaged over classes, from the counts (..., 3 * classes) of `confusions`.

    Classes in neither map are left out, or count as 0 with `absent_as_zero`.
    """
    right, union = _overlap(counts)
    iou = np.divide(right, union, out=np.zeros_like(union, dtype=float), where=union > 0)
    present = union.shape[-1] if absent_as_zero else np.maximum((union > 0).sum(axis=-1), 1)
    return iou.sum(axis=-1) / present


def _overlap(counts: Numbers) -> tuple[Numbers, Numbers]:
    """Return the pixels (..., classes) in the intersection and in the union of both maps."""
    right, wrongly, missed = np.split(counts, 3, axis=-1)
    return right, right + wrongly + missed


def _by_class(counts: Numbers) -> tuple[Numbers, Numbers]:
    """Return the pixels of each class in the reference and its intersection over union, NaN if in neither map."""
    right, union = _overlap(counts)
    iou = np.divide(right, union, out=np.full_like(union, np.nan, dtype=float), where=union > 0)
    missed = np.split(counts, 3, axis=-1)[2]
    return right + missed, iou


def _iou_of_images(predictions: Tensor, reference: Tensor, *, classes: int) -> Tensor:
    counts = confusions(predictions, reference, classes=classes)
    return torch.from_numpy(mean_iou(counts.double().cpu().numpy())).to(reference.device)


def _accuracy(counts: Numbers) -> Numbers:
    right, _, missed = np.split(counts, 3, axis=-1)
    return right.sum(axis=-1) / np.maximum((right + missed).sum(axis=-1), 1)


def _less_sure(outputs: Tensor, targets: Tensor) -> Tensor:
    """Scale down logits (N, classes, H, W), image by image, so that the margin of the median labelled pixel is at most
    `SURE`.

    Cross-entropy has no gradient at pixels far from every decision boundary, and how far depends on the logits' scale.
    """
    margins = _median_margins(outputs.detach(), targets, every=_EVERY)
    if bool((margins <= SURE).all()):
        return outputs
    if bool(margins.isnan().any()):  # the few labelled pixels of an image lie between those looked at
        margins = margins.where(~margins.isnan(), _median_margins(outputs.detach(), targets, every=1))
    times = (margins / SURE).nan_to_num(1)  # of maps that are void everywhere nothing is known
    return outputs / times.clamp_min(1)[:, None, None, None]


def _median_margins(outputs: Tensor, targets: Tensor, *, every: int) -> Tensor:
    """Return the median lead (N,) of the likeliest class, of every so many rows and columns; NaN where all are VOID."""
    first, second = outputs[:, :, ::every, ::every].topk(2, dim=1).values.unbind(dim=1)
    void = targets[:, ::every, ::every] == VOID
    return (first - second).masked_fill(void, torch.nan).flatten(1).nanmedian(dim=1).values


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the cross-entropy of each pixel, (N, H, W), 0 where the target is VOID."""
    return F.cross_entropy(outputs, targets, ignore_index=VOID, reduction="none")
