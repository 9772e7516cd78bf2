"""Any data, by what they are called in recipes and on the command line, or as they lie in memory."""

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import DataLoader

from ..core.dataset import Dataset
from ..core.errors import ConfigError
from ..core.registry import datasets
from .pictures.python_object import as_dataset
from .pictures.tensors import pairs


def load_dataset(data: Any, **options: Any) -> Dataset:
    """A data set from an address (a registered name, `image-folder:PATH`, `cifar10:PATH`, `FILE.py:NAME`, ...), a torch
    Dataset of (image, target), or a pair of tensors (images, labels), labels None where there are none.

    `options` are what a recipe's table may hold beside the name, as `train` and `train_share`. Raises ConfigError for
    what is no data or an option that makes no sense, InputError for tensors that hold no images.
    """
    if isinstance(data, str):
        return datasets.bind(data, options)()
    if isinstance(data, Tensor | np.ndarray):
        return as_dataset("tensors", pairs(data), options)
    if isinstance(data, tuple | list) and len(data) == 2 and isinstance(data[0], Tensor | np.ndarray):
        return as_dataset("tensors", pairs(*data), options)
    if not (hasattr(data, "load") or hasattr(data, "__getitem__")):
        hint = "; give its .dataset" if isinstance(data, DataLoader) else ""
        raise ConfigError(
            "Expected data as an address, a torch Dataset that can be indexed or a pair of tensors, got "
            f"{type(data).__name__}{hint}."
        )
    return as_dataset(type(data).__name__, data, options)
