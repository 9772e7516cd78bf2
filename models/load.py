"""Load any network: by its name or address in recipes and on the command line, or from an object in memory."""

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from torch import nn

from ..core.errors import ConfigError
from ..core.model import Model
from ..core.registry import configure, models
from .addresses.python_object import as_model
from .addresses.source import Options


def load_model(network: str | nn.Module, **options: Any) -> Model:
    """Return a Model, given the address of a network or an `nn.Module`.

    An address is a registered name, `torchvision:NAME`, `timm:NAME`, `FILE.py:NAME`, ... `options` are the keys that a
    recipe's table may have beside the name: `weights`, `features`, `mean`, `std`, `classes`, `size`, `stride`,
    `expect_clean`. Raises ConfigError for an invalid address or option, WeightsError for weights that cannot be loaded.
    """
    if isinstance(network, str):
        return bound_model(network, options)()
    if not isinstance(network, nn.Module):
        raise ConfigError(f"Expected the address of a network or a torch.nn.Module, got {type(network).__name__}.")
    name = type(network).__name__
    checked = asdict(configure(Options, f"network {name}", options))
    return as_model(name, network, checked)


def bound_model(address: str, options: dict[str, Any]) -> Callable[[], Model]:
    """Return a function that loads the network; address and options are checked at once."""
    make = models.bind(address, options)

    def load() -> Model:
        model = make()
        if not isinstance(model, Model):
            raise ConfigError(f"Expected model {address} to be a foolbench.core.Model, got {type(model).__name__}.")
        return model

    return load
