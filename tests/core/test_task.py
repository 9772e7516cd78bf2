"""A task has to define what is asked of it; a metric is of each image, or of sums over all of them."""

import numpy as np
import pytest
import torch
from foolbench.core import Metric, Task

NEEDED = ("metrics", "check_outputs", "check_targets", "loss", "average", "predict")


@pytest.mark.parametrize("lacking", NEEDED)
def test_a_task_that_lacks_something_cannot_be_made(lacking):
    """It would answer None wherever it is asked."""
    given = {name: lambda self, *given: None for name in NEEDED if name != lacking}
    with pytest.raises(TypeError, match=lacking):
        type("Mine", (Task,), given)()


def test_metrics_may_share_their_statistics():
    """The column of each is what a metric of its own would be."""

    def both(predictions, reference):
        gap = (predictions - reference).abs()
        return torch.stack([gap.mean(dim=1), gap.amax(dim=1)], dim=1)

    rng = np.random.default_rng(0)
    predictions, reference = (torch.from_numpy(rng.random((5, 3))) for _ in range(2))
    mean, largest = (Metric(statistics=both, column=column, error=True, kept_as="gaps") for column in (0, 1))
    gap = (predictions - reference).abs()
    assert torch.equal(mean.per_image(predictions, reference), gap.mean(dim=1))
    assert largest.of_set(both(predictions, reference).numpy()) == pytest.approx(float(gap.amax(dim=1).mean()))
    assert mean.is_mean
    assert not mean.keeps_rates
    alone = Metric(statistics=lambda p, r: (p - r).abs().mean(dim=1))
    assert alone.keeps_rates
    assert torch.equal(alone.per_image(predictions, reference), gap.mean(dim=1))
