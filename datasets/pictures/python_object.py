"""`FILE.py:NAME` and `package.module:NAME`: any map-style torch Dataset of (image, target), or what makes one."""

from collections.abc import Callable, Mapping
from typing import Any

from ...core.dataset import Dataset
from ...core.errors import ConfigError
from ...core.foreign import foreign
from ...core.python_objects import find_object
from ...core.registry import Family
from .torch_images import TorchImages
from .torch_maps import TorchMaps, is_map

SUMMARY = "Your own: a torch Dataset of (image, target or map), a foolbench.core.Dataset, or what gives one."


def _loader(address: str) -> Callable[..., Dataset]:
    found = find_object(address)

    def load(*, train: str | None = None, train_share: float = 0.0, **given: Any) -> Any:
        items = found
        if isinstance(found, type) or not hasattr(found, "__getitem__"):
            with foreign(address):
                items = found(**given)
        return as_dataset(address, items, {"train": train, "train_share": train_share})

    load.__doc__ = SUMMARY
    return load


def as_dataset(name: str, items: Any, options: Mapping[str, Any]) -> Dataset:
    """A torch Dataset, of targets or of maps by its first item; a foolbench Dataset stays as it is.

    Raises ConfigError for anything else.
    """
    if hasattr(items, "fingerprint") and hasattr(items, "load"):
        return items
    if not (hasattr(items, "__getitem__") and hasattr(items, "__len__")):
        raise ConfigError(f"Expected {name} to be a torch Dataset with a length, got {type(items).__name__}.")
    with foreign(f"len() of {name}"):
        count = len(items)
    with foreign(f"Item 0 of {name}"):
        first = items[0] if count else None
    of_maps = isinstance(first, tuple | list) and len(first) > 1 and is_map(first[1])
    return (TorchMaps if of_maps else TorchImages)(name, items, **options)


FAMILY = Family(
    {"FILE.py:NAME": SUMMARY, "package.module:NAME": "The same, in a package that can be imported."},
    _loader,
    is_open=True,
)
