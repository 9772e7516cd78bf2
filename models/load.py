"""Any network, by what it is called in recipes and on the command line."""

from collections.abc import Callable
from typing import Any

from ..core.errors import ConfigError
from ..core.model import Model
from ..core.registry import models


def load_model(address: str, **options: Any) -> Model:
    """The network of an address: a registered name, `torchvision:NAME`, `timm:NAME`, `FILE.py:NAME`, ...

    `options` are what a recipe's table may hold beside the name: `weights`, `features`, `mean`, `std`, `classes`,
    `size`. Raises ConfigError for an address or an option that makes no sense, WeightsError for weights that cannot be
    had.
    """
    return bound_model(address, options)()


def bound_model(address: str, options: dict[str, Any]) -> Callable[[], Model]:
    """The same, checked now and loaded when it is called."""
    make = models.bind(address, options)

    def load() -> Model:
        model = make()
        if not isinstance(model, Model):
            raise ConfigError(f"Expected model {address} to be a foolbench.core.Model, got {type(model).__name__}.")
        return model

    return load
