"""Any network, by what it is called in recipes and on the command line, or as it lies in memory."""

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
    """The network of an address (a registered name, `torchvision:NAME`, `timm:NAME`, `FILE.py:NAME`, ...), or a Model
    of an `nn.Module`.

    `options` are what a recipe's table may hold beside the name: `weights`, `features`, `mean`, `std`, `classes`,
    `size`. Raises ConfigError for an address or an option that makes no sense, WeightsError for weights that cannot be
    had.
    """
    if isinstance(network, str):
        return bound_model(network, options)()
    if not isinstance(network, nn.Module):
        raise ConfigError(f"Expected the address of a network or a torch.nn.Module, got {type(network).__name__}.")
    name = type(network).__name__
    checked = asdict(configure(Options, f"network {name}", options))
    return as_model(name, network, checked)


def bound_model(address: str, options: dict[str, Any]) -> Callable[[], Model]:
    """The same, checked now and loaded when it is called."""
    make = models.bind(address, options)

    def load() -> Model:
        model = make()
        if not isinstance(model, Model):
            raise ConfigError(f"Expected model {address} to be a foolbench.core.Model, got {type(model).__name__}.")
        return model

    return load
