"""The generalized fooling rate of GD-UAP, section 3.6 (https://arxiv.org/abs/1801.08092)."""

from torch import Tensor

from ..core.errors import InputError
from ..core.task import Metric


def gfr(metric: Metric, perturbed: Tensor, clean: Tensor) -> Tensor:
    """GFR(M) = (R - M(perturbed, clean)) / R for each image, shape (N,), in [0, 1].

    `clean` are the *same system's* predictions for the unperturbed images, never the labels. For top-1 accuracy it is 1
    where the prediction changed, so its mean is the fooling rate. Of an error E, which is 0 where predictions agree,
    the metric is M = R - E: the rate is its share of the largest possible error. Raises InputError for no images or
    differing shapes.
    """
    if perturbed.shape != clean.shape:
        raise InputError(f"Expected predictions of one shape, got {tuple(perturbed.shape)} and {tuple(clean.shape)}.")
    if not len(clean):
        raise InputError("Expected at least one prediction: the fooling rate of no images is not 0, it does not exist.")
    return metric.lack(metric.per_image(perturbed, clean))
