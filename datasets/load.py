"""Load any data set: by its name or address in recipes and on the command line, or from objects in memory."""

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
    """Return a data set, given an address, a torch Dataset of (image, target) or a pair of tensors (images, labels).

    An address is a registered name, `image-folder:PATH`, `cifar10:PATH`, `FILE.py:NAME`, ...; labels may be None.
    `options` are the keys that a recipe's table may have beside the name, such as `train` and `train_share`. Raises
    ConfigError for anything that is not data and for invalid options, InputError for tensors that hold no images.
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
