"""Data sets at `FILE.py:NAME` and `package.module:NAME`: map-style torch Datasets, or callables that return one.

A function or class is called with the parameters that it accepts, which may include `train` and `train_share`. Those
two are applied to the Dataset that it returns if the callable does not accept them.
"""

from collections.abc import Callable, Mapping
from inspect import Parameter, Signature
from typing import Any

from ...core.arguments import parameters_of
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
    makes = isinstance(found, type) or not hasattr(found, "__getitem__")
    own = {parameter.name for parameter in parameters_of(found)} if makes else set()
    options = [option for option in _OPTIONS if option.name not in own]

    def load(**given: Any) -> Dataset:
        ours = {option.name: given.pop(option.name) for option in options if option.name in given}
        items = found
        if makes:
            with foreign(address):
                items = found(**given)
        elif given:
            raise ConfigError(f"{address} is there already and takes no parameters, got {', '.join(given)}.")
        return as_dataset(address, items, ours)

    load.__doc__ = SUMMARY
    load.__signature__ = Signature([*options, Parameter("given", Parameter.VAR_KEYWORD)])  # pyright: ignore[reportFunctionMemberAccess]
    return load


def as_dataset(name: str, items: Any, options: Mapping[str, Any]) -> Dataset:
    """Wrap a torch Dataset, as images with targets or with maps by its first item; return a foolbench Dataset as it is.

    Raises ConfigError for anything else, and for `options` with a foolbench Dataset, which has training images itself.
    """
    if hasattr(items, "fingerprint") and hasattr(items, "load"):
        if options:
            raise ConfigError(
                f"{name} gives a foolbench Dataset, which has training images of its own: leave {', '.join(options)} "
                "out, or let what makes it take such a parameter."
            )
        return items
    if not (hasattr(items, "__getitem__") and hasattr(items, "__len__")):
        raise ConfigError(f"Expected {name} to be a torch Dataset with a length, got {type(items).__name__}.")
    with foreign(f"len() of {name}"):
        count = len(items)
    with foreign(f"Item 0 of {name}"):
        first = items[0] if count else None
    of_maps = isinstance(first, tuple | list) and len(first) > 1 and is_map(first[1])
    return (TorchMaps if of_maps else TorchImages)(name, items, **options)


_OPTIONS = [option for option in parameters_of(TorchImages) if option.kind is Parameter.KEYWORD_ONLY]

FAMILY = Family(
    {"FILE.py:NAME": SUMMARY, "package.module:NAME": "The same, in a package that can be imported."},
    _loader,
    is_open=True,
)
