"""The generalized fooling rate of GD-UAP, section 3.6 (https://arxiv.org/abs/1801.08092)."""

from torch import Tensor

from ..core.errors import InputError
from ..core.task import Metric


def gfr(metric: Metric, perturbed: Tensor, clean: Tensor) -> Tensor:
    """Return the generalized fooling rate (R - M(perturbed, clean)) / R of each image, shape (N,), in [0, 1].

    R is the range of the metric M. `perturbed` are a system's predictions for the perturbed images; `clean` are the
    *same system's* predictions for the unperturbed images, never the labels. For top-1 accuracy the rate is 1 where the
    prediction changed, so its mean is the fooling rate. For an error E, which is 0 where predictions agree, M = R - E:
    the rate is E as a share of the largest possible error. Raises InputError for no images or differing shapes.
    """
    if perturbed.shape != clean.shape:
        raise InputError(f"Expected predictions of one shape, got {tuple(perturbed.shape)} and {tuple(clean.shape)}.")
    if not len(clean):
        raise InputError("Expected at least one prediction: the fooling rate of no images is not 0, it does not exist.")
    return metric.lack(metric.per_image(perturbed, clean))
