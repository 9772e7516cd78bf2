"""What a network answers for the probes and for some images of the data set that it is evaluated on."""

from ....core.behaviour import Behaviour
from ....core.dataset import Dataset
from ....core.model import Model
from ...grid.sampling import looked_at

EACH = 8
"""Every eighth of the images by which a data set is checked is shown to a network, at each start of a run."""


def behaviour(model: Model, dataset: Dataset) -> Behaviour:
    """Return a network's behaviour; `dataset` has images of its size. Raises ConfigError for a random network."""
    return Behaviour.of(model, dataset.shape, dataset.load(looked_at(dataset)[::EACH])[0])
